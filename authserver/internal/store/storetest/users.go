package storetest

import (
	"context"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
	"github.com/hallpass-auth/hallpass/authserver/internal/record"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
)

var userTests = []test{
	{"a user is read back unchanged", testUserRoundTrip},
	{"changing a user", testUpdateUser},
	{"concurrent changes of a user", testRaceToUpdateUser},
	{"times are stored to the second, in UTC", testUserTimes},
	{"a username is unique", testUsernameUnique},
	{"a user id is unique and has the prefix of users", testUserID},
	{"usernames are case-sensitive", testUsernameCase},
	{"usernames that look the same are refused", testTwinRefused},
	{"demo users", testDemoUser},
	{"the demo is made once", testDemoMade},
	{"the first key of unknown usernames is kept", testNameKey},
	{"password hashes are counted by cost", testPasswordCosts},
	{"what commands change is kept for the log", testAdminEvents},
	{"concurrent servers take each event once", testRaceForEvents},
	{"unusual usernames", testOddUsernames},
	{"users are listed by username, in byte order", testUsersInOrder},
	{"calls for an unknown user", testNoUser},
	{"setting a password", testSetPassword},
	{"disabling and enabling a user", testDisable},
	{"deleting a user", testDeleteUser},
	{"a hash is replaced only if it is the old one", testReplaceHash},
	{"revoking one user's grants keeps those of others", testOthersKeepGrants},
}

func testUserRoundTrip(t *testing.T, s *store.Store) {
	want := newUser("john.doe")
	must(t, s.CreateUser(t.Context(), want))
	expectUser(t, s, want)
	got, err := s.UserByID(t.Context(), want.ID)
	must(t, err)
	same(t, "user by id", want, got)
	if !got.Active() || !got.LastLoginAt.IsZero() {
		t.Errorf("new user: active %v, last login %v; want true, none", got.Active(), got.LastLoginAt)
	}
}

// A change keeps what it is not about.
func testUpdateUser(t *testing.T, s *store.Store) {
	ctx := t.Context()
	want, other := newUser("john.doe"), addUser(t, s, "jane.smith")
	want.Email, want.EmailVerified, want.Groups = "john@example.com", true, []string{"admins", "staff"}
	must(t, s.CreateUser(ctx, want))
	expectUser(t, s, want)
	original := want
	want.Name, want.Email, want.EmailVerified, want.Groups = "Johnny", "", false, nil
	want.UpdatedAt = start.Add(time.Hour)
	got, err := s.UpdateUser(ctx, "john.doe", want.UpdatedAt, func(u account.User) (account.User, error) {
		same(t, "user to change", original, u)
		u.Name, u.Email, u.EmailVerified, u.Groups = "Johnny", "", false, nil
		u.Username, u.PasswordHash, u.DisabledAt = want.Username, "ignored", time.Time{}
		return u, nil
	})
	must(t, err)
	got.PasswordHash = want.PasswordHash
	same(t, "returned user", want, got)
	expectUser(t, s, want)
	expectUser(t, s, other)

	_, err = s.UpdateUser(ctx, "nobody", start, func(u account.User) (account.User, error) { return u, nil })
	expect(t, "changing nobody", err, record.ErrNotFound)
	_, err = s.UpdateUser(ctx, "john.doe", start, func(account.User) (account.User, error) {
		return account.User{}, account.ErrBadIdentity
	})
	expect(t, "a change that fails", err, account.ErrBadIdentity)
	expectUser(t, s, want)
}

// Of concurrent changes none is lost.
func testRaceToUpdateUser(t *testing.T, s *store.Store) {
	addUser(t, s, "john.doe")
	const changes = 8
	var wg sync.WaitGroup
	for i := range changes {
		wg.Go(func() {
			_, err := s.UpdateUser(t.Context(), "john.doe", start, func(u account.User) (account.User, error) {
				u.Groups = append(u.Groups, strconv.Itoa(i))
				return u, nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	got, err := s.UserByUsername(t.Context(), "john.doe")
	must(t, err)
	if len(got.Groups) != changes {
		t.Errorf("groups %v, want %d", got.Groups, changes)
	}
}

func testUserTimes(t *testing.T, s *store.Store) {
	u := newUser("john.doe")
	zone := time.FixedZone("two hours east", 2*60*60)
	u.CreatedAt = start.Add(123456789 * time.Nanosecond).In(zone)
	u.LastLoginAt = start.Add(time.Hour).In(zone)
	u.DisabledAt = start.Add(2 * time.Hour).In(zone)
	must(t, s.CreateUser(t.Context(), u))

	u.CreatedAt, u.LastLoginAt, u.DisabledAt = start, start.Add(time.Hour), start.Add(2*time.Hour)
	expectUser(t, s, u) // cmp compares the instants only
	got, err := s.UserByUsername(t.Context(), u.Username)
	must(t, err)
	for _, at := range []time.Time{got.CreatedAt, got.LastLoginAt, got.DisabledAt} {
		if at.Location() != time.UTC {
			t.Errorf("time %v is not in UTC", at)
		}
	}
}

func testUsernameUnique(t *testing.T, s *store.Store) {
	first := addUser(t, s, "john.doe")
	second := newUser("john.doe")
	second.ID, second.Name, second.PasswordHash = account.IDPrefix+"another", "An impostor", "hash"
	expect(t, "creating a user with the same username", s.CreateUser(t.Context(), second), record.ErrExists)
	expectUser(t, s, first)
}

// A user's id can never equal a client_id (RFC 9700 section 4.15.1).
func testUserID(t *testing.T, s *store.Store) {
	first := addUser(t, s, "john.doe")
	second := newUser("jane.smith")
	second.ID = first.ID
	if s.CreateUser(t.Context(), second) == nil {
		t.Error("two users were created with one id")
	}
	second.ID = "app"
	if s.CreateUser(t.Context(), second) == nil {
		t.Error("a user was created with an id that a client could have")
	}
	_, err := s.UserByUsername(t.Context(), second.Username)
	expect(t, "reading a user that was not created", err, record.ErrNotFound)
}

func testUsernameCase(t *testing.T, s *store.Store) {
	expectUser(t, s, addUser(t, s, "John.Doe"))
	for _, username := range []string{
		"JOHN.DOE", "john.doe", "John.doe", "John.Doe ", " John.Doe", "John_Doe", "John%", "",
	} {
		_, err := s.UserByUsername(t.Context(), username)
		expect(t, username, err, record.ErrNotFound)
	}
}

// Two users who can be mistaken for each other cannot both be added.
func testTwinRefused(t *testing.T, s *store.Store) {
	first := addUser(t, s, "john.doe")
	for _, name := range []string{
		"John.Doe", "j\u043ehn.doe", "ｊohn.doe", "john.doe\ufe0f", "jo\u200bhn.doe", "j0hn.doe",
	} {
		err := s.CreateUser(t.Context(), newUser(name))
		expect(t, name, err, record.ErrExists)
		if err != nil && !strings.Contains(err.Error(), `"john.doe" looks the same`) {
			t.Errorf("%q: the error is %v, want one that names the other user", name, err)
		}
	}
	expectUser(t, s, first)
	addUser(t, s, "jöhn.doe")
	must(t, s.DeleteUser(t.Context(), "john.doe", start))
	addUser(t, s, "John.Doe")
}

func testDemoUser(t *testing.T, s *store.Store) {
	c, other := addClient(t, s, "app"), addUser(t, s, "jane.smith")
	u := newUser("john.doe")
	u.Demo = true
	must(t, s.CreateUser(t.Context(), u))
	expectUser(t, s, u)
	g, kept := addGrant(t, s, u, c), addGrant(t, s, other, c)
	must(t, s.StartSession(t.Context(), store.NewSession{
		Digest: "demo", User: u, CreatedAt: start, ExpiresAt: start.Add(time.Hour),
	}))
	must(t, s.StartSession(t.Context(), store.NewSession{
		Digest: "other", User: other, CreatedAt: start, ExpiresAt: start.Add(time.Hour),
	}))
	has := func(username string) bool {
		t.Helper()
		has, err := s.HasDemoUsers(t.Context(), []string{"nobody", username})
		must(t, err)
		return has
	}
	same(t, "john.doe is a demo user", true, has("john.doe"))
	same(t, "jane.smith is a demo user", false, has("jane.smith"))
	must(t, s.EndDemo(t.Context(), []string{u.Username, "nobody", other.Username}, start))
	expectGrant(t, s, revokedAt(g, start))
	expectGrant(t, s, kept)
	_, _, err := s.SessionUser(t.Context(), "demo", start)
	expect(t, "the session of the demo user", err, record.ErrNotFound)
	_, _, err = s.SessionUser(t.Context(), "other", start)
	must(t, err)

	must(t, s.SetPassword(t.Context(), u.Username, "another hash", start))
	got, err := s.UserByID(t.Context(), u.ID)
	must(t, err)
	same(t, "demo user with another password", false, got.Demo)
	same(t, "john.doe has the demo's password", false, has("john.doe"))
}

func testDemoMade(t *testing.T, s *store.Store) {
	for _, want := range []bool{false, true} {
		made, err := s.DemoMade(t.Context())
		must(t, err)
		same(t, "demo made", want, made)
		must(t, s.SetDemoMade(t.Context()))
		must(t, s.SetDemoMade(t.Context()))
	}
}

func testNameKey(t *testing.T, s *store.Store) {
	for _, fresh := range []string{"first", "second"} {
		key, err := s.NameKey(t.Context(), fresh)
		must(t, err)
		same(t, "name key", "first", key)
	}
}

func testPasswordCosts(t *testing.T, s *store.Store) {
	const end = "$MDEyMzQ1Njc4OWFiY2RlZg$ST+AOqQNYyzjhyCcXYjtCRPvCtGjxprm9zU7k7FwvT0"
	for i, hash := range []string{
		"$2a$12$x", "$2b$12$x", "$2a$12$y", "$2a$10$x", "", "not a hash", "$2a$99$x", "$2a$31$x",
		"$argon2id$v=19$m=7168,t=5,p=1" + end, "$argon2id$v=19$m=7168,t=5,p=1$AAAA" + end[5:],
		"$pbkdf2-sha256$i=27500" + end, "$argon2id$v=19$m=99999999,t=5,p=1" + end,
	} {
		u := newUser("user " + strconv.Itoa(i+2))
		u.PasswordHash = hash
		must(t, s.CreateUser(t.Context(), u))
	}
	counts, err := s.PasswordCosts(t.Context())
	must(t, err)
	got := map[string]int64{}
	for _, c := range counts {
		got[c.Cost] += c.Count
	}
	same(t, "costs", map[string]int64{
		"$2a$10$": 1, "$2a$12$": 2, "$2b$12$": 1, "$argon2id$v=19$m=7168,t=5,p=1$": 2, "$pbkdf2-sha256$i=27500$": 1,
	}, got)
}

func testOddUsernames(t *testing.T, s *store.Store) {
	names := []string{
		"o'brien", `"quoted"`, `back\slash`, "100%", "a_b", "axb", "*", "?", "$1", ":name", "{{serial}}",
		"x'; DROP TABLE users; --", "--", "/* x */", "NULL", "0", "with a space",
		"josé", "jose", "ß", "Σίσυφος", "日本語", "😀", "ﬁ",
		strings.Repeat("é", 64), strings.Repeat("x", 128),
	}
	for _, name := range names {
		addUser(t, s, name)
	}
	for _, name := range names {
		expectUser(t, s, newUser(name))
	}
	for _, name := range names {
		must(t, s.DeleteUser(t.Context(), name, start))
		_, err := s.UserByUsername(t.Context(), name)
		expect(t, name, err, record.ErrNotFound)
	}
}

func testUsersInOrder(t *testing.T, s *store.Store) {
	ordered := []string{"10", "9", "Anna", "Zoe", "_x", "ann", "anna.b", "annab", "bob", "zoey", "Ärger", "éa"}
	for i := range ordered { // not in the order in which they are listed
		addUser(t, s, ordered[(i*5)%len(ordered)])
	}
	users, err := s.Users(t.Context(), record.Page{})
	must(t, err)
	var got []string
	for _, u := range users {
		got = append(got, u.Username)
		same(t, "listed user", newUser(u.Username), u)
	}
	same(t, "usernames", ordered, got)
}

func testNoUser(t *testing.T, s *store.Store) {
	ctx := t.Context()
	_, err := s.UserByUsername(ctx, "nobody")
	expect(t, "UserByUsername", err, record.ErrNotFound)
	_, err = s.UserByID(ctx, account.IDPrefix+"nobody")
	expect(t, "UserByID", err, record.ErrNotFound)
	expect(t, "SetPassword", s.SetPassword(ctx, "nobody", "hash", start), record.ErrNotFound)
	expect(t, "DisableUser", s.DisableUser(ctx, "nobody", start), record.ErrNotFound)
	expect(t, "EnableUser", s.EnableUser(ctx, "nobody", start), record.ErrNotFound)
	expect(t, "DeleteUser", s.DeleteUser(ctx, "nobody", start), record.ErrNotFound)
	expect(t, "ReplaceHash", s.ReplaceHash(ctx, account.IDPrefix+"nobody", "old", "new"), nil)
	testFresh(t, s)
}

// A new password revokes the grants of the old one (RFC 9700 section 4.14.2).
func testSetPassword(t *testing.T, s *store.Store) {
	u, c := addUser(t, s, "john.doe"), addClient(t, s, "app")
	g := addGrant(t, s, u, c)
	changed := start.Add(time.Minute)
	mine, other := key(u.ID, "192.0.2.1"), key("another id", "192.0.2.1")
	for _, k := range []account.FailureKey{mine, other} {
		fail(t, s, k, start, 1)
	}
	must(t, s.SetPassword(t.Context(), u.Username, "another hash", changed))
	expectCounts(t, s, mine, 0, 0)
	expectCounts(t, s, other, 1, 1)

	u.PasswordHash, u.PasswordVersion, u.LastLoginAt = "another hash", 1, start
	expectUser(t, s, u)
	g = revokedAt(g, changed)
	expectGrant(t, s, g)

	// A login with the old password that is still in progress starts no grant.
	_, err := s.StartGrant(t.Context(), newGrant(u, c))
	expect(t, "a login with the old password", err, grant.ErrInactive)

	// Only grants that exist are revoked, and only once.
	later := newGrant(u, c)
	later.PasswordVersion = u.PasswordVersion
	later.Number, err = s.StartGrant(t.Context(), later)
	must(t, err)
	later.PasswordVersion = 0 // compared, not stored
	must(t, s.DisableUser(t.Context(), u.Username, changed.Add(time.Minute)))
	expectGrant(t, s, g)
	later = revokedAt(later, changed.Add(time.Minute))
	expectGrant(t, s, later)
}

func testDisable(t *testing.T, s *store.Store) {
	u, c := addUser(t, s, "john.doe"), addClient(t, s, "app")
	g := addGrant(t, s, u, c)
	u.LastLoginAt = start
	disabled := start.Add(time.Minute)
	must(t, s.DisableUser(t.Context(), u.Username, disabled))
	must(t, s.DisableUser(t.Context(), u.Username, disabled.Add(time.Hour)))

	g = revokedAt(g, disabled)
	expectGrant(t, s, g)
	again := u
	again.DisabledAt = disabled // the first time counts
	expectUser(t, s, again)

	must(t, s.EnableUser(t.Context(), u.Username, start))
	must(t, s.EnableUser(t.Context(), u.Username, start)) // already enabled
	expectUser(t, s, u)
	expectGrant(t, s, g) // still revoked
	addGrant(t, s, u, c)
}

// The grant of a deleted user is kept until its last token has expired, for its bit in the
// status list.
func testDeleteUser(t *testing.T, s *store.Store) {
	u, c := addUser(t, s, "john.doe"), addClient(t, s, "app")
	g := addGrant(t, s, u, c)
	deleted := start.Add(time.Minute)
	must(t, s.DeleteUser(t.Context(), u.Username, deleted))

	g = revokedAt(g, deleted)
	g.UserID = ""
	expectGrant(t, s, g)
	_, err := s.UserByID(t.Context(), u.ID)
	expect(t, "reading a deleted user", err, record.ErrNotFound)
	expect(t, "deleting a user twice", s.DeleteUser(t.Context(), u.Username, deleted), record.ErrNotFound)

	// The username can be used again, and the new user has nothing of the old one's.
	namesake := newUser("john.doe")
	namesake.ID = account.IDPrefix + "namesake"
	must(t, s.CreateUser(t.Context(), namesake))
	expectUser(t, s, namesake)
}

func testReplaceHash(t *testing.T, s *store.Store) {
	u, other := addUser(t, s, "john.doe"), addUser(t, s, "jane.smith")
	must(t, s.ReplaceHash(t.Context(), u.ID, "not the hash", "new"))
	expectUser(t, s, u)
	must(t, s.ReplaceHash(t.Context(), u.ID, u.PasswordHash, "new"))
	u.PasswordHash = "new"
	expectUser(t, s, u)
	expectUser(t, s, other)
}

func testOthersKeepGrants(t *testing.T, s *store.Store) {
	ctx := t.Context()
	c, other := addClient(t, s, "app"), addUser(t, s, "jane.smith")
	kept := addGrant(t, s, other, c)
	for _, name := range []string{"set", "disable", "delete"} {
		addGrant(t, s, addUser(t, s, name), c)
	}
	must(t, s.SetPassword(ctx, "set", "hash", start))
	must(t, s.DisableUser(ctx, "disable", start))
	must(t, s.DeleteUser(ctx, "delete", start))
	expectGrant(t, s, kept)
	same(t, "active grants", 1, activeGrants(t, s))
}

func testAdminEvents(t *testing.T, s *store.Store) {
	ctx := t.Context()
	addUser(t, s, "john.doe")
	addClient(t, s, "app")
	expect(t, "disabling nobody", s.DisableUser(ctx, "nobody", start), record.ErrNotFound)
	must(t, s.DisableUser(ctx, "john.doe", start))
	must(t, s.EnableUser(ctx, "john.doe", start))
	must(t, s.SetPassword(ctx, "john.doe", "hash", start))
	must(t, s.DeleteUser(ctx, "john.doe", start))
	must(t, s.SetClientSecret(ctx, "app", "digest", start))
	must(t, s.ReplaceClientSecret(ctx, "app", "digest", start))
	must(t, s.DeleteClient(ctx, "app", start))
	var got []string
	for range 4 {
		events, err := s.TakeAdminEvents(ctx, 3)
		must(t, err)
		for _, e := range events {
			got = append(got, e.Event+" "+e.Subject)
		}
	}
	same(t, "events", []string{
		"user_added john.doe", "user_disabled john.doe", "user_enabled john.doe", "user_password_set john.doe",
		"user_deleted john.doe", "client_secret_set app", "client_secret_replaced app", "client_deleted app",
	}, got)
}

func testRaceForEvents(t *testing.T, s *store.Store) {
	const users = 40
	for i := range users {
		addUser(t, s, "user "+strconv.Itoa(i+20))
	}
	var taken atomic.Int64
	for _, err := range atOnce(t.Context(), racers, func(ctx context.Context, _ int) error {
		for range users {
			events, err := s.TakeAdminEvents(ctx, 3)
			if err != nil {
				return err
			}
			taken.Add(int64(len(events)))
		}
		return nil
	}) {
		must(t, err)
	}
	same(t, "events", int64(users), taken.Load())
}
