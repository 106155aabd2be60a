package storetest

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/resource"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
)

var apiTests = []test{
	{"an API comes back as it went in", testAPIRoundTrip},
	{"an audience is taken once", testAPITaken},
	{"APIs are listed by audience, in byte order", testAPIsInOrder},
	{"changing an API", testUpdateAPI},
	{"changes of one API at once", testRaceToUpdateAPI},
	{"deleting an API", testDeleteAPI},
	{"one of many takes an audience", testRaceForAudience},
}

// newAPI returns an API that is not in the database yet.
func newAPI(audience string) resource.API {
	return resource.API{Audience: audience, Name: "Name of " + audience, Scope: oauth.Scope{"items:read"}, CreatedAt: start}
}

func addAPI(t testing.TB, s *store.Store, audience string) resource.API {
	t.Helper()
	a := newAPI(audience)
	must(t, s.CreateAPI(t.Context(), a))
	return a
}

// expectAPI checks what the database says about an API.
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
		t.Errorf("%v is not in UTC", got.CreatedAt)
	}
}

func testAPITaken(t *testing.T, s *store.Store) {
	first := addAPI(t, s, "https://api.example")
	second := first
	second.Name, second.Scope = "An impostor", oauth.Scope{"admin"}
	expect(t, "taking an audience again", s.CreateAPI(t.Context(), second), resource.ErrExists)
	expectAPI(t, s, first)
}

func testAPIsInOrder(t *testing.T, s *store.Store) {
	ordered := []string{"https://A.example", "https://a.example", "https://a.example/", "https://a.example/b", "https://ab.example", "urn:a"}
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
	got, err := s.UpdateAPI(ctx, want.Audience, func(resource.API) (resource.API, error) {
		return resource.API{Audience: other.Audience, Name: want.Name, Scope: want.Scope, CreatedAt: start.Add(time.Hour)}, nil
	})
	must(t, err)
	same(t, "the API that is returned", want, got)
	expectAPI(t, s, want)
	expectAPI(t, s, other)

	_, err = s.UpdateAPI(ctx, want.Audience, func(resource.API) (resource.API, error) { return resource.API{}, resource.ErrBad })
	expect(t, "a change that is refused", err, resource.ErrBad)
	_, err = s.UpdateAPI(ctx, "https://nowhere.example", func(a resource.API) (resource.API, error) { return a, nil })
	expect(t, "changing none", err, resource.ErrNotFound)
	expectAPI(t, s, want)
}

// Each adds to what is there, and none undoes what another one did.
func testRaceToUpdateAPI(t *testing.T, s *store.Store) {
	addAPI(t, s, "https://api.example")
	want := oauth.Scope{"items:read"}
	for i := range racers {
		want = append(want, "scope:"+string(rune('a'+i)))
	}
	for _, err := range atOnce(t.Context(), racers, func(ctx context.Context, i int) error {
		_, err := s.UpdateAPI(ctx, "https://api.example", func(a resource.API) (resource.API, error) {
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
	must(t, s.DeleteAPI(ctx, "https://api.example"))
	for _, audience := range []string{"https://api.example", "https://api.example/", "https://API.example/v2", "https://api.example/v_", "%", ""} {
		_, err := s.APIByAudience(ctx, audience)
		expect(t, "reading "+audience, err, resource.ErrNotFound)
		expect(t, "deleting "+audience, s.DeleteAPI(ctx, audience), resource.ErrNotFound)
	}
	expectAPI(t, s, kept)
}

func testRaceForAudience(t *testing.T, s *store.Store) {
	oneWinner(t, atOnce(t.Context(), racers, func(ctx context.Context, _ int) error {
		return s.CreateAPI(ctx, newAPI("https://api.example"))
	}), resource.ErrExists)
}
