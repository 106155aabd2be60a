package storetest

import (
	"testing"

	"github.com/hallpass-auth/hallpass/authserver/internal/record"
	"github.com/hallpass-auth/hallpass/authserver/internal/resource"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
)

var scopeTests = []test{
	{"a new database describes the scope profile", testScopeOfServer},
	{"a description replaces the previous one", testDescribeScope},
	{"scopes are listed in byte order", testScopesInOrder},
	{"removing a description", testForgetScope},
}

// ownScope is the description in every new database, of the scope that the server itself uses.
var ownScope = resource.ScopeDescription{Scope: "profile", Text: "See your name and your username"}

// expectScopes checks all descriptions in the database.
func expectScopes(t testing.TB, s *store.Store, want ...resource.ScopeDescription) {
	t.Helper()
	got, err := s.ScopeDescriptions(t.Context())
	must(t, err)
	same(t, "scopes", want, got)
}

func testScopeOfServer(t *testing.T, s *store.Store) { expectScopes(t, s, ownScope) }

func testDescribeScope(t *testing.T, s *store.Store) {
	for _, text := range []string{"See your items", "Jürgens „Dinge“ 😀", "See your items"} {
		d := resource.ScopeDescription{Scope: "items:read", Text: text}
		must(t, s.DescribeScope(t.Context(), d, start))
		expectScopes(t, s, d, ownScope)
	}
	changed := resource.ScopeDescription{Scope: ownScope.Scope, Text: "Know who you are"}
	must(t, s.DescribeScope(t.Context(), changed, start))
	expectScopes(t, s, resource.ScopeDescription{Scope: "items:read", Text: "See your items"}, changed)
}

func testScopesInOrder(t *testing.T, s *store.Store) {
	must(t, s.ForgetScope(t.Context(), ownScope.Scope, start))
	ordered := []string{"A", "a", "a:b", "ab", "b"}
	want := []resource.ScopeDescription{}
	for i := range ordered { // not in the order in which they are listed
		d := resource.ScopeDescription{Scope: ordered[(i*3)%len(ordered)], Text: "Do it"}
		must(t, s.DescribeScope(t.Context(), d, start))
		want = append(want, resource.ScopeDescription{Scope: ordered[i], Text: "Do it"})
	}
	expectScopes(t, s, want...)
}

func testForgetScope(t *testing.T, s *store.Store) {
	ctx := t.Context()
	for _, scope := range []string{"Profile", "profil", "%", ""} {
		expect(t, "removing the description of "+scope, s.ForgetScope(ctx, scope, start), record.ErrNotFound)
	}
	expectScopes(t, s, ownScope)
	must(t, s.ForgetScope(ctx, ownScope.Scope, start))
	expect(t, "removing it twice", s.ForgetScope(ctx, ownScope.Scope, start), record.ErrNotFound)
	got, err := s.ScopeDescriptions(ctx)
	must(t, err)
	same(t, "scopes", []resource.ScopeDescription{}, got)
}
