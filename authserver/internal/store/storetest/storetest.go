// Package storetest is the conformance suite of package store: what every engine
// must do alike, by one process or by many goroutines at once.
//
// It exists so that the test of an engine is one call, and so that no engine is let
// off what another one has to do:
//
//	func TestSQLite(t *testing.T) { storetest.Run(t, openSQLite) }
//	func BenchmarkSQLite(b *testing.B) { storetest.Bench(b, openSQLite) }
package storetest

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/client"
	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
)

// Run tests an engine. Each call of open returns a fresh database whose schema is up
// to date; open sees to it that the store is closed at the end of the test. A test
// may close it earlier.
func Run(t *testing.T, open func(testing.TB) *store.Store) {
	for _, group := range [][]test{storeTests, userTests, clientTests, grantTests, revocationTests, refreshTests, codeTests, sessionTests, consentTests, apiTests, defaultAPITests, scopeTests, loginTests, raceTests} {
		for _, tt := range group {
			t.Run(tt.name, func(t *testing.T) { tt.run(t, open(t)) })
		}
	}
}

// test is one test of the suite.
type test struct {
	name string
	run  func(t *testing.T, s *store.Store)
}

// start is when the tests take place. No test looks at a real clock.
var start = time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)

// lifetime is how long the grants of these tests live.
const lifetime = 30 * time.Minute

// newUser returns a user who is not in the database yet.
func newUser(username string) account.User {
	return account.User{
		ID:           account.IDPrefix + username,
		Username:     username,
		Name:         "Name of " + username,
		PasswordHash: "$2a$04$hash.of." + username,
		CreatedAt:    start,
	}
}

// addUser puts a new user into the database.
func addUser(t testing.TB, s *store.Store, username string) account.User {
	t.Helper()
	u := newUser(username)
	must(t, s.CreateUser(t.Context(), u))
	return u
}

// newClient returns a confidential client that is not in the database yet.
func newClient(id string) client.Client {
	return client.Client{
		ID:           id,
		Name:         "Name of " + id,
		SecretDigest: "digest of " + id,
		Grants:       []oauth.GrantType{oauth.GrantPassword},
		Scope:        oauth.Scope{"profile", "items:read"},
		CreatedAt:    start,
	}
}

// addClient puts a new confidential client into the database.
func addClient(t testing.TB, s *store.Store, id string) client.Client {
	t.Helper()
	c := newClient(id)
	must(t, s.CreateClient(t.Context(), c))
	return c
}

// newGrant returns a grant of the user to the client that begins at start.
func newGrant(u account.User, c client.Client) grant.Grant {
	return grant.Grant{
		Type:      oauth.GrantPassword,
		ClientID:  c.ID,
		UserID:    u.ID,
		Scope:     oauth.Scope{"profile"},
		CreatedAt: start,
		ExpiresAt: start.Add(lifetime),
	}
}

// addGrant starts a grant of the user to the client.
func addGrant(t testing.TB, s *store.Store, u account.User, c client.Client) grant.Grant {
	t.Helper()
	return startGrant(t, s, newGrant(u, c))
}

// revokedAt is what is kept of a grant that was revoked at a time, however it was.
func revokedAt(g grant.Grant, at time.Time) grant.Grant {
	g.RevokedAt, g.ExpiresAt = at, at.Add(grant.MaxTokenLifetime)
	return g
}

func startGrant(t testing.TB, s *store.Store, g grant.Grant) grant.Grant {
	t.Helper()
	number, err := s.StartGrant(t.Context(), g)
	must(t, err)
	g.Number = number
	return g
}

// must ends the test at an error.
func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// expect checks that an operation ended with the error it should end with; nil
// means none.
func expect(t testing.TB, doing string, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("%s: got the error %v, want %v", doing, got, want)
	}
}

// same checks that something that was read is what it should be.
func same(t testing.TB, what string, want, got any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// expectUser checks what the database says about a user.
func expectUser(t testing.TB, s *store.Store, want account.User) {
	t.Helper()
	got, err := s.UserByUsername(t.Context(), want.Username)
	must(t, err)
	same(t, "user "+want.Username, want, got)
}

// expectGrant checks what the database says about a grant.
func expectGrant(t testing.TB, s *store.Store, want grant.Grant) {
	t.Helper()
	got, err := s.GrantByNumber(t.Context(), want.Number)
	must(t, err)
	same(t, "grant "+strconv.FormatInt(want.Number, 10), want, got)
}

// atOnce runs n calls of work at the same time and returns their errors.
func atOnce(ctx context.Context, n int, work func(ctx context.Context, i int) error) []error {
	errs := make([]error, n)
	begin := make(chan struct{})
	var group sync.WaitGroup
	for i := range n {
		group.Go(func() {
			<-begin
			errs[i] = work(ctx, i)
		})
	}
	close(begin)
	group.Wait()
	return errs
}
