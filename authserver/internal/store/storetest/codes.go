package storetest

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/client"
	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
	"github.com/hallpass-auth/hallpass/authserver/internal/record"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
)

var codeTests = []test{
	{"a code is read back unchanged", testCodeRoundTrip},
	{"a code is redeemed once", testRedeemOnce},
	{"an expired or unknown code", testRedeemUnknown},
	{"a failed redemption does not use up the code", testRedeemRollsBack},
	{"old codes are swept, recently used ones are not", testSweepCodes},
	{"codes are deleted with their user or client", testCodesCascade},
	{"codes end with their session, user or consent", testCodesEnd},
	{"concurrent redemptions of a code", testRaceForCode},
	{"deleting a user while codes are redeemed", func(t *testing.T, s *store.Store) {
		endDuringRedemptions(t, s, func(ctx context.Context) error { return s.DeleteUser(ctx, "john.doe", start) })
	}},
	{"disabling a user while codes are redeemed", func(t *testing.T, s *store.Store) {
		endDuringRedemptions(t, s, func(ctx context.Context) error { return s.DisableUser(ctx, "john.doe", start) })
	}},
	{"setting a password while codes are redeemed", func(t *testing.T, s *store.Store) {
		endDuringRedemptions(t, s, func(ctx context.Context) error {
			return s.SetPassword(ctx, "john.doe", "hash", start)
		})
	}},
	{"deleting a client while codes are redeemed", func(t *testing.T, s *store.Store) {
		endDuringRedemptions(t, s, func(ctx context.Context) error { return s.DeleteClient(ctx, "app", start) })
	}},
	{"replacing a secret while codes are redeemed", func(t *testing.T, s *store.Store) {
		endDuringRedemptions(t, s, func(ctx context.Context) error {
			return s.ReplaceClientSecret(ctx, "app", "another digest", start)
		})
	}},
}

// authenticated is how a user has logged in.
var authenticated = grant.Authentication{At: start.Add(-time.Hour), Methods: []string{"pwd", "otp"}, SessionID: "sid"}

// newCode returns a code that is issued at start in the user's session.
func newCode(digest string, u account.User, c client.Client) grant.Code {
	return grant.Code{
		Digest:      digest,
		ClientID:    c.ID,
		UserID:      u.ID,
		Session:     "session of " + u.Username,
		RedirectURI: "https://app.example/callback?x=1",
		Scope:       oauth.Scope{"profile", "items:read"},
		Challenge:   "challenge",
		CreatedAt:   start,
		ExpiresAt:   start.Add(grant.CodeLifetime),
	}
}

// addCode adds a code to the database, and the user's session if it does not exist.
func addCode(t testing.TB, s *store.Store, digest string, u account.User, c client.Client) grant.Code {
	t.Helper()
	code := newCode(digest, u, c)
	if _, _, err := s.SessionUser(t.Context(), code.Session, start); errors.Is(err, record.ErrNotFound) {
		addSession(t, s, code.Session, u)
	}
	var err error
	code.ConsentRevocations, err = s.ConsentRevocations(t.Context(), u.ID, c.ID)
	must(t, err)
	must(t, s.CreateCode(t.Context(), code))
	return code
}

// grantOf returns the grant that redeeming a code starts.
func grantOf(c grant.Code) grant.Grant {
	return grant.Grant{
		Type:      oauth.GrantAuthorizationCode,
		ClientID:  c.ClientID,
		UserID:    c.UserID,
		Session:   c.Session,
		Audience:  c.Audience,
		Scope:     c.Scope,
		CreatedAt: c.CreatedAt,
		ExpiresAt: c.CreatedAt.Add(lifetime),

		SecretDigest: digestOf(c.ClientID),
	}
}

func testCodeRoundTrip(t *testing.T, s *store.Store) {
	u, c := addUser(t, s, "john.doe"), addClient(t, s, "app")
	addAPI(t, s, "https://api.example")
	full, bare := newCode("full", u, c), newCode("bare", u, c)
	full.Audience, full.ConsentRevocations = "https://api.example", 3
	full.Nonce, full.Authentication, full.KeyThumbprint = "n-0S6_WzA2Mj", authenticated, "key"
	bare.Session, bare.Scope, bare.Challenge = "", nil, ""
	must(t, s.CreateCode(t.Context(), full))
	must(t, s.CreateCode(t.Context(), bare))
	for _, want := range []grant.Code{full, bare} {
		got, err := s.CodeByDigest(t.Context(), want.Digest)
		must(t, err)
		same(t, "code "+want.Digest, want, got)
		if got.ExpiresAt.Location() != time.UTC {
			t.Errorf("expiry %v is not in UTC", got.ExpiresAt)
		}
	}
	if s.CreateCode(t.Context(), full) == nil {
		t.Error("two codes were created with one digest")
	}
}

// A code is used once, and a replay returns the grant to revoke (RFC 6749 section 4.1.2).
func testRedeemOnce(t *testing.T, s *store.Store) {
	u, c := addUser(t, s, "john.doe"), addClient(t, s, "app")
	code := addCode(t, s, "code", u, c)
	other := addCode(t, s, "other", u, c)
	g := grantOf(code)
	elsewhere := g
	elsewhere.Session = "another session" // ignored: the grant gets the session of the code
	number, err := s.RedeemCode(t.Context(), "code", elsewhere)
	must(t, err)
	g.Number = number
	expectGrant(t, s, g)
	u.LastLoginAt = start
	expectUser(t, s, u)

	for _, later := range []time.Duration{0, time.Second, 10 * grant.CodeLifetime} {
		again := g
		again.CreatedAt = start.Add(later)
		given, err := s.RedeemCode(t.Context(), "code", again)
		expect(t, "redeeming a code again", err, grant.ErrCodeUsed)
		same(t, "grant of the code", number, given)
	}
	expectUser(t, s, u) // a replay does not count as a login
	same(t, "active grants", 1, activeGrants(t, s))

	if _, err := s.RedeemCode(t.Context(), "other", grantOf(other)); err != nil {
		t.Errorf("redeeming another code of the user: %v", err)
	}
	got, err := s.CodeByDigest(t.Context(), "code")
	must(t, err)
	same(t, "redeemed code", code, got)
}

// A code expires after grant.CodeLifetime (RFC 6749 section 4.1.2).
func testRedeemUnknown(t *testing.T, s *store.Store) {
	u, c := addUser(t, s, "john.doe"), addClient(t, s, "app")
	g := grantOf(addCode(t, s, "code", u, c))
	for _, digest := range []string{"", "Code", "code ", "cod_", "nobody's"} {
		_, err := s.CodeByDigest(t.Context(), digest)
		expect(t, "reading the code "+digest, err, grant.ErrCodeUnknown)
		_, err = s.RedeemCode(t.Context(), digest, g)
		expect(t, "redeeming the code "+digest, err, grant.ErrCodeUnknown)
	}
	sessionless := newCode("without a session", u, c)
	sessionless.Session = ""
	must(t, s.CreateCode(t.Context(), sessionless))
	_, err := s.RedeemCode(t.Context(), sessionless.Digest, g)
	expect(t, "redeeming a code without a session", err, grant.ErrCodeUnknown)

	late := g
	late.CreatedAt = start.Add(grant.CodeLifetime)
	_, err = s.RedeemCode(t.Context(), "code", late)
	expect(t, "redeeming at the end of its life", err, grant.ErrCodeUnknown)
	late.CreatedAt = start.Add(-time.Minute)
	_, err = s.RedeemCode(t.Context(), "code", late)
	expect(t, "redeeming a code that a clock ahead made", err, grant.ErrCodeUnknown)
	expectUser(t, s, u) // no login was noted

	late.CreatedAt = start.Add(grant.CodeLifetime - time.Second)
	_, err = s.RedeemCode(t.Context(), "code", late)
	expect(t, "redeeming in the last second", err, nil)
}

func testRedeemRollsBack(t *testing.T, s *store.Store) {
	ctx := t.Context()
	u, c := addUser(t, s, "john.doe"), addClient(t, s, "app")
	g := grantOf(addCode(t, s, "code", u, c))
	must(t, s.DisableUser(ctx, u.Username, start))
	_, err := s.RedeemCode(ctx, "code", g)
	expect(t, "redeeming for a disabled user", err, grant.ErrInactive)
	gone := g
	gone.ClientID = "nobody"
	must(t, s.EnableUser(ctx, u.Username, start))
	g = grantOf(addCode(t, s, "code again", u, c)) // the first one ended with its session
	_, err = s.RedeemCode(ctx, "code again", gone)
	expect(t, "redeeming for a deleted client", err, grant.ErrClientChanged)
	expectUser(t, s, u) // no login was noted

	number, err := s.RedeemCode(ctx, "code again", g)
	must(t, err)
	g.Number = number
	expectGrant(t, s, g)
}

// A used code is kept for an hour after it expires, so that a replay is detected.
func testSweepCodes(t *testing.T, s *store.Store) {
	u, c := addUser(t, s, "john.doe"), addClient(t, s, "app")
	const stale = 10
	for i := range stale {
		addCode(t, s, "stale "+strconv.Itoa(i), u, c)
	}
	used := newCode("used", u, c)
	used.CreatedAt, used.ExpiresAt = start.Add(time.Minute), start.Add(2*time.Minute)
	must(t, s.CreateCode(t.Context(), used))
	number, err := s.RedeemCode(t.Context(), "used", grantOf(used))
	must(t, err)

	now := start.Add(grant.CodeLifetime + time.Hour + time.Second) // the stale codes expired over an hour ago
	for i := range stale / 2 {                                     // each sweeps more than one
		code := newCode("new "+strconv.Itoa(i), u, c)
		code.CreatedAt, code.ExpiresAt = now, now.Add(grant.CodeLifetime)
		must(t, s.CreateCode(t.Context(), code))
	}
	for i := range stale {
		_, err := s.CodeByDigest(t.Context(), "stale "+strconv.Itoa(i))
		expect(t, "a code that expired long ago", err, grant.ErrCodeUnknown)
	}
	for i := range stale / 2 {
		_, err := s.CodeByDigest(t.Context(), "new "+strconv.Itoa(i))
		expect(t, "a new code", err, nil)
	}
	replay := grantOf(used)
	replay.CreatedAt = now
	given, err := s.RedeemCode(t.Context(), "used", replay)
	expect(t, "a replay within the hour", err, grant.ErrCodeUsed)
	same(t, "grant of the code", number, given)
}

func testCodesCascade(t *testing.T, s *store.Store) {
	ctx := t.Context()
	john, jane := addUser(t, s, "john.doe"), addUser(t, s, "jane.smith")
	app, other := addClient(t, s, "app"), addClient(t, s, "other")
	addCode(t, s, "john's at app", john, app)
	kept := addCode(t, s, "jane's at other", jane, other)
	addCode(t, s, "jane's at app", jane, app)
	must(t, s.DeleteUser(ctx, "john.doe", start))
	_, err := s.CodeByDigest(ctx, "john's at app")
	expect(t, "a code of a deleted user", err, grant.ErrCodeUnknown)
	must(t, s.DeleteClient(ctx, "app", start))
	_, err = s.CodeByDigest(ctx, "jane's at app")
	expect(t, "a code of a deleted client", err, grant.ErrCodeUnknown)
	got, err := s.CodeByDigest(ctx, kept.Digest)
	must(t, err)
	same(t, "a code of others", kept, got)
}

// Whatever revokes the grants of a session, a user or a consent also ends its unused codes
// (RFC 9700 section 4.14.2). Used codes are kept.
func testCodesEnd(t *testing.T, s *store.Store) {
	ctx := t.Context()
	john, jane := addUser(t, s, "john.doe"), addUser(t, s, "jane.smith")
	app, other := addClient(t, s, "app"), addClient(t, s, "other")
	must(t, s.AddConsent(ctx, john.ID, app.ID, "", oauth.Scope{"profile"}, start))
	for name, end := range map[string]func() error{
		"password": func() error { return s.SetPassword(ctx, "john.doe", "hash", start) },
		"disabled": func() error {
			return errors.Join(s.DisableUser(ctx, "john.doe", start), s.EnableUser(ctx, "john.doe", start))
		},
		"logout":  func() error { return s.DeleteSession(ctx, "session of john.doe", true, start) },
		"consent": func() error { return s.RevokeConsent(ctx, john.ID, app.ID, start) },
	} {
		ended := addCode(t, s, name+": to end", john, app)
		used := addCode(t, s, name+": used", john, app)
		number, err := s.RedeemCode(ctx, used.Digest, grantOf(used))
		must(t, err)
		kept := addCode(t, s, name+": jane's", jane, app)
		elsewhere := addCode(t, s, name+": elsewhere", john, other)
		must(t, end())

		_, err = s.RedeemCode(ctx, ended.Digest, grantOf(ended))
		expect(t, name+": a code from before", err, grant.ErrCodeUnknown)
		given, err := s.RedeemCode(ctx, used.Digest, grantOf(used))
		expect(t, name+": a code that was used", err, grant.ErrCodeUsed)
		same(t, "grant of the code", number, given)
		_, err = s.RedeemCode(ctx, kept.Digest, grantOf(kept))
		expect(t, name+": a code of another user", err, nil)
		if name == "consent" {
			_, err = s.RedeemCode(ctx, elsewhere.Digest, grantOf(elsewhere))
			expect(t, name+": a code for another client", err, nil)
		}
	}
}

// Of many concurrent redemptions, one starts a grant and all others get its number.
func testRaceForCode(t *testing.T, s *store.Store) {
	u, c := addUser(t, s, "john.doe"), addClient(t, s, "app")
	g := grantOf(addCode(t, s, "code", u, c))
	var mu sync.Mutex
	numbers := map[int64]bool{}
	oneWinner(t, atOnce(t.Context(), racers, func(ctx context.Context, _ int) error {
		number, err := s.RedeemCode(ctx, "code", g)
		mu.Lock()
		defer mu.Unlock()
		numbers[number] = true
		return err
	}), grant.ErrCodeUsed)
	same(t, "different numbers", 1, len(numbers))
	for number := range numbers {
		g.Number = number
		expectGrant(t, s, g)
	}
	same(t, "active grants", 1, activeGrants(t, s))
}

// endDuringRedemptions runs end while codes are redeemed. Whatever the order, no call fails
// because of a deadlock, and no grant stays active.
func endDuringRedemptions(t *testing.T, s *store.Store, end func(context.Context) error) {
	u, c := addUser(t, s, "john.doe"), addClient(t, s, "app")
	const each = 8
	code := func(i, j int) string { return strconv.Itoa(i) + "/" + strconv.Itoa(j) }
	for i := range racers {
		for j := range each {
			addCode(t, s, code(i, j), u, c)
		}
	}
	g := grantOf(newCode("", u, c))
	begun := make(chan struct{}, 1)
	ctx, cancel := context.WithTimeout(t.Context(), raceTimeout)
	defer cancel()
	errs := atOnce(ctx, racers, func(ctx context.Context, i int) error {
		if i == 0 {
			<-begun
			return end(ctx)
		}
		for j := range each {
			_, err := s.RedeemCode(ctx, code(i, j), g)
			if err != nil && !errors.Is(err, grant.ErrInactive) && !errors.Is(err, grant.ErrClientChanged) &&
				!errors.Is(err, grant.ErrCodeUnknown) {
				return err
			}
			select {
			case begun <- struct{}{}:
			default:
			}
		}
		return nil
	})
	for _, err := range errs {
		must(t, err)
	}
	same(t, "active grants", 0, activeGrants(t, s))
}
