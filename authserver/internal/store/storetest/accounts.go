package storetest

import (
	"context"
	"testing"
	"time"

	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/client"
	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
	"github.com/hallpass-auth/hallpass/authserver/internal/mail"
	"github.com/hallpass-auth/hallpass/authserver/internal/record"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
)

var accountTests = []test{
	{"a user changes the display name", testChangeName},
	{"a user changes the password and keeps the session", testChangePassword},
	{"a renewed session leaves nothing to a copy of its cookie", testRenewal},
	{"concurrent changes of one password", testRaceForPassword},
	{"a user ends all other logins", testEndOtherLogins},
	{"a user ends one login", testEndLogin},
	{"a user deletes the account", testDeleteAccount},
	{"a mail about an account that was deleted", testMailAboutDeletion},
	{"where logins came from", testPlaces},
	{"the grant of a device has the place of the device", testPlaceOfDevice},
	{"places are forgotten", testForgetPlaces},
	{"what clients may do for a user", testAccess},
	{"what else is stored about a user", testRemainder},
}

var (
	home   = account.Place{Address: "192.0.2.1", Agent: "Firefox on Linux"}
	office = account.Place{Address: "2001:db8::1", Agent: "curl"}
)

// addSessionAt adds a session of a login at start from a place.
func addSessionAt(t testing.TB, s *store.Store, digest string, u account.User, place account.Place) {
	t.Helper()
	must(t, s.StartSession(t.Context(), store.NewSession{
		Digest: digest, User: u, Place: place, CreatedAt: start, ExpiresAt: start.Add(sessionLength),
	}))
}

func testChangeName(t *testing.T, s *store.Store) {
	ctx := t.Context()
	u, gone := addUser(t, s, "john.doe"), addUser(t, s, "gone")
	later := start.Add(time.Hour)
	must(t, s.ChangeName(ctx, u.ID, "J. Doe", later))
	u.Name, u.UpdatedAt = "J. Doe", later
	expectUser(t, s, u)
	must(t, s.DisableUser(ctx, "gone", start))
	for _, id := range []string{gone.ID, "usr_nobody", ""} {
		expect(t, "changing the name of "+id, s.ChangeName(ctx, id, "X", later), record.ErrNotFound)
	}
}

// kept renews a session with the cookie that it has.
func kept(session string) account.Renewal { return account.Renewal{From: session, To: session} }

func testChangePassword(t *testing.T, s *store.Store) {
	ctx := t.Context()
	u, other, c := addUser(t, s, "john.doe"), addUser(t, s, "jane.smith"), addClient(t, s, "app")
	addSession(t, s, "here", u)
	addSession(t, s, "elsewhere", u)
	addSession(t, s, "jane's", other)
	here, hers := addSessionGrant(t, s, "here", u, c), addSessionGrant(t, s, "jane's", other, c)
	ended := []grant.Grant{addSessionGrant(t, s, "elsewhere", u, c), addGrant(t, s, u, c)}
	key := account.NewFailureKey(u.ID, "192.0.2.9")
	_, err := s.ReserveTry(ctx, key, start)
	must(t, err)

	later := start.Add(time.Minute)
	must(t, s.ChangePassword(ctx, u, "$2a$04$new", kept("here"), later))
	expectSession(t, s, "here", nil)
	expectSession(t, s, "elsewhere", record.ErrNotFound)
	expectSession(t, s, "jane's", nil)
	for _, g := range []grant.Grant{
		hers, revokedAt(here, later), revokedAt(ended[0], later), revokedAt(ended[1], later),
	} {
		expectGrant(t, s, g)
	}
	changed, err := s.UserByID(ctx, u.ID)
	must(t, err)
	same(t, "hash", "$2a$04$new", changed.PasswordHash)
	same(t, "version", u.PasswordVersion+1, changed.PasswordVersion)
	failures, err := s.LoginFailures(ctx, key, start)
	must(t, err)
	same(t, "failures", account.LoginFailures{}, failures)
	same(t, "mails", []mail.Request{{Kind: mail.PasswordChanged, UserID: u.ID, CreatedAt: later, Attempts: 1}},
		withoutIDs(takeMails(t, s, later)))

	// The password that was checked is not the current one any longer.
	expect(t, "an old version", s.ChangePassword(ctx, u, "hash", kept("here"), later), account.ErrChanged)
	must(t, s.DisableUser(ctx, u.Username, later))
	expect(t, "a disabled user", s.ChangePassword(ctx, changed, "hash", kept("here"), later), account.ErrChanged)
}

// After a change of the password, a copied cookie is worthless: no code and no grant comes from it (RFC 6749 section
// 10.5).
func testRenewal(t *testing.T, s *store.Store) {
	ctx := t.Context()
	u, c := addUser(t, s, "john.doe"), addClient(t, s, "app")
	addSession(t, s, "copied", u)
	_, login, err := s.SessionUser(ctx, "copied", start)
	must(t, err)
	must(t, s.ChangePassword(ctx, u, "$2a$04$new", account.Renewal{From: "copied", To: "new"}, start))
	expectSession(t, s, "copied", record.ErrNotFound)
	expectSession(t, s, "new", nil)
	_, renewed, err := s.SessionUser(ctx, "new", start)
	must(t, err)
	if renewed.SessionID == login.SessionID || !renewed.At.Equal(login.At) {
		t.Errorf("the renewed login is %+v, the one before %+v", renewed, login)
	}
	code := newCode("code", u, c)
	code.Session = "copied" // of a request that has read the session before
	must(t, s.CreateCode(ctx, code))
	_, err = s.RedeemCode(ctx, "code", grantOf(code))
	expect(t, "its code", err, grant.ErrCodeUnknown)
}

func withoutIDs(mails []mail.Request) []mail.Request {
	for i := range mails {
		mails[i].ID = 0
	}
	return mails
}

// Of two changes that both know the current password, one succeeds.
func testRaceForPassword(t *testing.T, s *store.Store) {
	u := addUser(t, s, "john.doe")
	addSession(t, s, "here", u)
	won := 0
	for _, err := range atOnce(t.Context(), 8, func(ctx context.Context, _ int) error {
		return s.ChangePassword(ctx, u, "$2a$04$new", kept("here"), start)
	}) {
		if err == nil {
			won++
			continue
		}
		expect(t, "the others", err, account.ErrChanged)
	}
	same(t, "changes", 1, won)
	expectSession(t, s, "here", nil)
}

func testEndOtherLogins(t *testing.T, s *store.Store) {
	ctx := t.Context()
	u, other, c := addUser(t, s, "john.doe"), addUser(t, s, "jane.smith"), addClient(t, s, "app")
	addSession(t, s, "here", u)
	addSession(t, s, "elsewhere", u)
	addSession(t, s, "jane's", other)
	kept, hers := addSessionGrant(t, s, "here", u, c), addSessionGrant(t, s, "jane's", other, c)
	away, loose := addSessionGrant(t, s, "elsewhere", u, c), addGrant(t, s, u, c)
	must(t, s.EndOtherLogins(ctx, u.ID, "here", start))
	must(t, s.EndOtherLogins(ctx, u.ID, "here", start.Add(time.Hour)))
	expectSession(t, s, "here", nil)
	expectSession(t, s, "elsewhere", record.ErrNotFound)
	expectSession(t, s, "jane's", nil)
	for _, g := range []grant.Grant{kept, hers, revokedAt(away, start), revokedAt(loose, start)} {
		expectGrant(t, s, g)
	}
	expect(t, "nobody", s.EndOtherLogins(ctx, "usr_nobody", "here", start), record.ErrNotFound)
}

func testEndLogin(t *testing.T, s *store.Store) {
	ctx := t.Context()
	u, other, c := addUser(t, s, "john.doe"), addUser(t, s, "jane.smith"), addTold(t, s, "app")
	addSession(t, s, "here", u)
	ended, left := addOpenIDGrant(t, s, "here", u, c), addGrant(t, s, u, c)
	for _, id := range []string{other.ID, "usr_nobody", ""} {
		expect(t, "ending a login of another user", s.EndLogin(ctx, id, ended.Number, start), record.ErrNotFound)
		expectGrant(t, s, ended)
	}
	same(t, "notices", []string{}, takeNotices(t, s, start))
	must(t, s.EndLogin(ctx, u.ID, ended.Number, start))
	expect(t, "again", s.EndLogin(ctx, u.ID, ended.Number, start.Add(time.Hour)), record.ErrNotFound)
	expectGrant(t, s, revokedAt(ended, start))
	expectGrant(t, s, left)
	same(t, "notices", []string{told("app", u, "here")}, takeNotices(t, s, start))
}

func testDeleteAccount(t *testing.T, s *store.Store) {
	ctx := t.Context()
	u, other, c := addUser(t, s, "john.doe"), addUser(t, s, "jane.smith"), addClient(t, s, "app")
	addSession(t, s, "here", u)
	g, hers := addSessionGrant(t, s, "here", u, c), addGrant(t, s, other, c)
	u.LastLoginAt, other.LastLoginAt = start, start
	stale := u
	stale.PasswordVersion++
	expect(t, "another password", s.DeleteAccount(ctx, stale, start), account.ErrChanged)
	expectUser(t, s, u)
	must(t, s.DeleteAccount(ctx, u, start))
	expect(t, "again", s.DeleteAccount(ctx, u, start), account.ErrChanged)
	expectSession(t, s, "here", record.ErrNotFound)
	g = revokedAt(g, start)
	g.UserID, g.Session = "", ""
	expectGrant(t, s, g)
	expectGrant(t, s, hers)
	expectUser(t, s, other)
}

// The request for the mail has the address and the language, until it is sent.
func testMailAboutDeletion(t *testing.T, s *store.Store) {
	ctx := t.Context()
	addUser(t, s, "nobody") // without a verified address
	must(t, s.DeleteUser(ctx, "nobody", start))
	same(t, "mails", 0, len(takeMails(t, s, start)))

	deletions := map[string]func(account.User) error{
		"a user":           func(u account.User) error { return s.DeleteAccount(ctx, u, start) },
		"an administrator": func(u account.User) error { return s.DeleteUser(ctx, u.Username, start) },
	}
	for by, remove := range deletions {
		u := addReachable(t, s, "ada", "ada@example.com")
		session := store.NewSession{Digest: "session of " + by, User: u, Language: "ko", CreatedAt: start,
			ExpiresAt: start.Add(sessionLength)}
		must(t, s.StartSession(ctx, session))
		must(t, s.AddMails(ctx, mail.Request{Kind: mail.PasswordChanged, UserID: u.ID, CreatedAt: start}))
		must(t, remove(u))
		taken := takeMails(t, s, start)
		if len(taken) != 1 {
			t.Fatalf("%s: the mails %+v", by, taken)
		}
		same(t, by, mail.Request{
			ID: taken[0].ID, Kind: mail.AccountDeleted, Typed: "ada@example.com", Language: "ko", CreatedAt: start,
			Attempts: 1,
		}, taken[0])
		must(t, s.FinishMailRequest(ctx, taken[0]))
		same(t, "mails that are left", 0, len(takeMails(t, s, start.Add(time.Hour))))
	}
}

// A grant has the place of its session, or the place that the request came from.
func testPlaces(t *testing.T, s *store.Store) {
	ctx := t.Context()
	u, other, c := addUser(t, s, "john.doe"), addUser(t, s, "jane.smith"), addClient(t, s, "app")
	addSessionAt(t, s, "old", u, office)
	must(t, s.StartSession(ctx, store.NewSession{
		Digest: "here", Old: "old", User: u, Place: home, CreatedAt: start, ExpiresAt: start.Add(sessionLength),
	}))
	addSessionAt(t, s, "jane's", other, office)
	sessions, err := s.BrowserSessions(ctx, u.ID, start, 10)
	must(t, err)
	same(t, "sessions", []store.BrowserSession{{
		Digest: "here", CreatedAt: start, ExpiresAt: start.Add(sessionLength), Methods: []string{"pwd"}, Place: home,
	}}, sessions)
	sessions, err = s.BrowserSessions(ctx, u.ID, start.Add(sessionLength), 10)
	must(t, err)
	same(t, "expired sessions", 0, len(sessions))

	inSession, byPassword := newGrant(u, c), newGrant(u, c)
	inSession.Session, inSession.Place, byPassword.Place = "here", office, office
	inSession, byPassword = startGrant(t, s, inSession), startGrant(t, s, byPassword)
	revoked := addGrant(t, s, u, c)
	_, err = s.RevokeGrant(ctx, revoked.Number, start)
	must(t, err)
	login := func(g grant.Grant, place account.Place) store.AppLogin {
		return store.AppLogin{
			Number: g.Number, Type: oauth.GrantPassword, ClientID: c.ID, ClientName: c.Name, Session: g.Session,
			Scope: g.Scope, CreatedAt: start, ExpiresAt: start.Add(lifetime), Place: place,
		}
	}
	logins, err := s.AppLogins(ctx, u.ID, start, 10)
	must(t, err)
	want := []store.AppLogin{login(byPassword, office), login(inSession, home)}
	same(t, "logins", want, logins)
	logins, err = s.AppLogins(ctx, u.ID, start, 1)
	must(t, err)
	same(t, "the newest login", want[:1], logins)
	all, err := s.GrantsOf(ctx, u.ID, 10)
	must(t, err)
	same(t, "grants", 3, len(all))
	same(t, "revoked at", start, all[0].RevokedAt)
}

func testPlaceOfDevice(t *testing.T, s *store.Store) {
	ctx := t.Context()
	u, c := addUser(t, s, "john.doe"), addClient(t, s, "tv")
	addSessionAt(t, s, "browser", u, home)
	d := addDevice(t, s, "tv", c)
	must(t, s.ApproveDevice(ctx, d.UserCode, "browser", approvalOf(d, u, start)))
	g := approvalOf(d, u, start)
	g.Place = office
	_, err := s.RedeemDevice(ctx, d.Digest, g)
	must(t, err)
	logins, err := s.AppLogins(ctx, u.ID, start, 10)
	must(t, err)
	same(t, "places", office, logins[0].Place)
	same(t, "session", "", logins[0].Session)
}

func testForgetPlaces(t *testing.T, s *store.Store) {
	ctx := t.Context()
	u, c := addUser(t, s, "john.doe"), addClient(t, s, "app")
	old, recent := newGrant(u, c), newGrant(u, c)
	old.Place, old.ExpiresAt = home, start.Add(account.PlaceMemory*2)
	recent.Place, recent.ExpiresAt, recent.CreatedAt = home, old.ExpiresAt, start.Add(time.Hour)
	startGrant(t, s, old)
	startGrant(t, s, recent)
	must(t, s.ForgetPlaces(ctx, start.Add(time.Hour)))
	grants, err := s.GrantsOf(ctx, u.ID, 10)
	must(t, err)
	same(t, "the place of the recent grant", home, grants[0].Place)
	same(t, "the place of the old grant", account.Place{}, grants[1].Place)
}

func testRemainder(t *testing.T, s *store.Store) {
	ctx := t.Context()
	u := addUser(t, s, "john.doe")
	u.Email = "john@example.com"
	addClient(t, s, "app")
	for _, address := range []string{"192.0.2.1", "192.0.2.2"} {
		_, err := s.ReserveTry(ctx, account.NewFailureKey(u.ID, address), start)
		must(t, err)
	}
	failed, err := s.RemainderOf(ctx, u.ID)
	must(t, err)
	same(t, "failed logins", int64(2), failed.FailedLogins)
	until := start.Add(account.LinkLifetime)
	must(t, s.CreateLink(ctx, account.Link{
		Digest: "x", Kind: account.ResetLink, User: u, CreatedAt: start, ExpiresAt: until,
	}))
	must(t, s.ChangePassword(ctx, u, "hash", kept(""), start))
	must(t, s.AddConsent(ctx, u.ID, "app", "", oauth.Scope{"profile"}, start))
	must(t, s.RevokeConsent(ctx, u.ID, "app", start))
	got, err := s.RemainderOf(ctx, u.ID)
	must(t, err)
	same(t, "the rest", store.Remainder{
		Links:       []store.StoredLink{{Kind: "reset_password", Email: u.Email, CreatedAt: start, ExpiresAt: until}},
		Mails:       []store.StoredMail{{Kind: "password_changed", CreatedAt: start}},
		Revocations: []store.ConsentRevocations{{ClientID: "app", Times: 1}},
	}, got)
	empty, err := s.RemainderOf(ctx, "usr_nobody")
	must(t, err)
	same(t, "of nobody", 0, len(empty.Links)+len(empty.Mails)+len(empty.Revocations))
}

func testAccess(t *testing.T, s *store.Store) {
	ctx := t.Context()
	u, other := addUser(t, s, "john.doe"), addUser(t, s, "jane.smith")
	app, quiet := addClient(t, s, "app"), addClient(t, s, "quiet")
	addClient(t, s, "allowed")
	addGrant(t, s, u, app)
	addGrant(t, s, u, app)
	addGrant(t, s, other, quiet)
	ended := addGrant(t, s, u, quiet)
	_, err := s.RevokeGrant(ctx, ended.Number, start)
	must(t, err)
	later := start.Add(time.Minute)
	must(t, s.AddConsent(ctx, u.ID, "app", "", oauth.Scope{"items:read", "profile"}, later))
	must(t, s.AddConsent(ctx, u.ID, "allowed", "", oauth.Scope{"profile"}, later))
	access := func(c client.Client, since time.Time, scope ...string) store.Access {
		return store.Access{ClientID: c.ID, ClientName: c.Name, Scope: scope, Since: since}
	}
	got, err := s.AccessOf(ctx, u.ID, start)
	must(t, err)
	same(t, "access", []store.Access{
		access(newClient("allowed"), later, "profile"), access(app, start, "profile", "items:read"),
	}, got)
	must(t, s.RevokeConsent(ctx, u.ID, "app", later))
	got, err = s.AccessOf(ctx, u.ID, start)
	must(t, err)
	same(t, "access that is left", []store.Access{access(newClient("allowed"), later, "profile")}, got)
}
