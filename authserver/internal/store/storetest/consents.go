package storetest

import (
	"testing"
	"time"

	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/client"
	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
	"github.com/hallpass-auth/hallpass/authserver/internal/record"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
)

var consentTests = []test{
	{"a consent adds to the previous one", testAddConsent},
	{"a consent is for one API", testConsentAtAPI},
	{"consents are listed by client", testConsentsInOrder},
	{"revoking a consent revokes its grants", testRevokeConsent},
	{"revoking a consent that was never asked for", testRevokeWithoutConsent},
	{"consents are deleted with their user or client", testConsentsCascade},
	{"revoking a consent ends authorizations under way", testRevokeConsentUnderWay},
	{"consents and codes are deleted with their API", testAPIForgotten},
	{"revoking a consent while codes are redeemed", testRevokeConsentDuringRedemptions},
	{"deleting an API while users consent and codes are redeemed", testDeleteAPIDuringConsents},
}

// expectConsent checks what a user has allowed a client at the default API.
func expectConsent(t testing.TB, s *store.Store, u account.User, c client.Client, want oauth.Scope) {
	t.Helper()
	got, err := s.ConsentedScope(t.Context(), u.ID, c.ID, "")
	must(t, err)
	same(t, "consent of "+u.Username+" to "+c.ID, want, got)
}

func testAddConsent(t *testing.T, s *store.Store) {
	u, other, c := addUser(t, s, "john.doe"), addUser(t, s, "jane.smith"), addClient(t, s, "app")
	second := addClient(t, s, "second")
	expectConsent(t, s, u, c, nil)
	all := oauth.Scope{"profile"}
	for i, scope := range []oauth.Scope{{"profile"}, {"items:read", "profile"}, {"items:read"}, {"profile"}, nil} {
		if i == 1 {
			all = oauth.Scope{"profile", "items:read"}
		}
		at := start.Add(time.Duration(i) * time.Minute)
		must(t, s.AddConsent(t.Context(), u.ID, c.ID, "", scope, at))
		expectConsent(t, s, u, c, all)
		got, err := s.Consents(t.Context(), u.ID)
		must(t, err)
		same(t, "consents", []store.Consent{{ClientID: c.ID, Scope: all, UpdatedAt: at}}, got)
	}
	expectConsent(t, s, other, c, nil)
	expectConsent(t, s, u, second, nil)
}

func testConsentAtAPI(t *testing.T, s *store.Store) {
	ctx := t.Context()
	u, c := addUser(t, s, "john.doe"), addClient(t, s, "app")
	addGrant(t, s, u, c)
	want := []store.Consent{
		{ClientID: c.ID, Audience: "https://a.example", Scope: oauth.Scope{"read"}, UpdatedAt: start},
		{ClientID: c.ID, Audience: "https://b.example", Scope: oauth.Scope{"read", "write"}, UpdatedAt: start},
	}
	for _, given := range want {
		addAPI(t, s, given.Audience)
		must(t, s.AddConsent(ctx, u.ID, c.ID, given.Audience, given.Scope, start))
	}
	expectConsent(t, s, u, c, nil)
	for _, given := range want {
		got, err := s.ConsentedScope(ctx, u.ID, c.ID, given.Audience)
		must(t, err)
		same(t, "consent at "+given.Audience, given.Scope, got)
	}
	got, err := s.Consents(ctx, u.ID)
	must(t, err)
	same(t, "consents", want, got)
	must(t, s.RevokeConsent(ctx, u.ID, c.ID, start))
	got, err = s.Consents(ctx, u.ID)
	must(t, err)
	same(t, "consents after revoking", []store.Consent{}, got)
}

func testConsentsInOrder(t *testing.T, s *store.Store) {
	u, other := addUser(t, s, "john.doe"), addUser(t, s, "jane.smith")
	ordered := []string{"10", "9", "App", "app", "app-2", "app2", "zoo"}
	want := []store.Consent{}
	for i := range ordered { // not in the order in which they are listed
		id := ordered[(i*3)%len(ordered)]
		must(t, s.AddConsent(t.Context(), u.ID, addClient(t, s, id).ID, "", oauth.Scope{"profile"}, start))
		want = append(want, store.Consent{ClientID: ordered[i], Scope: oauth.Scope{"profile"}, UpdatedAt: start})
	}
	got, err := s.Consents(t.Context(), u.ID)
	must(t, err)
	same(t, "consents", want, got)
	got, err = s.Consents(t.Context(), other.ID)
	must(t, err)
	same(t, "consents of another user", []store.Consent{}, got)
}

func testRevokeConsent(t *testing.T, s *store.Store) {
	ctx := t.Context()
	john, jane := addUser(t, s, "john.doe"), addUser(t, s, "jane.smith")
	app, other := addClient(t, s, "app"), addClient(t, s, "other")
	scope := oauth.Scope{"profile"}
	for _, u := range []account.User{john, jane} {
		for _, c := range []client.Client{app, other} {
			must(t, s.AddConsent(ctx, u.ID, c.ID, "", scope, start))
		}
	}
	first, second := addGrant(t, s, john, app), addGrant(t, s, john, app)
	kept := []grant.Grant{addGrant(t, s, john, other), addGrant(t, s, jane, app), addGrant(t, s, jane, other)}
	revoked := start.Add(time.Minute)
	must(t, s.RevokeConsent(ctx, john.ID, app.ID, revoked))
	expect(t, "revoking twice", s.RevokeConsent(ctx, john.ID, app.ID, revoked.Add(time.Hour)), record.ErrNotFound)
	expect(t, "revoking an unknown consent", s.RevokeConsent(ctx, john.ID, "nobody", revoked), record.ErrNotFound)

	first, second = revokedAt(first, revoked), revokedAt(second, revoked)
	for _, g := range append(kept, first, second) {
		expectGrant(t, s, g)
	}
	expectConsent(t, s, john, app, nil)
	expectConsent(t, s, john, other, scope)
	expectConsent(t, s, jane, app, scope)
}

// A first-party client gets grants without a consent.
func testRevokeWithoutConsent(t *testing.T, s *store.Store) {
	ctx := t.Context()
	john, jane := addUser(t, s, "john.doe"), addUser(t, s, "jane.smith")
	app, other := addClient(t, s, "app"), addClient(t, s, "other")
	first, second := addGrant(t, s, john, app), addGrant(t, s, john, app)
	kept := []grant.Grant{addGrant(t, s, john, other), addGrant(t, s, jane, app)}
	revoked := start.Add(time.Minute)
	must(t, s.RevokeConsent(ctx, john.ID, app.ID, revoked))
	expect(t, "revoking twice", s.RevokeConsent(ctx, john.ID, app.ID, revoked.Add(time.Hour)), record.ErrNotFound)
	first, second = revokedAt(first, revoked), revokedAt(second, revoked)
	for _, g := range append(kept, first, second) {
		expectGrant(t, s, g)
	}
}

func testConsentsCascade(t *testing.T, s *store.Store) {
	ctx := t.Context()
	john, jane := addUser(t, s, "john.doe"), addUser(t, s, "jane.smith")
	app, other := addClient(t, s, "app"), addClient(t, s, "other")
	for _, u := range []account.User{john, jane} {
		for _, c := range []client.Client{app, other} {
			must(t, s.AddConsent(ctx, u.ID, c.ID, "", oauth.Scope{"profile"}, start))
		}
	}
	must(t, s.DeleteClient(ctx, app.ID, start))
	must(t, s.DeleteUser(ctx, john.Username, start))
	for _, u := range []account.User{john, jane} {
		expectConsent(t, s, u, app, nil)
	}
	expectConsent(t, s, john, other, nil)
	expectConsent(t, s, jane, other, oauth.Scope{"profile"})
	addClient(t, s, app.ID) // another client with the same id
	expectConsent(t, s, jane, app, nil)
}
