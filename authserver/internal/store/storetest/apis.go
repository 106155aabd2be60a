package storetest

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
	"github.com/hallpass-auth/hallpass/authserver/internal/record"
	"github.com/hallpass-auth/hallpass/authserver/internal/resource"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
)

var apiTests = []test{
	{"an API is read back unchanged", testAPIRoundTrip},
	{"an audience is unique", testAudienceUnique},
	{"APIs are listed by audience, in byte order", testAPIsInOrder},
	{"changing an API", testUpdateAPI},
	{"concurrent changes of an API", testRaceToUpdateAPI},
	{"deleting an API", testDeleteAPI},
	{"deleting an API revokes the grants for it", testDeleteAPIRevokes},
	{"a deleted API is listed until its tokens have expired", testAudiences},
	{"concurrent creation of an API", testRaceForAudience},
	{"concurrent deletion and creation of an API", testRaceForDeletedAudience},
}

// newAPI returns an API that is not in the database yet.
func newAPI(audience string) resource.API {
	return resource.API{
		Audience:  audience,
		Name:      "Name of " + audience,
		Scope:     oauth.Scope{"items:read"},
		CreatedAt: start,
	}
}

func addAPI(t testing.TB, s *store.Store, audience string) resource.API {
	t.Helper()
	a := newAPI(audience)
	must(t, s.CreateAPI(t.Context(), a))
	return a
}

// expectAPI checks an API in the database.
func expectAPI(t testing.TB, s *store.Store, want resource.API) {
	t.Helper()
	got, err := s.APIByAudience(t.Context(), want.Audience)
	must(t, err)
	same(t, "API "+want.Audience, want, got)
}

func testAPIRoundTrip(t *testing.T, s *store.Store) {
	expectAPI(t, s, addAPI(t, s, "https://api.example"))
	many := newAPI("urn:example:api")
	many.Name = `Jürgen's "API" 😀`
	many.Scope = oauth.Scope{"b", "a", "https://api.example/scope"}
	must(t, s.CreateAPI(t.Context(), many))
	expectAPI(t, s, many)
	got, err := s.APIByAudience(t.Context(), many.Audience)
	must(t, err)
	if got.CreatedAt.Location() != time.UTC {
		t.Errorf("creation time %v is not in UTC", got.CreatedAt)
	}
}

func testAudienceUnique(t *testing.T, s *store.Store) {
	first := addAPI(t, s, "https://api.example")
	second := first
	second.Name, second.Scope = "An impostor", oauth.Scope{"admin"}
	expect(t, "creating an API with the same audience", s.CreateAPI(t.Context(), second), record.ErrExists)
	expectAPI(t, s, first)
}

func testAPIsInOrder(t *testing.T, s *store.Store) {
	ordered := []string{
		"https://A.example", "https://a.example", "https://a.example/", "https://a.example/b",
		"https://ab.example", "urn:a",
	}
	for _, audience := range slices.Backward(ordered) {
		addAPI(t, s, audience)
	}
	apis, err := s.APIs(t.Context())
	must(t, err)
	want := []resource.API{}
	for _, audience := range ordered {
		want = append(want, newAPI(audience))
	}
	same(t, "APIs", want, apis)
}

func testUpdateAPI(t *testing.T, s *store.Store) {
	ctx := t.Context()
	want, other := addAPI(t, s, "https://api.example"), addAPI(t, s, "https://other.example")
	want.Name, want.Scope = "Another name", oauth.Scope{"b", "a"}
	got, err := s.UpdateAPI(ctx, want.Audience, start, func(resource.API) (resource.API, error) {
		changed := want
		changed.Audience, changed.CreatedAt = other.Audience, start.Add(time.Hour) // cannot be changed
		return changed, nil
	})
	must(t, err)
	same(t, "returned API", want, got)
	expectAPI(t, s, want)
	expectAPI(t, s, other)

	_, err = s.UpdateAPI(ctx, want.Audience, start, func(resource.API) (resource.API, error) {
		return resource.API{}, resource.ErrBad
	})
	expect(t, "a change that fails", err, resource.ErrBad)
	keep := func(a resource.API) (resource.API, error) { return a, nil }
	_, err = s.UpdateAPI(ctx, "https://nowhere.example", start, keep)
	expect(t, "changing an unknown API", err, record.ErrNotFound)
	expectAPI(t, s, want)
}

// Each change adds a scope, and no change is lost.
func testRaceToUpdateAPI(t *testing.T, s *store.Store) {
	addAPI(t, s, "https://api.example")
	want := oauth.Scope{"items:read"}
	for i := range racers {
		want = append(want, "scope:"+string(rune('a'+i)))
	}
	for _, err := range atOnce(t.Context(), racers, func(ctx context.Context, i int) error {
		_, err := s.UpdateAPI(ctx, "https://api.example", start, func(a resource.API) (resource.API, error) {
			a.Scope = append(a.Scope, want[i+1])
			return a, nil
		})
		return err
	}) {
		must(t, err)
	}
	got, err := s.APIByAudience(t.Context(), "https://api.example")
	must(t, err)
	slices.Sort(got.Scope)
	same(t, "scope", want, got.Scope)
}

func testDeleteAPI(t *testing.T, s *store.Store) {
	ctx := t.Context()
	addAPI(t, s, "https://api.example")
	kept := addAPI(t, s, "https://api.example/v2")
	must(t, s.DeleteAPI(ctx, "https://api.example", start))
	for _, audience := range []string{
		"https://api.example", "https://api.example/", "https://API.example/v2", "https://api.example/v_", "%", "",
	} {
		_, err := s.APIByAudience(ctx, audience)
		expect(t, "reading "+audience, err, record.ErrNotFound)
		expect(t, "deleting "+audience, s.DeleteAPI(ctx, audience, start), record.ErrNotFound)
	}
	expectAPI(t, s, kept)
	apis, err := s.APIs(ctx)
	must(t, err)
	same(t, "APIs", []resource.API{kept}, apis)
}

// Deleting an API revokes the grants for it and no others.
func testDeleteAPIRevokes(t *testing.T, s *store.Store) {
	u, c := addUser(t, s, "john.doe"), addClient(t, s, "app")
	addAPI(t, s, "https://api.example")
	addAPI(t, s, "https://api.example/v2")
	var grants []grant.Grant
	for _, audience := range []string{"https://api.example", "https://api.example", "https://api.example/v2", ""} {
		g := newGrant(u, c)
		g.Audience = audience
		grants = append(grants, startGrant(t, s, g))
	}
	at := start.Add(time.Minute)
	_, err := s.RevokeGrant(t.Context(), grants[0].Number, start)
	must(t, err)
	must(t, s.DeleteAPI(t.Context(), "https://api.example", at))
	same(t, "revoked grants", []int64{grants[1].Number}, revokedSince(t, s, at))
	expectGrant(t, s, revokedAt(grants[0], start))
	expectGrant(t, s, revokedAt(grants[1], at))
	expectGrant(t, s, grants[2])
	expectGrant(t, s, grants[3])
	// A service's grant is for all APIs. Creating the API again revokes it.
	number, err := s.ServiceGrant(t.Context(), c.ID, c.SecretDigest, start)
	must(t, err)
	addAPI(t, s, "https://api.example/v3")
	same(t, "a service's grant is revoked when another API is created", false, isRevoked(t, s, number))
	must(t, s.CreateAPI(t.Context(), newAPI("https://api.example")))
	expectGrant(t, s, revokedAt(grants[1], at))
	same(t, "a service's grant is revoked when the API is created again", true, isRevoked(t, s, number))
	expectGrant(t, s, grants[2])
	expectGrant(t, s, grants[3])
}

func isRevoked(t testing.TB, s *store.Store, number int64) bool {
	t.Helper()
	g, err := s.GrantByNumber(t.Context(), number)
	must(t, err)
	return !g.RevokedAt.IsZero()
}

// A deleted API is listed until its last token has expired. It can be registered again.
func testAudiences(t *testing.T, s *store.Store) {
	ctx := t.Context()
	audiences := func(want map[string]bool, since time.Time) {
		t.Helper()
		got, err := s.Audiences(ctx, since)
		must(t, err)
		same(t, "audiences", want, got)
	}
	audiences(map[string]bool{}, start)
	addAPI(t, s, "urn:a")
	addAPI(t, s, "urn:b")
	must(t, s.DeleteAPI(ctx, "urn:b", start))
	audiences(map[string]bool{"urn:a": true, "urn:b": false}, start)
	audiences(map[string]bool{"urn:a": true}, start.Add(time.Second))

	again := newAPI("urn:b")
	again.Name, again.Scope, again.CreatedAt = "Another", oauth.Scope{"x"}, start.Add(time.Hour)
	must(t, s.CreateAPI(ctx, again))
	expectAPI(t, s, again)
	expect(t, "creating it once more", s.CreateAPI(ctx, newAPI("urn:b")), record.ErrExists)
	expectAPI(t, s, again)
	audiences(map[string]bool{"urn:a": true, "urn:b": true}, start)

	for _, audience := range []string{"urn:a", "urn:b"} {
		must(t, s.DeleteAPI(ctx, audience, start))
	}
	addAPIAt(t, s, "urn:c", start.Add(grant.MaxTokenLifetime))
	audiences(map[string]bool{"urn:a": false, "urn:b": false, "urn:c": true}, time.Unix(0, 0))
	addAPIAt(t, s, "urn:d", start.Add(grant.MaxTokenLifetime+2*time.Minute))
	audiences(map[string]bool{"urn:c": true, "urn:d": true}, time.Unix(0, 0))
}

func addAPIAt(t testing.TB, s *store.Store, audience string, now time.Time) {
	t.Helper()
	a := newAPI(audience)
	a.CreatedAt = now
	must(t, s.CreateAPI(t.Context(), a))
}

func testRaceForDeletedAudience(t *testing.T, s *store.Store) {
	addAPI(t, s, "https://api.example")
	for i := range 4 {
		now := start.AddDate(0, 0, 2*i)
		oneWinner(t, atOnce(t.Context(), racers, func(ctx context.Context, _ int) error {
			return s.DeleteAPI(ctx, "https://api.example", now)
		}), record.ErrNotFound)
		oneWinner(t, atOnce(t.Context(), racers, func(ctx context.Context, _ int) error {
			a := newAPI("https://api.example")
			a.CreatedAt = now.AddDate(0, 0, i%2*2) // every other time the deleted row is swept
			return s.CreateAPI(ctx, a)
		}), record.ErrExists)
	}
}

func testRaceForAudience(t *testing.T, s *store.Store) {
	oneWinner(t, atOnce(t.Context(), racers, func(ctx context.Context, _ int) error {
		return s.CreateAPI(ctx, newAPI("https://api.example"))
	}), record.ErrExists)
}
