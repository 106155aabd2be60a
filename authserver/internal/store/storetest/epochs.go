package storetest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
	"github.com/hallpass-auth/hallpass/authserver/internal/record"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
)

var epochTests = []test{
	{"epochs are listed in order", testEpochs},
	{"a new epoch ends every login", testEpochEndsLogins},
	{"a new epoch ends the grants that are being started", testEpochRace},
}

func testEpochs(t *testing.T, s *store.Store) {
	ctx := t.Context()
	epochs := func() []string {
		names, err := s.Epochs(ctx)
		must(t, err)
		return names
	}
	same(t, "epochs of a new database", []string{}, epochs())
	for _, name := range []string{"eB", "eA", "eC"} {
		revoked, err := s.StartEpoch(ctx, name, start)
		must(t, err)
		same(t, "grants revoked in an empty database", int64(0), revoked)
	}
	_, err := s.StartEpoch(ctx, "eA", start)
	expect(t, "an epoch that exists", err, store.ErrUnavailable)
	same(t, "epochs", []string{"eB", "eA", "eC"}, epochs())
}

// What the copy has may have been revoked after the copy was made.
func testEpochEndsLogins(t *testing.T, s *store.Store) {
	ctx := t.Context()
	u, c := addUser(t, s, "john.doe"), addClient(t, s, "app")
	active := addGrant(t, s, u, c)
	service := serviceGrant(t, s, c.ID, start)
	revoked := addGrant(t, s, u, c)
	_, err := s.RevokeGrant(ctx, revoked.Number, start)
	must(t, err)
	addSession(t, s, "session", u)
	code := grant.Code{Digest: "code", ClientID: c.ID, UserID: u.ID, Session: "session",
		CreatedAt: start, ExpiresAt: start.Add(time.Hour)}
	must(t, s.CreateCode(ctx, code))
	must(t, s.AddConsent(ctx, u.ID, c.ID, "", []string{"profile"}, start))

	at := start.Add(time.Minute)
	n, err := s.StartEpoch(ctx, "e1", at)
	must(t, err)
	same(t, "revoked grants", int64(2), n)
	expectGrant(t, s, revokedAt(active, at))
	expectGrant(t, s, revokedAt(revoked, start))
	_, _, err = s.SessionUser(ctx, "session", start)
	expect(t, "session", err, record.ErrNotFound)
	_, err = s.CodeByDigest(ctx, "code")
	expect(t, "code", err, grant.ErrCodeUnknown)
	consents, err := s.Consents(ctx, u.ID)
	must(t, err)
	same(t, "consents", 0, len(consents))

	if next := serviceGrant(t, s, c.ID, at); next <= revoked.Number || next == service {
		t.Errorf("the service goes on with grant %d", next)
	}
	expectGrant(t, s, addGrant(t, s, u, c))
}

// After the epoch has begun, every grant that is not revoked was started in it.
func testEpochRace(t *testing.T, s *store.Store) {
	u, c := addUser(t, s, "john.doe"), addClient(t, s, "app")
	const calls = 21
	numbers, before := make([]int64, calls), make([]bool, calls)
	errs := atOnce(t.Context(), calls, func(ctx context.Context, i int) (err error) {
		if i == calls/2 {
			_, err = s.StartEpoch(ctx, "e1", start)
			return err
		}
		if numbers[i], err = s.StartGrant(ctx, newGrant(u, c)); err != nil {
			return err
		}
		epochs, err := s.Epochs(ctx)
		before[i] = len(epochs) == 0
		return err
	})
	must(t, errors.Join(errs...))
	for i, number := range numbers {
		if number == 0 || !before[i] {
			continue
		}
		g, err := s.GrantByNumber(t.Context(), number)
		must(t, err)
		if g.RevokedAt.IsZero() {
			t.Errorf("grant %d was started before the epoch and is not revoked", number)
		}
	}
}
