package storetest

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/client"
	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
)

var exchangeTests = []test{
	{"an exchange is read back unchanged", testExchangeRoundTrip},
	{"an equal exchange has the same grant", testEqualExchange},
	{"an exchange that cannot be started", testExchangeNotStarted},
	{"an exchange ends with its parent", testExchangeEnds},
	{"an exchange ends alone", testExchangeEndsAlone},
	{"a deleted API takes exchanges with it", testExchangeOfDeletedAPI},
	{"concurrent exchanges of a token", testRaceOfExchanges},
	{"ending everything while tokens are exchanged", testEndDuringExchanges},
}

// exchangeOf returns the grant of an exchange of a parent by a client at start.
func exchangeOf(parent grant.Grant, c client.Client) grant.Grant {
	return grant.Grant{
		Type:         oauth.GrantTokenExchange,
		ClientID:     c.ID,
		SecretDigest: c.SecretDigest,
		UserID:       parent.UserID,
		Session:      parent.Session,
		Audience:     parent.Audience,
		Scope:        oauth.Scope{"profile"},
		CreatedAt:    start,
		ExpiresAt:    start.Add(lifetime / 2),
		Parent:       parent.Number,
		Actors:       append([]string{c.ID}, parent.Actors...),
	}
}

func exchange(t testing.TB, s *store.Store, g grant.Grant) grant.Grant {
	t.Helper()
	number, err := s.StartExchange(t.Context(), g)
	must(t, err)
	g.Number = number
	return g
}

func testExchangeRoundTrip(t *testing.T, s *store.Store) {
	u, c, api := addUser(t, s, "john.doe"), addClient(t, s, "app"), addClient(t, s, "orders")
	addAPI(t, s, "https://api.example")
	parent := addGrant(t, s, u, c)
	first := exchangeOf(parent, api)
	first.Audience = "https://api.example"
	first = exchange(t, s, first)
	expectGrant(t, s, first)
	second := exchange(t, s, exchangeOf(first, c))
	expectGrant(t, s, second)
	same(t, "actors", []string{"app", "orders"}, second.Actors)
	expectGrant(t, s, parent)
	logins, err := s.CountLogins(t.Context(), store.LoginsOf{}, start)
	must(t, err)
	same(t, "logins", store.Logins{Grants: 1}, logins)
}

// A token that is exchanged again and again takes one row.
func testEqualExchange(t *testing.T, s *store.Store) {
	u, c, api := addUser(t, s, "john.doe"), addClient(t, s, "app"), addClient(t, s, "orders")
	addAPI(t, s, "https://api.example")
	parent := addGrant(t, s, u, c)
	first := exchange(t, s, exchangeOf(parent, api))
	later := exchangeOf(parent, api)
	later.CreatedAt = start.Add(time.Minute)
	same(t, "an equal one", first.Number, exchange(t, s, later).Number)
	numbers := map[int64]bool{first.Number: true}
	for _, change := range []func(*grant.Grant){
		func(g *grant.Grant) { g.Scope = oauth.Scope{"items:read"} },
		func(g *grant.Grant) { g.Audience = "https://api.example" },
		func(g *grant.Grant) { g.ExpiresAt = g.ExpiresAt.Add(time.Second) },
		func(g *grant.Grant) { g.ClientID, g.SecretDigest = c.ID, c.SecretDigest },
		func(g *grant.Grant) { g.Parent = addGrant(t, s, u, c).Number },
		func(g *grant.Grant) { g.Actors = []string{"orders", "app"} },
	} {
		other := exchangeOf(parent, api)
		change(&other)
		numbers[exchange(t, s, other).Number] = true
	}
	same(t, "different grants", 7, len(numbers))
	_, err := s.RevokeGrant(t.Context(), first.Number, start)
	must(t, err)
	if again := exchange(t, s, exchangeOf(parent, api)); numbers[again.Number] {
		t.Errorf("an exchange has the revoked grant %d", again.Number)
	}
}

func testExchangeNotStarted(t *testing.T, s *store.Store) {
	ctx := t.Context()
	u, other, c := addUser(t, s, "john.doe"), addUser(t, s, "jane.smith"), addClient(t, s, "app")
	good := exchangeOf(addGrant(t, s, u, c), c)
	revoked := exchangeOf(addGrant(t, s, u, c), c)
	_, err := s.RevokeGrant(ctx, revoked.Parent, start)
	must(t, err)
	for name, tt := range map[string]struct {
		change func(*grant.Grant)
		want   error
	}{
		"revoked":        {func(g *grant.Grant) { g.Parent = revoked.Parent }, grant.ErrInactive},
		"expired":        {func(g *grant.Grant) { g.CreatedAt = start.Add(lifetime) }, grant.ErrInactive},
		"unknown":        {func(g *grant.Grant) { g.Parent = 1 << 40 }, grant.ErrInactive},
		"another user's": {func(g *grant.Grant) { g.UserID = other.ID }, grant.ErrInactive},
		"no user's":      {func(g *grant.Grant) { g.UserID = "nobody" }, grant.ErrInactive},
		"old secret":     {func(g *grant.Grant) { g.SecretDigest = "another" }, grant.ErrClientChanged},
		"no client":      {func(g *grant.Grant) { g.ClientID = "nobody" }, grant.ErrClientChanged},
	} {
		g := good
		tt.change(&g)
		_, err := s.StartExchange(ctx, g)
		expect(t, name, err, tt.want)
	}
	exchange(t, s, good)
	must(t, s.DisableUser(ctx, u.Username, start))
	_, err = s.StartExchange(ctx, good)
	expect(t, "a disabled user", err, grant.ErrInactive)
}

// Everything that revokes a grant revokes the exchanges that came from it, at any depth, in the same moment.
func testExchangeEnds(t *testing.T, s *store.Store) {
	ctx := t.Context()
	for name, end := range map[string]func(parent grant.Grant, u account.User) error{
		"revoke": func(parent grant.Grant, _ account.User) error {
			_, err := s.RevokeGrant(ctx, parent.Number, start)
			return err
		},
		"password": func(_ grant.Grant, u account.User) error { return s.SetPassword(ctx, u.Username, "new", start) },
		"log out": func(parent grant.Grant, u account.User) error {
			return s.LogOut(ctx, u.Username, parent.ClientID, start)
		},
		"consent": func(parent grant.Grant, _ account.User) error {
			return s.RevokeConsent(ctx, parent.UserID, parent.ClientID, start)
		},
		"secret": func(parent grant.Grant, _ account.User) error {
			return s.ReplaceClientSecret(ctx, parent.ClientID, "new", start)
		},
		"delete client": func(parent grant.Grant, _ account.User) error {
			return s.DeleteClient(ctx, parent.ClientID, start)
		},
	} {
		id := strings.ReplaceAll(name, " ", ".")
		u, c, api := addUser(t, s, id), addClient(t, s, "app."+id), addClient(t, s, "api."+id)
		must(t, s.AddConsent(ctx, u.ID, c.ID, "", oauth.Scope{"profile"}, start))
		parent := addGrant(t, s, u, c)
		other := exchange(t, s, exchangeOf(addGrant(t, s, addUser(t, s, "other."+id), addClient(t, s, "x."+id)), api))
		all := []grant.Grant{parent}
		for range grant.MaxActors {
			all = append(all, exchange(t, s, exchangeOf(all[len(all)-1], api)))
		}
		must(t, end(parent, u))
		for i, g := range all {
			got, err := s.GrantByNumber(ctx, g.Number)
			must(t, err)
			if !got.RevokedAt.Equal(start) || !got.ExpiresAt.Equal(start.Add(grant.MaxTokenLifetime)) {
				t.Errorf("%s: exchange %d is revoked at %v, and kept until %v", name, i, got.RevokedAt, got.ExpiresAt)
			}
		}
		expectGrant(t, s, other)
	}
}

func testExchangeEndsAlone(t *testing.T, s *store.Store) {
	u, c, api := addUser(t, s, "john.doe"), addClient(t, s, "app"), addClient(t, s, "orders")
	parent := addGrant(t, s, u, c)
	first := exchange(t, s, exchangeOf(parent, api))
	second := exchange(t, s, exchangeOf(first, c))
	must(t, s.ReplaceClientSecret(t.Context(), api.ID, "new", start))
	expectGrant(t, s, parent)
	expectGrant(t, s, revokedAt(first, start))
	expectGrant(t, s, revokedAt(second, start))
}

// A client may not exchange tokens of, or for, an API that was deleted and registered again.
func testExchangeOfDeletedAPI(t *testing.T, s *store.Store) {
	addAPI(t, s, "https://a.example")
	addAPI(t, s, "https://b.example")
	c := newClient("orders")
	c.ExchangeFrom = []string{"https://a.example", "https://a.example", client.DefaultAPI}
	c.ExchangeTo = []string{"https://b.example", "https://a.example"}
	must(t, s.CreateClient(t.Context(), c))
	expectClient(t, s, c)
	must(t, s.DeleteAPI(t.Context(), "https://a.example", start))
	c.ExchangeFrom, c.ExchangeTo = []string{client.DefaultAPI}, []string{"https://b.example"}
	expectClient(t, s, c)
}

// Many exchanges at once of one token take one row.
func testRaceOfExchanges(t *testing.T, s *store.Store) {
	u, c, api := addUser(t, s, "john.doe"), addClient(t, s, "app"), addClient(t, s, "orders")
	g := exchangeOf(addGrant(t, s, u, c), api)
	var numbers [racers]int64
	for _, err := range atOnce(t.Context(), racers, func(ctx context.Context, i int) (err error) {
		numbers[i], err = s.StartExchange(ctx, g)
		return err
	}) {
		must(t, err)
	}
	for _, number := range numbers {
		same(t, "number", numbers[0], number)
	}
}

// Whatever the order of exchanges and of what revokes grants, nothing deadlocks, and no exchange stays active.
func testEndDuringExchanges(t *testing.T, s *store.Store) {
	ctx, cancel := context.WithTimeout(t.Context(), raceTimeout)
	defer cancel()
	const each = 4
	for name, end := range map[string]func(context.Context, grant.Grant, account.User) error{
		"revoke": func(ctx context.Context, parent grant.Grant, _ account.User) error {
			_, err := s.RevokeGrant(ctx, parent.Number, start)
			return err
		},
		"disable": func(ctx context.Context, _ grant.Grant, u account.User) error {
			return s.DisableUser(ctx, u.Username, start)
		},
		"delete": func(ctx context.Context, _ grant.Grant, u account.User) error {
			return s.DeleteUser(ctx, u.Username, start)
		},
		"delete client": func(ctx context.Context, parent grant.Grant, _ account.User) error {
			return s.DeleteClient(ctx, parent.ClientID, start)
		},
		"secret": func(ctx context.Context, parent grant.Grant, _ account.User) error {
			return s.ReplaceClientSecret(ctx, parent.ClientID, "new", start)
		},
	} {
		id := strings.ReplaceAll(name, " ", ".")
		u, c, api := addUser(t, s, id), addClient(t, s, "app."+id), addClient(t, s, "api."+id)
		parent := addGrant(t, s, u, c)
		first := exchange(t, s, exchangeOf(parent, api))
		var mu sync.Mutex
		numbers := []int64{first.Number}
		for _, err := range atOnce(ctx, racers, func(ctx context.Context, i int) error {
			if i == 0 {
				return end(ctx, parent, u)
			}
			for j := range each {
				g := exchangeOf([]grant.Grant{parent, first}[j%2], api)
				g.Scope = oauth.Scope{"scope" + strconv.Itoa(i) + "." + strconv.Itoa(j)}
				number, err := s.StartExchange(ctx, g)
				if errors.Is(err, grant.ErrInactive) {
					return nil
				}
				if err != nil {
					return err
				}
				mu.Lock()
				numbers = append(numbers, number)
				mu.Unlock()
			}
			return nil
		}) {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		same(t, name+": active exchanges", 0, notRevoked(t, s, numbers))
	}
}
