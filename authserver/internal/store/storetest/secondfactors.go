package storetest

import (
	"crypto/rand"
	"errors"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
	"github.com/hallpass-auth/hallpass/authserver/internal/mail"
	"github.com/hallpass-auth/hallpass/authserver/internal/record"
	"github.com/hallpass-auth/hallpass/authserver/internal/secondfactor"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
)

var secondFactorTests = []test{
	{"second factors", testSecondFactors},
	{"too many second factors", testTooManySecondFactors},
	{"the last second factor stays", testLastSecondFactorStays},
	{"a session needs the second step", testSessionNeedsSecondStep},
	{"pending logins", testPendingLogins},
	{"tries of pending logins", testTriesOfPendingLogins},
	{"a completion without a step", testCompletionWithoutStep},
	{"a code is used once", testCodeIsUsedOnce},
	{"a recovery code is used once", testRecoveryCodeIsUsedOnce},
	{"a first factor is added once", testFirstFactorIsAddedOnce},
	{"removing all second factors", testRemoveSecondFactors},
	{"mails about refused logins", testNotifyPasswordOnly},
	{"sealed keys", testSealedKeys},
}

// twoFactors are the methods of a login with a second factor.
var twoFactors = secondfactor.WithSecondFactor(grant.MethodOTP)

// newFactor returns a factor that is not in the database yet.
func newFactor(u account.User, id string) secondfactor.Factor {
	return secondfactor.Factor{
		ID: id, UserID: u.ID, Kind: secondfactor.KindTOTP, Name: "Name of " + id, Secret: "sealed " + id,
		CreatedAt: start, LastUsedAt: start, LastStep: 100,
	}
}

// addFactor adds a factor to a user, in a session.
func addFactor(t testing.TB, s *store.Store, u account.User, id, session string) {
	t.Helper()
	if session == "" {
		session = sessionOf(t, s, u)
	}
	f := newFactor(u, id)
	must(t, s.AddSecondFactor(t.Context(), u, secondfactor.Completion{
		NewFactor: &f, NewCodes: []string{"code 1 of " + id, "code 2 of " + id}, Methods: twoFactors,
	}, kept(session), start))
}

// sessionOf returns a new session of a user, who has used two factors.
func sessionOf(t testing.TB, s *store.Store, u account.User) (digest string) {
	t.Helper()
	digest = rand.Text()
	must(t, s.StartSession(t.Context(), store.NewSession{
		Digest: digest, User: u, Methods: twoFactors, CreatedAt: start,
		ExpiresAt: start.Add(sessionLength),
	}))
	return digest
}

// addPending stores a login that waits for its second step.
func addPending(t testing.TB, s *store.Store, u account.User, digest string) secondfactor.PendingLogin {
	t.Helper()
	p := secondfactor.PendingLogin{
		Digest: digest, UserID: u.ID, PasswordVersion: u.PasswordVersion, ClientID: "app",
		GrantType: "authorization_code", ContinueAt: "/authorize?client_id=app", CreatedAt: start,
		ExpiresAt: start.Add(secondfactor.PendingLifetime),
	}
	must(t, s.CreatePendingLogin(t.Context(), p, account.FailureKey{}))
	return p
}

// completed returns the session that completes a pending login.
func completed(u account.User, digest string, c secondfactor.Completion) store.NewSession {
	c.Pending = digest
	return store.NewSession{
		Digest: "session of " + digest, User: u, Methods: twoFactors, Second: &c,
		CreatedAt: start, ExpiresAt: start.Add(sessionLength),
	}
}

// wants checks an error.
func wants(t testing.TB, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: %v, want %v", what, err, want)
	}
}

// refusesOtherSessions checks that factors change only in a session of the user that is valid.
func refusesOtherSessions(t *testing.T, s *store.Store, u account.User, another string) {
	t.Helper()
	ctx, f := t.Context(), newFactor(u, "stick")
	for what, keep := range map[string]string{"ended": "elsewhere", "another user's": another} {
		wants(t, what, s.AddSecondFactor(ctx, u, secondfactor.Completion{NewFactor: &f}, kept(keep), start),
			account.ErrChanged)
		wants(t, what, s.RemoveSecondFactor(ctx, u, "phone", kept(keep), false, start), account.ErrChanged)
		wants(t, what, s.ReplaceRecoveryCodes(ctx, u, keep, []string{"d"}, start), account.ErrChanged)
	}
	late := start.Add(sessionLength)
	wants(t, "expired", s.RemoveSecondFactor(ctx, u, "phone", kept("here"), false, late), account.ErrChanged)
	changed := u
	changed.PasswordVersion++
	wants(t, "an earlier password", s.RemoveSecondFactor(ctx, changed, "phone", kept("here"), false, start),
		account.ErrChanged)
}

// A new or removed factor ends all sessions but the one in which that was done.
func testSecondFactors(t *testing.T, s *store.Store) {
	ctx := t.Context()
	u := addUser(t, s, "john")
	for _, digest := range []string{"here", "elsewhere"} {
		must(t, s.StartSession(ctx, store.NewSession{
			Digest: digest, User: u, CreatedAt: start, ExpiresAt: start.Add(sessionLength),
		}))
	}
	addPending(t, s, u, "pending")
	addFactor(t, s, u, "phone", "here")
	factors, err := s.SecondFactors(ctx, u.ID)
	must(t, err)
	if diff := cmp.Diff([]secondfactor.Factor{newFactor(u, "phone")}, factors); diff != "" {
		t.Errorf("factors (-want +got):\n%s", diff)
	}
	_, login, err := s.SessionUser(ctx, "here", start)
	if err != nil || !login.TwoFactors() {
		t.Errorf("the session goes on with %+v, %v", login, err)
	}
	_, _, err = s.SessionUser(ctx, "elsewhere", start)
	wants(t, "another session", err, record.ErrNotFound)
	_, _, err = s.PendingLogin(ctx, "pending", start)
	wants(t, "a pending login", err, secondfactor.ErrPendingUnknown)

	wants(t, "removing that of nobody",
		s.RemoveSecondFactor(ctx, u, "tablet", kept("here"), false, start), secondfactor.ErrUnknown)
	jane := addUser(t, s, "jane")
	wants(t, "removing another's",
		s.RemoveSecondFactor(ctx, jane, "phone", kept(sessionOf(t, s, jane)), false, start), secondfactor.ErrUnknown)
	wants(t, "codes of nobody",
		s.ReplaceRecoveryCodes(ctx, jane, sessionOf(t, s, jane), []string{"x"}, start), secondfactor.ErrUnknown)
	must(t, s.ReplaceRecoveryCodes(ctx, u, "here", []string{"a", "b", "c"}, start))
	data, err := s.RemainderOf(ctx, u.ID)
	must(t, err)
	same(t, "the last mail", string(mail.RecoveryCodesReplaced), data.Mails[len(data.Mails)-1].Kind)
	if n, err := s.CountRecoveryCodes(ctx, u.ID); err != nil || n != 3 {
		t.Errorf("%d recovery codes, %v", n, err)
	}
	refusesOtherSessions(t, s, u, sessionOf(t, s, jane))
	must(t, s.RemoveSecondFactor(ctx, u, "phone", kept("here"), false, start))
	if n, err := s.CountRecoveryCodes(ctx, u.ID); err != nil || n != 0 {
		t.Errorf("%d recovery codes are left, %v", n, err)
	}
	if has, err := s.HasSecondFactor(ctx, u.ID); err != nil || has {
		t.Errorf("a factor is left: %v, %v", has, err)
	}
}

func testTooManySecondFactors(t *testing.T, s *store.Store) {
	u := addUser(t, s, "john")
	for i := range secondfactor.MaxFactors {
		addFactor(t, s, u, strconv.Itoa(i), "")
	}
	f := newFactor(u, "one more")
	done := secondfactor.Completion{NewFactor: &f, Methods: twoFactors}
	err := s.AddSecondFactor(t.Context(), u, done, kept(sessionOf(t, s, u)), start)
	wants(t, "one more", err, secondfactor.ErrTooMany)
}

func testLastSecondFactorStays(t *testing.T, s *store.Store) {
	ctx := t.Context()
	u := addUser(t, s, "john")
	addFactor(t, s, u, "phone", "")
	wants(t, "the last one",
		s.RemoveSecondFactor(ctx, u, "phone", kept(sessionOf(t, s, u)), true, start), secondfactor.ErrRequired)
	addFactor(t, s, u, "tablet", "")
	must(t, s.RemoveSecondFactor(ctx, u, "phone", kept(sessionOf(t, s, u)), true, start))
	wants(t, "the last one",
		s.RemoveSecondFactor(ctx, u, "tablet", kept(sessionOf(t, s, u)), true, start), secondfactor.ErrRequired)
	if n, err := s.CountRecoveryCodes(ctx, u.ID); err != nil || n == 0 {
		t.Errorf("%d recovery codes, %v", n, err)
	}
}

// The password alone starts neither a session nor a grant of a user with a second factor. A session that a server of
// the previous version has started does not count.
func testSessionNeedsSecondStep(t *testing.T, s *store.Store) {
	ctx := t.Context()
	u := addUser(t, s, "john")
	app := newClient("app")
	must(t, s.CreateClient(ctx, app))
	addFactor(t, s, u, "phone", "")
	n := store.NewSession{Digest: "session", User: u, CreatedAt: start, ExpiresAt: start.Add(sessionLength)}
	wants(t, "a session by the password", s.StartSession(ctx, n), grant.ErrInactive)
	_, err := s.StartGrant(ctx, newGrant(u, app))
	wants(t, "a grant by the password", err, grant.ErrInactive)

	n.Methods = twoFactors
	must(t, s.StartSession(ctx, n))
	_, login, err := s.SessionUser(ctx, "session", start)
	if err != nil || !login.At.Equal(start) || login.ACR() != grant.ACRTwoFactors {
		t.Errorf("session %+v, %v", login, err)
	}
}

func testPendingLogins(t *testing.T, s *store.Store) {
	ctx := t.Context()
	u := addUser(t, s, "john")
	p := addPending(t, s, u, "pending")
	got, user, err := s.PendingLogin(ctx, "pending", start)
	if err != nil || user.ID != u.ID {
		t.Errorf("user %s, %v", user.ID, err)
	}
	if diff := cmp.Diff(p, got); diff != "" {
		t.Errorf("pending login (-want +got):\n%s", diff)
	}
	unknown := func(what, digest string, now time.Time) {
		t.Helper()
		_, _, err := s.PendingLogin(ctx, digest, now)
		wants(t, what, err, secondfactor.ErrPendingUnknown)
	}
	unknown("another one", "other", start)
	unknown("expired", "pending", p.ExpiresAt)
	unknown("of a clock that is ahead", "pending", start.Add(-time.Minute))
	changed := u
	changed.PasswordVersion++
	err = s.CreatePendingLogin(ctx, secondfactor.PendingLogin{Digest: "late", UserID: u.ID, PasswordVersion: 1,
		CreatedAt: start, ExpiresAt: p.ExpiresAt}, account.FailureKey{})
	wants(t, "an earlier password", err, grant.ErrInactive)
	must(t, s.SetPassword(ctx, u.Username, "$2a$04$another", start))
	unknown("another password", "pending", start)
	wants(t, "completing it", s.StartSession(ctx, completed(changed, "pending", secondfactor.Completion{})),
		secondfactor.ErrPendingUnknown)

	addPending(t, s, changed, "disabled")
	must(t, s.DisableUser(ctx, u.Username, start))
	unknown("a disabled user", "disabled", start)
}

// Of many tries at once, as many count as are allowed.
func testTriesOfPendingLogins(t *testing.T, s *store.Store) {
	u := addUser(t, s, "john")
	addPending(t, s, u, "pending")
	won := countWinners(t, 3*secondfactor.MaxTries, func(int) error {
		return s.TryPendingLogin(t.Context(), "pending")
	}, secondfactor.ErrPendingUnknown)
	if won != secondfactor.MaxTries {
		t.Errorf("%d tries count, want %d", won, secondfactor.MaxTries)
	}
}

// A completion that uses nothing and adds nothing is not a second step, though its login waits for one.
func testCompletionWithoutStep(t *testing.T, s *store.Store) {
	ctx, u := t.Context(), addUser(t, s, "john")
	addFactor(t, s, u, "phone", "")
	addPending(t, s, u, "pending")
	nothing := completed(u, "pending", secondfactor.Completion{Challenge: challengeOf("new")})
	wants(t, "completing with nothing", s.StartSession(ctx, nothing), secondfactor.ErrIncorrect)
	_, _, err := s.SessionUser(ctx, nothing.Digest, start)
	wants(t, "the session", err, record.ErrNotFound)
	_, _, err = s.PendingLogin(ctx, "pending", start)
	wants(t, "the pending login", err, nil)
}

// RFC 6238 section 5.2: of many logins at once with one code, one succeeds.
func testCodeIsUsedOnce(t *testing.T, s *store.Store) {
	u := addUser(t, s, "john")
	addFactor(t, s, u, "phone", "")
	const logins = 8
	for i := range logins {
		addPending(t, s, u, strconv.Itoa(i))
	}
	f := newFactor(u, "phone")
	f.LastStep++
	using := secondfactor.Completion{UsedFactor: &f, OldSecret: f.Secret}
	won := countWinners(t, logins, func(i int) error {
		return s.StartSession(t.Context(), completed(u, strconv.Itoa(i), using))
	}, secondfactor.ErrIncorrect)
	if won != 1 {
		t.Errorf("%d logins succeed with one code", won)
	}
	f.LastStep += 2
	f.LastUsedAt = start.Add(time.Minute)
	addPending(t, s, u, "later")
	must(t, s.StartSession(t.Context(), completed(u, "later", using)))
	again := completed(u, "later", using)
	wants(t, "the login again", s.StartSession(t.Context(), again),
		secondfactor.ErrPendingUnknown)
	factors, err := s.SecondFactors(t.Context(), u.ID)
	must(t, err)
	if diff := cmp.Diff([]secondfactor.Factor{f}, factors); diff != "" {
		t.Errorf("factors (-want +got):\n%s", diff)
	}
}

func testRecoveryCodeIsUsedOnce(t *testing.T, s *store.Store) {
	u := addUser(t, s, "john")
	addFactor(t, s, u, "phone", "")
	const logins = 8
	for i := range logins {
		addPending(t, s, u, strconv.Itoa(i))
	}
	won := countWinners(t, logins, func(i int) error {
		c := secondfactor.Completion{UsedCode: "code 1 of phone"}
		return s.StartSession(t.Context(), completed(u, strconv.Itoa(i), c))
	}, secondfactor.ErrIncorrect)
	if won != 1 {
		t.Errorf("%d logins succeed with one recovery code", won)
	}
	if n, err := s.CountRecoveryCodes(t.Context(), u.ID); err != nil || n != 1 {
		t.Errorf("%d recovery codes are left, %v", n, err)
	}
}

// The password alone adds the first factor, and never another one.
func testFirstFactorIsAddedOnce(t *testing.T, s *store.Store) {
	ctx := t.Context()
	u := addUser(t, s, "john")
	const logins = 8
	for i := range logins {
		addPending(t, s, u, strconv.Itoa(i))
	}
	won := countWinners(t, logins, func(i int) error {
		f := newFactor(u, "phone "+strconv.Itoa(i))
		return s.StartSession(ctx, completed(u, strconv.Itoa(i), secondfactor.Completion{NewFactor: &f}))
	}, secondfactor.ErrPendingUnknown)
	factors, err := s.SecondFactors(ctx, u.ID)
	if won != 1 || err != nil || len(factors) != 1 {
		t.Errorf("%d logins succeed, with %d factors, %v", won, len(factors), err)
	}
}

func testRemoveSecondFactors(t *testing.T, s *store.Store) {
	ctx := t.Context()
	u := addUser(t, s, "john")
	addFactor(t, s, u, "phone", "")
	addFactor(t, s, u, "tablet", "")
	must(t, s.StartSession(ctx, store.NewSession{
		Digest: "session", User: u, Methods: twoFactors, CreatedAt: start,
		ExpiresAt: start.Add(sessionLength),
	}))
	if n, err := s.RemoveSecondFactors(ctx, "john", start); err != nil || n != 2 {
		t.Errorf("%d factors, %v", n, err)
	}
	_, _, err := s.SessionUser(ctx, "session", start)
	wants(t, "the session", err, record.ErrNotFound)
	if has, err := s.HasSecondFactor(ctx, u.ID); err != nil || has {
		t.Errorf("a factor is left: %v, %v", has, err)
	}
	_, err = s.RemoveSecondFactors(ctx, "nobody", start)
	wants(t, "nobody", err, record.ErrNotFound)
}

// A user gets one mail an hour about logins by the password alone.
func testNotifyPasswordOnly(t *testing.T, s *store.Store) {
	u := addUser(t, s, "john")
	for _, after := range []time.Duration{0, time.Second, 59 * time.Minute, time.Hour} {
		must(t, s.NotifyPasswordOnly(t.Context(), u.ID, start.Add(after)))
	}
	data, err := s.RemainderOf(t.Context(), u.ID)
	must(t, err)
	if len(data.Mails) != 2 {
		t.Errorf("%d mails, want 2", len(data.Mails))
	}
}

func testSealedKeys(t *testing.T, s *store.Store) {
	ctx := t.Context()
	first := []secondfactor.SealedKey{{KeyID: "k1", Sealed: "first by k1"}}
	second := []secondfactor.SealedKey{{KeyID: "k2", Sealed: "second by k2"}}
	expect := func(what string, fresh []secondfactor.SealedKey, replace bool, want ...secondfactor.SealedKey) {
		t.Helper()
		got, err := s.SealedKeys(ctx, fresh, replace, start)
		must(t, err)
		if !slices.Equal(want, got) {
			t.Errorf("%s: %v, want %v", what, got, want)
		}
	}
	expect("none", nil, false)
	expect("the first", first, false, first...)
	expect("the second", second, false, first...)
	expect("nothing is sealed with it", second, true, second...)
	add := func(known secondfactor.SealedKey, gone []string, at time.Time, want bool) {
		t.Helper()
		stored, err := s.AddSealedKeys(ctx, known, []secondfactor.SealedKey{first[0], {KeyID: "k2"}}, gone, at)
		must(t, err)
		same(t, "stored", want, stored)
	}
	add(first[0], []string{"k2"}, start, false) // it was replaced
	add(second[0], nil, start.Add(time.Second), true)
	expect("both, the second unchanged", nil, false, first[0], second[0])
	addFactor(t, s, addUser(t, s, "john"), "phone", "")
	expect("something is sealed with it", []secondfactor.SealedKey{{KeyID: "k3"}}, true, first[0], second[0])
	stored, err := s.AddSealedKeys(ctx, first[0], first, nil, start.AddDate(3, 0, 0))
	must(t, err)
	same(t, "stored", true, stored)
	expect("after three years", nil, false, first...)
	add(first[0], []string{"k1"}, start.AddDate(3, 0, 0), true)
	expect("without a key that is gone", nil, false, secondfactor.SealedKey{KeyID: "k2"})
}

// countWinners calls try at once from many goroutines and returns how many calls succeed. The others must fail with the
// error.
func countWinners(t testing.TB, n int, try func(i int) error, loses error) (won int) {
	t.Helper()
	results := make(chan error, n)
	for i := range n {
		go func() { results <- try(i) }()
	}
	for range n {
		err := <-results
		if err == nil {
			won++
			continue
		}
		wants(t, "a loser", err, loses)
	}
	return won
}
