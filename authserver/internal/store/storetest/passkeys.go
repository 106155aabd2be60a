package storetest

import (
	"strconv"
	"testing"
	"time"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
	"github.com/hallpass-auth/hallpass/authserver/internal/mail"
	"github.com/hallpass-auth/hallpass/authserver/internal/secondfactor"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
)

var passkeyTests = []test{
	{"passkeys", testPasskeys},
	{"an answer of a passkey wins once", testAnswerWinsOnce},
	{"a counter of a passkey wins once", testCounterWinsOnce},
	{"marking a passkey", testMarkPasskey},
}

// newPasskey returns a passkey that is not in the database yet.
func newPasskey(u account.User, id string, counter int64) secondfactor.Factor {
	f := newFactor(u, id)
	f.Kind, f.LastStep = secondfactor.KindPasskey, counter
	return f
}

// challengeOf returns a challenge for a login at start.
func challengeOf(digest string) secondfactor.Challenge {
	return secondfactor.Challenge{Digest: digest, ExpiresAt: start.Add(time.Minute)}
}

// addPasskey adds a passkey to a user.
func addPasskey(t testing.TB, s *store.Store, u account.User, f secondfactor.Factor) {
	t.Helper()
	must(t, s.AddSecondFactor(t.Context(), u, secondfactor.Completion{
		NewFactor: &f, Challenge: challengeOf("challenge of " + f.ID), Methods: twoFactors,
	}, kept(sessionOf(t, s, u)), start))
}

// byPasskey returns the session of a login by a passkey alone.
func byPasskey(u account.User, digest, challenge string, f secondfactor.Factor) store.NewSession {
	return store.NewSession{
		Digest: digest, User: u, Methods: twoFactors,
		Second: &secondfactor.Completion{
			UsedFactor: &f, OldSecret: f.Secret, Challenge: challengeOf(challenge), Methods: twoFactors,
		},
		CreatedAt: start, ExpiresAt: start.Add(sessionLength),
	}
}

func testPasskeys(t *testing.T, s *store.Store) {
	ctx := t.Context()
	u, jane := addUser(t, s, "john"), addUser(t, s, "jane")
	for i := range secondfactor.MaxPasskeys {
		addPasskey(t, s, u, newPasskey(u, strconv.Itoa(i), 0))
	}
	add := func(of account.User, id, challenge string) error {
		f := newPasskey(of, id, 0)
		return s.AddSecondFactor(ctx, of, secondfactor.Completion{
			NewFactor: &f, Challenge: challengeOf(challenge), Methods: twoFactors,
		}, kept(sessionOf(t, s, of)), start)
	}
	wants(t, "one more", add(u, "more", "new"), secondfactor.ErrTooMany)
	addFactor(t, s, u, "phone", "") // an app has a limit of its own
	wants(t, "another user's", add(jane, "0", "new"), secondfactor.ErrTaken)
	wants(t, "a challenge that was used", add(jane, "hers", "challenge of 0"), secondfactor.ErrIncorrect)
	must(t, add(jane, "hers", "new"))

	f := newPasskey(u, "0", 0)
	f.LastUsedAt = start.Add(time.Minute)
	must(t, s.StartSession(ctx, byPasskey(u, "session", "1", f)))
	_, login, err := s.SessionUser(ctx, "session", start)
	if err != nil || login.ACR() != grant.ACRTwoFactors {
		t.Errorf("session %+v, %v", login, err)
	}
	wants(t, "without a challenge", s.StartSession(ctx, byPasskey(u, "none", "", f)), secondfactor.ErrPendingUnknown)
}

// Of many logins at once with one answer, one succeeds, also of a device without a counter.
func testAnswerWinsOnce(t *testing.T, s *store.Store) {
	u := addUser(t, s, "john")
	f := newPasskey(u, "key", 0)
	addPasskey(t, s, u, f)
	won := countWinners(t, 8, func(i int) error {
		return s.StartSession(t.Context(), byPasskey(u, strconv.Itoa(i), "one", f))
	}, secondfactor.ErrIncorrect)
	if won != 1 {
		t.Errorf("%d logins succeed with one answer", won)
	}
}

// Of many logins at once with one counter, by copies of a key, one succeeds.
func testCounterWinsOnce(t *testing.T, s *store.Store) {
	u := addUser(t, s, "john")
	f := newPasskey(u, "key", 3)
	addPasskey(t, s, u, f)
	f.LastStep++
	won := countWinners(t, 8, func(i int) error {
		return s.StartSession(t.Context(), byPasskey(u, strconv.Itoa(i), strconv.Itoa(i), f))
	}, secondfactor.ErrIncorrect)
	if won != 1 {
		t.Errorf("%d logins succeed with one counter", won)
	}
	f.LastStep = 0
	err := s.StartSession(t.Context(), byPasskey(u, "zero", "zero", f))
	wants(t, "no counter any longer", err, secondfactor.ErrIncorrect)
}

func testMarkPasskey(t *testing.T, s *store.Store) {
	ctx := t.Context()
	u := addUser(t, s, "john")
	f := newPasskey(u, "key", 3)
	addPasskey(t, s, u, f)
	old := f.Secret
	f.Secret = "marked"
	wants(t, "an answer that came before", s.MarkPasskey(ctx, f, old, challengeOf("challenge of key"), start),
		secondfactor.ErrIncorrect)
	must(t, s.MarkPasskey(ctx, f, old, challengeOf("a"), start))
	late := newPasskey(u, "key", 4) // it was read before
	wants(t, "a login that has read it before", s.StartSession(ctx, byPasskey(u, "late", "late", late)),
		secondfactor.ErrIncorrect)
	must(t, s.MarkPasskey(ctx, f, old, challengeOf("b"), start)) // marked already
	factors, err := s.SecondFactors(ctx, u.ID)
	if err != nil || len(factors) != 1 || factors[0].Secret != "marked" {
		t.Errorf("factors %+v, %v", factors, err)
	}
	stored, err := s.RemainderOf(ctx, u.ID)
	must(t, err)
	mails := 0
	for _, m := range stored.Mails {
		if m.Kind == string(mail.PasskeyCopied) {
			mails++
		}
	}
	if mails != 1 {
		t.Errorf("%d mails, want 1", mails)
	}
}
