package storetest

import (
	"testing"
	"time"

	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/record"
	"github.com/hallpass-auth/hallpass/authserver/internal/resource"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
)

var defaultAPITests = []test{
	{"the default API is registered with any scope", testDefaultAPIIsRegistered},
	{"the default API can be changed like others", testDefaultAPIIsKept},
	{"an empty audience is read as the default API", testEmptyAudience},
	{"the default API is written as an empty audience", testDefaultAPIIsWrittenEmpty},
	{"the default API cannot be deleted", testDeleteDefaultAPI},
	{"an API registered by hand becomes the default", testRegisteredDefaultAPI},
	{"an API that was deleted becomes the default", testDeletedDefaultAPI},
}

const (
	mainAPI  = "https://api.example"
	otherAPI = "https://other.example"
)

// setDefault makes an API the default one, and checks which was.
func setDefault(t testing.TB, s *store.Store, audience, wantBefore string) {
	t.Helper()
	before, err := s.SetDefaultAPI(t.Context(), audience, start)
	must(t, err)
	if before != wantBefore {
		t.Errorf("the default API was %q, want %q", before, wantBefore)
	}
}

func testDefaultAPIIsRegistered(t *testing.T, s *store.Store) {
	must(t, s.LoadDefaultAPI(t.Context()))
	if s.IsDefaultAPI(mainAPI) {
		t.Error("there is a default API before a server has set one")
	}
	setDefault(t, s, mainAPI, "")
	expectAPI(t, s, resource.API{Audience: mainAPI, Name: mainAPI, AnyScope: true, CreatedAt: start})
	setDefault(t, s, otherAPI, mainAPI)
	expectAPI(t, s, resource.API{Audience: mainAPI, Name: mainAPI, AnyScope: true, CreatedAt: start})
	must(t, s.LoadDefaultAPI(t.Context()))
	if s.IsDefaultAPI(mainAPI) || !s.IsDefaultAPI(otherAPI) {
		t.Error("the default API is not the one that was set last")
	}
}

func testDefaultAPIIsKept(t *testing.T, s *store.Store) {
	setDefault(t, s, mainAPI, "")
	want := resource.API{Audience: mainAPI, Name: "Main", Scope: oauth.Scope{"x"}, CreatedAt: start}
	_, err := s.UpdateAPI(t.Context(), mainAPI, start, func(resource.API) (resource.API, error) { return want, nil })
	must(t, err)
	setDefault(t, s, mainAPI, mainAPI) // at the next start
	expectAPI(t, s, want)
}

// Servers of versions before 9 of the schema write the default API as an empty audience.
func testEmptyAudience(t *testing.T, s *store.Store) {
	u, c := addUser(t, s, "john.doe"), addClient(t, s, "app")
	g := addGrant(t, s, u, c)
	code := newCode("digest", u, c)
	code.Audience = ""
	must(t, s.CreateCode(t.Context(), code))
	must(t, s.AddConsent(t.Context(), u.ID, c.ID, "", oauth.Scope{"profile"}, start))
	service, err := s.ServiceGrant(t.Context(), c.ID, c.SecretDigest, start)
	must(t, err)

	setDefault(t, s, mainAPI, "")
	expectAudiences(t, s, g.Number, "digest", mainAPI)
	allowed, err := s.ConsentedScope(t.Context(), u.ID, c.ID, mainAPI)
	must(t, err)
	same(t, "consent", oauth.Scope{"profile"}, allowed)
	consents, err := s.Consents(t.Context(), u.ID)
	must(t, err)
	same(t, "consents", []store.Consent{{ClientID: c.ID, Audience: mainAPI, Scope: oauth.Scope{"profile"},
		UpdatedAt: start}}, consents)
	forAll, err := s.GrantByNumber(t.Context(), service)
	must(t, err)
	if forAll.Audience != "" {
		t.Errorf("the grant of a service is for %s alone", forAll.Audience)
	}
}

// expectAudiences checks which API a grant and a code are for.
func expectAudiences(t testing.TB, s *store.Store, number int64, digest, want string) {
	t.Helper()
	g, err := s.GrantByNumber(t.Context(), number)
	must(t, err)
	code, err := s.CodeByDigest(t.Context(), digest)
	must(t, err)
	if g.Audience != want || code.Audience != want {
		t.Errorf("the grant is for %q, the code for %q, want %q", g.Audience, code.Audience, want)
	}
}

// So servers of versions before 9 of the schema understand it. It shows where the default API
// changes: what was for the one before is for the new one.
func testDefaultAPIIsWrittenEmpty(t *testing.T, s *store.Store) {
	u, c := addUser(t, s, "john.doe"), addClient(t, s, "app")
	setDefault(t, s, mainAPI, "")
	g := newGrant(u, c)
	g.Audience = mainAPI
	g = startGrant(t, s, g)
	expectGrant(t, s, g)
	code := addCode(t, s, "digest", u, c) // for the main API
	must(t, s.AddConsent(t.Context(), u.ID, c.ID, mainAPI, oauth.Scope{"profile"}, start))
	elsewhere := newGrant(u, c)
	elsewhere.Audience = "https://third.example"
	elsewhere = startGrant(t, s, elsewhere)

	setDefault(t, s, otherAPI, mainAPI)
	expectAudiences(t, s, g.Number, code.Digest, otherAPI)
	allowed, err := s.ConsentedScope(t.Context(), u.ID, c.ID, otherAPI)
	must(t, err)
	same(t, "consent", oauth.Scope{"profile"}, allowed)
	expectGrant(t, s, elsewhere)
}

func testDeleteDefaultAPI(t *testing.T, s *store.Store) {
	setDefault(t, s, mainAPI, "")
	expect(t, "deleting the default API", s.DeleteAPI(t.Context(), mainAPI, start), resource.ErrDefault)
	expect(t, "deleting no API", s.DeleteAPI(t.Context(), otherAPI, start), record.ErrNotFound)
	setDefault(t, s, otherAPI, mainAPI)
	must(t, s.DeleteAPI(t.Context(), mainAPI, start))
	expect(t, "deleting it again", s.DeleteAPI(t.Context(), mainAPI, start), record.ErrNotFound)
}

// What was registered of the default API did not count before version 9 of the schema. One
// that becomes the default later keeps its scope.
func testRegisteredDefaultAPI(t *testing.T, s *store.Store) {
	byHand, later := addAPI(t, s, mainAPI), addAPI(t, s, otherAPI)
	setDefault(t, s, mainAPI, "")
	byHand.AnyScope = true
	expectAPI(t, s, byHand)
	setDefault(t, s, otherAPI, mainAPI)
	expectAPI(t, s, later)
}

func testDeletedDefaultAPI(t *testing.T, s *store.Store) {
	addAPI(t, s, mainAPI)
	must(t, s.DeleteAPI(t.Context(), mainAPI, start))
	before, err := s.SetDefaultAPI(t.Context(), mainAPI, start.Add(time.Hour))
	must(t, err)
	if before != "" {
		t.Errorf("the default API was %q", before)
	}
	expectAPI(t, s, resource.API{Audience: mainAPI, Name: mainAPI, AnyScope: true, CreatedAt: start.Add(time.Hour)})
}
