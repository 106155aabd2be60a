// Package storetest is the conformance suite of package store. It tests that every engine
// behaves alike, also when many goroutines use it at once. The tests of an engine are:
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

// Run tests an engine. The tests run in parallel, so they end after Run returns.
//
// Each call of open returns a new database whose schema is up to date, and closes the store at
// the end of the test. A test may close it earlier.
func Run(t *testing.T, open func(testing.TB) *store.Store) {
	for _, group := range [][]test{
		storeTests, userTests, pageTests, clientTests, assertionTests, grantTests, revocationTests, refreshTests, codeTests,
		sessionTests, consentTests, apiTests, defaultAPITests, scopeTests, loginTests, epochTests, endingTests,
		raceTests, deviceTests, redemptionTests, pushedTests, exchangeTests, noticeTests, unregisteredTests, mailTests,
		bindingTests, accountTests, emailTests, signUpTests, secondFactorTests,
		passkeyTests, auditTests, webhookTests, userSearchTests, importTests, togetherTests,
		administratorTests, takeTests,
	} {
		for _, tt := range group {
			t.Run(tt.name, func(t *testing.T) {
				t.Parallel()
				tt.run(t, open(t))
			})
		}
	}
}

// test is one test of the suite.
type test struct {
	name string
	run  func(t *testing.T, s *store.Store)
}

// start is the time at which the tests take place. No test reads the clock.
var start = time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)

// lifetime is how long the grants of these tests live.
const lifetime = 30 * time.Minute

// newUser returns a user that is not in the database yet.
func newUser(username string) account.User {
	return account.User{
		ID:           account.IDPrefix + username,
		Username:     username,
		Name:         "Name of " + username,
		PasswordHash: "$2a$04$hash.of." + username,
		CreatedAt:    start,
	}
}

// addUser adds a new user to the database.
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
		SecretDigest: digestOf(id),
		Grants:       []oauth.GrantType{oauth.GrantPassword},
		Scope:        oauth.Scope{"profile", "items:read"},
		CreatedAt:    start,
	}
}

// digestOf returns the digest of the secret of a newClient.
func digestOf(clientID string) string { return "digest of " + clientID }

// addClient adds a new confidential client to the database.
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

		SecretDigest: c.SecretDigest,
	}
}

// addGrant starts a grant of the user to the client.
func addGrant(t testing.TB, s *store.Store, u account.User, c client.Client) grant.Grant {
	t.Helper()
	return startGrant(t, s, newGrant(u, c))
}

// revokedAt returns the grant as it is stored after a revocation at a time.
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

// must fails the test now if err is not nil.
func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// expect checks the error of an operation. A want of nil means no error.
func expect(t testing.TB, doing string, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("%s: got error %v, want %v", doing, got, want)
	}
}

// same checks that got equals want.
func same(t testing.TB, what string, want, got any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// expectUser checks a user in the database.
func expectUser(t testing.TB, s *store.Store, want account.User) {
	t.Helper()
	got, err := s.UserByUsername(t.Context(), want.Username)
	must(t, err)
	same(t, "user "+want.Username, want, got)
}

// expectGrant checks a grant in the database.
func expectGrant(t testing.TB, s *store.Store, want grant.Grant) {
	t.Helper()
	got, err := s.GrantByNumber(t.Context(), want.Number)
	must(t, err)
	want.SecretDigest = "" // only of a new grant
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
