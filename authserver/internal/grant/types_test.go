package grant_test

import (
	"slices"
	"testing"

	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
)

// Each type stands in the table once, and something gives a client what it can refresh.
func TestTypes(t *testing.T) {
	seen := map[oauth.GrantType]bool{}
	for _, known := range grant.Types {
		if got, ok := grant.TypeOf(known.Name); !ok || got.Name != known.Name || seen[known.Name] {
			t.Errorf("%s: found %s, %v", known.Name, got.Name, ok)
		}
		seen[known.Name] = true
		for _, name := range append(slices.Clone(known.Required), known.Optional...) {
			if !slices.Contains(grant.Parameters(), name) {
				t.Errorf("%s of %s is not among the parameters", name, known.Name)
			}
		}
	}
	if _, ok := grant.TypeOf("implicit"); ok || len(grant.TypeNames()) != len(grant.Types) {
		t.Errorf("the types are %v", grant.TypeNames())
	}
	if !slices.ContainsFunc(grant.Types, func(t grant.Type) bool { return t.Refreshable }) {
		t.Error("no grant type gives a refresh token")
	}
}
