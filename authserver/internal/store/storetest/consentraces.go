package storetest

import (
	"context"
	"errors"
	"strconv"
	"testing"

	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/client"
	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
	"github.com/hallpass-auth/hallpass/authserver/internal/record"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
)

// A code of a request that was checked before its consent was revoked cannot be redeemed, even if
// it is created afterwards.
func testRevokeConsentUnderWay(t *testing.T, s *store.Store) {
	ctx := t.Context()
	john, jane := addUser(t, s, "john.doe"), addUser(t, s, "jane.smith")
	app, other := addClient(t, s, "app"), addClient(t, s, "other")
	for i := range 3 { // the first time and later
		must(t, s.AddConsent(ctx, john.ID, app.ID, "", oauth.Scope{"profile"}, start))
		round := strconv.Itoa(i)
		underWay := newCode("under way "+round, john, app)
		var err error
		underWay.ConsentRevocations, err = s.ConsentRevocations(ctx, john.ID, app.ID)
		must(t, err)
		same(t, "revocations", int64(i), underWay.ConsentRevocations)
		must(t, s.RevokeConsent(ctx, john.ID, app.ID, start))
		kept := []grant.Code{
			addCode(t, s, "later "+round, john, app),
			addCode(t, s, "other client "+round, john, other),
			addCode(t, s, "other user "+round, jane, app),
		}
		must(t, s.CreateCode(ctx, underWay))
		_, err = s.RedeemCode(ctx, underWay.Digest, grantOf(underWay))
		expect(t, "a code that was under way", err, grant.ErrCodeUnknown)
		for _, code := range kept {
			_, err = s.RedeemCode(ctx, code.Digest, grantOf(code))
			expect(t, code.Digest, err, nil)
		}
	}
	same(t, "active grants", 7, activeGrants(t, s)) // three elsewhere, three of jane's, the last later one
}

// What was allowed for a deleted API does not count for an API that is added with its audience.
func testAPIForgotten(t *testing.T, s *store.Store) {
	ctx := t.Context()
	const audience, elsewhere = "https://api.example", "https://api.example/v2"
	john, app := addUser(t, s, "john.doe"), addClient(t, s, "app")
	addAPI(t, s, audience)
	addAPI(t, s, elsewhere)
	gateway := newClient("gateway")
	gateway.Introspects, gateway.IntrospectsFor = true, []string{client.DefaultAPI, audience, audience, elsewhere}
	must(t, s.CreateClient(ctx, gateway))
	ofOne := newClient("of.one")
	ofOne.Introspects, ofOne.IntrospectsFor = true, []string{audience}
	must(t, s.CreateClient(ctx, ofOne))
	for _, api := range []string{audience, elsewhere} {
		must(t, s.AddConsent(ctx, john.ID, app.ID, api, oauth.Scope{"profile"}, start))
	}
	unused, underWay := newCode("unused", john, app), newCode("under way", john, app)
	unused.Audience, underWay.Audience = audience, audience
	addSession(t, s, unused.Session, john)
	must(t, s.CreateCode(ctx, unused))

	must(t, s.DeleteAPI(ctx, audience, start))
	expect(t, "consent to a deleted API",
		s.AddConsent(ctx, john.ID, app.ID, audience, oauth.Scope{"profile"}, start), record.ErrNotFound)
	expect(t, "code for a deleted API", s.CreateCode(ctx, underWay), record.ErrNotFound)
	addAPI(t, s, audience)
	must(t, s.CreateCode(ctx, underWay))
	for _, code := range []grant.Code{unused, underWay} {
		_, err := s.RedeemCode(ctx, code.Digest, grantOf(code))
		expect(t, code.Digest, err, grant.ErrCodeUnknown)
	}
	left, err := s.Consents(ctx, john.ID)
	must(t, err)
	same(t, "consents", []store.Consent{
		{ClientID: app.ID, Audience: elsewhere, Scope: oauth.Scope{"profile"}, UpdatedAt: start},
	}, left)
	gateway.IntrospectsFor = []string{client.DefaultAPI, elsewhere}
	expectClient(t, s, gateway)
	ofOne.Introspects, ofOne.IntrospectsFor = false, nil
	expectClient(t, s, ofOne)
}

// Whatever the order of a revocation and of redemptions, no grant stays active.
func testRevokeConsentDuringRedemptions(t *testing.T, s *store.Store) {
	u, c := addUser(t, s, "john.doe"), addClient(t, s, "app")
	ctx, cancel := context.WithTimeout(t.Context(), raceTimeout)
	defer cancel()
	lost := 0
	for round := range 8 {
		must(t, s.AddConsent(ctx, u.ID, c.ID, "", oauth.Scope{"profile"}, start))
		first := addCode(t, s, "first "+strconv.Itoa(round), u, c)
		started := make([]int64, racers)
		errs := atOnce(ctx, racers+1, func(ctx context.Context, i int) error {
			if i == racers {
				return s.RevokeConsent(ctx, u.ID, c.ID, start)
			}
			code := first
			code.Digest = "code " + strconv.Itoa(round) + "." + strconv.Itoa(i)
			if err := s.CreateCode(ctx, code); err != nil {
				return err
			}
			var err error
			started[i], err = s.RedeemCode(ctx, code.Digest, grantOf(code))
			if errors.Is(err, grant.ErrCodeUnknown) {
				return nil
			}
			return err
		})
		for _, err := range errs {
			must(t, err)
		}
		lost += notRevoked(t, s, started)
	}
	same(t, "grants that outlived the revocation", 0, lost)
}

// notRevoked returns how many of the grants are active. It skips the number 0.
func notRevoked(t *testing.T, s *store.Store, numbers []int64) (active int) {
	t.Helper()
	for _, number := range numbers {
		if number == 0 {
			continue
		}
		g, err := s.GrantByNumber(t.Context(), number)
		must(t, err)
		if g.RevokedAt.IsZero() {
			active++
		}
	}
	return active
}

// Whatever the order of a deletion, consents and redemptions, an API that is added with the same
// audience has no consent and no grant.
func testDeleteAPIDuringConsents(t *testing.T, s *store.Store) {
	const audience = "https://api.example"
	u, c := addUser(t, s, "john.doe"), addClient(t, s, "app")
	addSession(t, s, newCode("", u, c).Session, u)
	ctx, cancel := context.WithTimeout(t.Context(), raceTimeout)
	defer cancel()
	for round := range 8 {
		addAPI(t, s, audience)
		must(t, s.AddConsent(ctx, u.ID, c.ID, audience, oauth.Scope{"profile"}, start))
		revocations, err := s.ConsentRevocations(ctx, u.ID, c.ID)
		must(t, err)
		started := make([]int64, racers)
		errs := atOnce(ctx, racers+1, func(ctx context.Context, i int) error {
			if i == racers {
				return s.DeleteAPI(ctx, audience, start)
			}
			code := newCode("code "+strconv.Itoa(round)+"."+strconv.Itoa(i), u, c)
			code.Audience, code.ConsentRevocations = audience, revocations
			err := errors.Join(s.AddConsent(ctx, u.ID, c.ID, audience, oauth.Scope{"profile"}, start), s.CreateCode(ctx, code))
			if err == nil {
				started[i], err = s.RedeemCode(ctx, code.Digest, grantOf(code))
			}
			if errors.Is(err, grant.ErrCodeUnknown) || errors.Is(err, record.ErrNotFound) {
				return nil
			}
			return err
		})
		for _, err := range errs {
			must(t, err)
		}
		same(t, "grants that outlived the API", 0, notRevoked(t, s, started))
		left, err := s.Consents(ctx, u.ID)
		must(t, err)
		same(t, "consents that outlived the API", []store.Consent{}, left)
	}
}
