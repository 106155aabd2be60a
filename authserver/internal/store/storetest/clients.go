package storetest

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/audit"
	"github.com/hallpass-auth/hallpass/authserver/internal/client"
	"github.com/hallpass-auth/hallpass/authserver/internal/record"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
)

var clientTests = []test{
	{"a client is read back unchanged", testClientRoundTrip},
	{"a client id is unique", testClientIDUnique},
	{"a client id cannot be a user id", testClientID},
	{"clients are listed by id, in byte order", testClientsInOrder},
	{"calls for an unknown client", testNoClient},
	{"changing a client", testUpdateClient},
	{"a change of a client that fails", testUpdateClientFails},
	{"a change of a client that changes nothing", testUpdateClientChangesNothing},
	{"concurrent changes of a client", testRaceToUpdateClient},
	{"setting a client secret", testSetClientSecret},
	{"replacing a client secret", testReplaceClientSecret},
	{"deleting a client", testDeleteClient},
}

func testClientRoundTrip(t *testing.T, s *store.Store) {
	confidential := newClient("confidential")
	confidential.Name = `Jürgen's "App" 😀`
	public := newClient("public")
	public.SecretDigest, public.FirstParty = "", true
	many := newClient(strings.Repeat("x", client.MaxID))
	many.Grants = []oauth.GrantType{"password", "urn:ietf:params:oauth:grant-type:device_code"}
	many.Scope = oauth.Scope{"a", "https://api.example/scope", "items:read"}

	web := newClient("web")
	web.Grants = []oauth.GrantType{oauth.GrantAuthorizationCode, oauth.GrantRefreshToken}
	web.RedirectURIs = []string{
		"https://app.example/callback?x=%20", "http://127.0.0.1/", "http://[::1]:8080/cb", "com.example.app:/cb",
	}
	web.PostLogoutRedirectURIs = []string{"https://app.example/bye?x=%20", "com.example.app:/bye"}
	web.BackchannelLogoutURI = "https://app.example/told?tenant=1"
	introspects := newClient("introspects")
	introspects.Introspects, introspects.WithoutPKCE = true, true
	introspects.IntrospectsFor = []string{client.DefaultAPI, "https://api.example"}
	introspects.IDTokenAlgorithm, introspects.RequirePAR, introspects.RequireDPoP = "ES256", true, true

	signs, workload := newClient("signs"), newClient("workload")
	signs.SecretDigest, signs.Assertion = client.NoSecret, client.Assertion{JWKS: `{"keys":[{"kty":"OKP"}]}`}
	workload.Assertion = client.Assertion{
		JWKSURI: "https://a.example/", Issuer: "https://issuer.example", Subject: "a:b \U0001f600", Audience: "c",
	}

	for _, want := range []client.Client{confidential, public, many, web, introspects, signs, workload} {
		must(t, s.CreateClient(t.Context(), want))
		got, err := s.ClientByID(t.Context(), want.ID)
		must(t, err)
		same(t, "client "+want.ID, want, got)
		if got.CreatedAt.Location() != time.UTC {
			t.Errorf("creation time %v is not in UTC", got.CreatedAt)
		}
	}
}

func testClientIDUnique(t *testing.T, s *store.Store) {
	first := addClient(t, s, "app")
	second := newClient("app")
	second.Name, second.SecretDigest = "An impostor", "another digest"
	expect(t, "creating a client with the same id", s.CreateClient(t.Context(), second), record.ErrExists)
	got, err := s.ClientByID(t.Context(), "app")
	must(t, err)
	same(t, "client", first, got)
}

// A client_id can never equal a user's sub (RFC 9700 section 4.15.1).
func testClientID(t *testing.T, s *store.Store) {
	u := addUser(t, s, "john.doe")
	if s.CreateClient(t.Context(), newClient(u.ID)) == nil {
		t.Error("a client was created with the id of a user")
	}
	if s.CreateClient(t.Context(), newClient(account.IDPrefix+"x")) == nil {
		t.Error("a client was created with an id reserved for users")
	}
}

func testClientsInOrder(t *testing.T, s *store.Store) {
	ordered := []string{"10", "9", "App", "Zoo", "app", "app-2", "app.2", "app2", "zoo"}
	for _, id := range slices.Backward(ordered) {
		addClient(t, s, id)
	}
	clients, err := s.Clients(t.Context(), record.Page{})
	must(t, err)
	var got []string
	for _, c := range clients {
		got = append(got, c.ID)
		same(t, "listed client", newClient(c.ID), c)
	}
	same(t, "ids", ordered, got)
}

func testNoClient(t *testing.T, s *store.Store) {
	ctx := t.Context()
	addClient(t, s, "app")
	for _, id := range []string{"nobody", "App", "app ", "ap_", "%", ""} {
		_, err := s.ClientByID(ctx, id)
		expect(t, "ClientByID "+id, err, record.ErrNotFound)
	}
	_, err := s.UpdateClient(ctx, "nobody", start, func(client.Client) (client.Client, error) {
		t.Error("UpdateClient called change for an unknown client")
		return client.Client{}, nil
	})
	expect(t, "UpdateClient", err, record.ErrNotFound)
	expect(t, "SetClientSecret", s.SetClientSecret(ctx, "nobody", "digest", start), record.ErrNotFound)
	expect(t, "ReplaceClientSecret", s.ReplaceClientSecret(ctx, "nobody", "digest", start), record.ErrNotFound)
	expect(t, "DeleteClient", s.DeleteClient(ctx, "nobody", start), record.ErrNotFound)
}

// expectClient checks a client in the database.
func expectClient(t testing.TB, s *store.Store, want client.Client) {
	t.Helper()
	got, err := s.ClientByID(t.Context(), want.ID)
	must(t, err)
	same(t, "client "+want.ID, want, got)
}

// A change keeps the client's grants, id, secret and creation time.
func testUpdateClient(t *testing.T, s *store.Store) {
	c, other := addClient(t, s, "app"), addClient(t, s, "other")
	g := addGrant(t, s, addUser(t, s, "john.doe"), c)
	want := c
	want.Name, want.FirstParty, want.Introspects, want.WithoutPKCE = "Another name", true, true, true
	want.IntrospectsFor, want.IDTokenAlgorithm, want.RequirePAR = []string{"https://api.example"}, "EdDSA", true
	want.RequireDPoP = true
	want.ExchangeFrom, want.ExchangeTo = []string{client.DefaultAPI}, []string{"https://api.example", "https://b.example"}
	want.Grants = []oauth.GrantType{oauth.GrantAuthorizationCode, oauth.GrantRefreshToken}
	want.Scope, want.RedirectURIs = oauth.Scope{"b", "a"}, []string{"https://app.example/cb", "http://127.0.0.1/"}
	want.Assertion = client.Assertion{JWKSURI: "https://app.example/jwks.json"}
	want.PostLogoutRedirectURIs = []string{"https://app.example/bye"}
	want.BackchannelLogoutURI = "https://app.example/told"
	for _, want := range []client.Client{want, c} { // there and back
		got, err := s.UpdateClient(t.Context(), "app", start, func(client.Client) (client.Client, error) {
			impostor := want
			impostor.ID, impostor.SecretDigest, impostor.CreatedAt = "other", "", start.Add(time.Hour)
			return impostor, nil
		})
		must(t, err)
		same(t, "returned client", want, got)
		expectClient(t, s, want)
		expectClient(t, s, other)
	}
	expectGrant(t, s, g)
}

func testUpdateClientFails(t *testing.T, s *store.Store) {
	want := addClient(t, s, "app")
	_, err := s.UpdateClient(t.Context(), "app", start, func(c client.Client) (client.Client, error) {
		c.Name = "Another name"
		return c, client.ErrBad
	})
	expect(t, "a change that fails", err, client.ErrBad)
	expectClient(t, s, want)
}

// A client that registered itself may send the same settings again and again.
func testUpdateClientChangesNothing(t *testing.T, s *store.Store) {
	want := addClient(t, s, "app")
	got, err := s.UpdateClient(t.Context(), "app", start, func(c client.Client) (client.Client, error) { return c, nil })
	must(t, err)
	same(t, "returned client", want, got)
	if found := recorded(t, s, audit.Filter{Event: "client_changed"}); len(found) != 0 {
		t.Errorf("recorded %+v", found)
	}
}

// Each change adds a redirect URI, and no change is lost.
func testRaceToUpdateClient(t *testing.T, s *store.Store) {
	addClient(t, s, "app")
	want := []string{}
	for i := range racers {
		want = append(want, "https://"+string(rune('a'+i))+".example/")
	}
	for _, err := range atOnce(t.Context(), racers+1, func(ctx context.Context, i int) error {
		if i == racers {
			return s.SetClientSecret(ctx, "app", "another digest", start)
		}
		_, err := s.UpdateClient(ctx, "app", start, func(c client.Client) (client.Client, error) {
			c.RedirectURIs = append(c.RedirectURIs, want[i])
			return c, nil
		})
		return err
	}) {
		must(t, err)
	}
	got, err := s.ClientByID(t.Context(), "app")
	must(t, err)
	slices.Sort(got.RedirectURIs)
	same(t, "redirect URIs", want, got.RedirectURIs)
	same(t, "secret", "another digest", got.SecretDigest)
}

func testSetClientSecret(t *testing.T, s *store.Store) {
	ctx := t.Context()
	confidential, other := addClient(t, s, "app"), addClient(t, s, "other")
	must(t, s.SetClientSecret(ctx, "app", "another digest", start))
	confidential.SecretDigest = "another digest"

	public := newClient("public")
	public.SecretDigest = ""
	must(t, s.CreateClient(ctx, public))
	err := s.SetClientSecret(ctx, "public", "digest", start)
	expect(t, "setting the secret of a public client", err, record.ErrNotFound)

	for _, want := range []client.Client{confidential, other, public} {
		got, err := s.ClientByID(ctx, want.ID)
		must(t, err)
		same(t, "client "+want.ID, want, got)
	}
}

func testReplaceClientSecret(t *testing.T, s *store.Store) {
	ctx := t.Context()
	u, c, other := addUser(t, s, "john.doe"), addClient(t, s, "app"), addClient(t, s, "other")
	ended, kept := addGrant(t, s, u, c), addGrant(t, s, u, other)
	revoked := addGrant(t, s, addUser(t, s, "jane.smith"), c)
	must(t, s.DisableUser(ctx, "jane.smith", start.Add(time.Second)))
	service, err := s.ServiceGrant(ctx, c.ID, c.SecretDigest, start)
	must(t, err)

	replaced := start.Add(time.Minute)
	must(t, s.ReplaceClientSecret(ctx, c.ID, "another digest", replaced))
	c.SecretDigest = "another digest"
	expectClient(t, s, c)
	expectClient(t, s, other)
	expectGrant(t, s, revokedAt(ended, replaced))
	expectGrant(t, s, kept)
	expectGrant(t, s, revokedAt(revoked, start.Add(time.Second))) // the first time counts
	g, err := s.GrantByNumber(ctx, service)
	must(t, err)
	same(t, "revocation time of the service's grant", replaced, g.RevokedAt)
	next, err := s.ServiceGrant(ctx, c.ID, c.SecretDigest, replaced)
	must(t, err)
	if next == service {
		t.Error("ServiceGrant returned the revoked grant")
	}
	expectGrant(t, s, addGrant(t, s, u, c)) // a login with the new secret

	public := newClient("public")
	public.SecretDigest = ""
	must(t, s.CreateClient(ctx, public))
	ofPublic := addGrant(t, s, u, public)
	err = s.ReplaceClientSecret(ctx, "public", "digest", replaced)
	expect(t, "replacing the secret of a public client", err, record.ErrNotFound)
	expectClient(t, s, public)
	expectGrant(t, s, ofPublic)
}

func testDeleteClient(t *testing.T, s *store.Store) {
	u, c, other := addUser(t, s, "john.doe"), addClient(t, s, "app"), addClient(t, s, "other")
	ended, kept := addGrant(t, s, u, c), addGrant(t, s, u, other)
	revoked := addGrant(t, s, addUser(t, s, "jane.smith"), c)
	must(t, s.DisableUser(t.Context(), "jane.smith", start.Add(time.Second)))

	deleted := start.Add(time.Minute)
	must(t, s.DeleteClient(t.Context(), "app", deleted))
	_, err := s.ClientByID(t.Context(), "app")
	expect(t, "reading a deleted client", err, record.ErrNotFound)
	expect(t, "deleting a client twice", s.DeleteClient(t.Context(), "app", deleted), record.ErrNotFound)

	ended = revokedAt(ended, deleted)
	ended.ClientID = ""
	expectGrant(t, s, ended)
	revoked = revokedAt(revoked, start.Add(time.Second)) // the first time counts
	revoked.ClientID = ""
	expectGrant(t, s, revoked)
	expectGrant(t, s, kept)
}
