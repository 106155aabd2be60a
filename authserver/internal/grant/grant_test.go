package grant_test

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-auth/hallpass/shared/token"

	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
)

// Token Status List, as Hallpass uses it: list n / 2^20, index n mod 2^20.
func TestStatus(t *testing.T) {
	const issuer, size = "https://login.example/tenant", 1048576
	tests := []struct {
		number int64
		want   token.Status
	}{
		{0, token.Status{Index: 0, URI: issuer + "/status-lists/0"}},
		{1, token.Status{Index: 1, URI: issuer + "/status-lists/0"}},
		{size - 1, token.Status{Index: size - 1, URI: issuer + "/status-lists/0"}},
		{size, token.Status{Index: 0, URI: issuer + "/status-lists/1"}},
		{size + 1, token.Status{Index: 1, URI: issuer + "/status-lists/1"}},
		{3*size + 17, token.Status{Index: 17, URI: issuer + "/status-lists/3"}},
		{1 << 40, token.Status{Index: 0, URI: issuer + "/status-lists/1048576"}},
		{math.MaxInt64, token.Status{Index: size - 1, URI: issuer + "/status-lists/8796093022207"}},
	}
	for _, tt := range tests {
		got := grant.Grant{Number: tt.number}.Status(issuer)
		if diff := cmp.Diff(&tt.want, got); diff != "" {
			t.Errorf("grant %d (-want +got):\n%s", tt.number, diff)
		}
	}
}

// Every grant has a bit of its own.
func FuzzStatusIsUnique(f *testing.F) {
	for _, n := range []int64{0, 1, grant.ListSize - 1, grant.ListSize, math.MaxInt64} {
		f.Add(n, n/2)
	}
	f.Fuzz(func(t *testing.T, a, b int64) {
		if a < 0 || b < 0 {
			return // numbers begin at 1
		}
		one, other := grant.Grant{Number: a}.Status("x"), grant.Grant{Number: b}.Status("x")
		if (*one == *other) != (a == b) {
			t.Errorf("grants %d and %d have the bits %+v and %+v", a, b, *one, *other)
		}
		if one.Index < 0 || one.Index >= grant.ListSize {
			t.Errorf("grant %d has the index %d", a, one.Index)
		}
	})
}
