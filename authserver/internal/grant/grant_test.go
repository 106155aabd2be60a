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

// The bits are those of the same grants for every API, and the lists are not: each may be
// signed with another key.
func TestStatusForAnAPI(t *testing.T) {
	const audience = "https://billing.example/?a=1&b=<2>"
	got := grant.Grant{Number: 3*grant.ListSize + 17, Audience: audience}.Status("https://login.example")
	want := &token.Status{Index: 17, URI: "https://login.example/status-lists/3/aHR0cHM6Ly9iaWxsaW5nLmV4YW1wbGUvP2E9MSZiPTwyPg"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Every grant has a bit of its own, in a list of its own for every API.
func FuzzStatusIsUnique(f *testing.F) {
	for _, n := range []int64{0, 1, grant.ListSize - 1, grant.ListSize, math.MaxInt64} {
		f.Add(n, n/2, "", "https://billing.example")
		f.Add(n, n, "x", "x")
	}
	f.Fuzz(func(t *testing.T, a, b int64, one, two string) {
		if a < 0 || b < 0 {
			return // numbers begin at 1
		}
		first, second := grant.Grant{Number: a, Audience: one}.Status("x"), grant.Grant{Number: b, Audience: two}.Status("x")
		if (*first == *second) != (a == b && one == two) {
			t.Errorf("grants %d for %q and %d for %q have the bits %+v and %+v", a, one, b, two, *first, *second)
		}
		if first.Index < 0 || first.Index >= grant.ListSize {
			t.Errorf("grant %d has the index %d", a, first.Index)
		}
	})
}

// NumberOf is the inverse of Status.
func FuzzNumberOfStatus(f *testing.F) {
	for _, n := range []int64{0, 1, grant.ListSize - 1, grant.ListSize, 1 << 40, 1 << 62, math.MaxInt64} {
		f.Add(n, "")
		f.Add(n, "https://billing.example")
	}
	f.Fuzz(func(t *testing.T, n int64, audience string) {
		if n < 0 {
			return // numbers begin at 1
		}
		status := grant.Grant{Number: n, Audience: audience}.Status("https://login.example")
		if got, ok := grant.NumberOf("https://login.example", audience, status); !ok || got != n {
			t.Errorf("grant %d has the status %+v, which is that of %d (%v)", n, *status, got, ok)
		}
		if _, ok := grant.NumberOf("https://login.example", audience+"x", status); ok {
			t.Errorf("the status %+v is one for another API too", *status)
		}
	})
}

// What Status does not make is nobody's: no two pointers are those of one grant.
func FuzzNumberOf(f *testing.F) {
	const issuer = "https://login.example"
	for _, uri := range []string{
		"", issuer, issuer + "/status-lists/", issuer + "/status-lists/0", issuer + "/status-lists/00", issuer + "/status-lists/+1",
		issuer + "/status-lists/-1", issuer + "/status-lists/1/", issuer + "/status-lists/1?x", issuer + "/status-lists/8796093022208",
		issuer + "/status-lists/9223372036854775807", issuer + "/status-lists/1_0", "0", "https://evil.example/status-lists/1",
		issuer + "/status-lists/1/eA", issuer + "/status-lists/1/eB", issuer + "/status-lists/1/eA==", issuer + "/status-lists/1/eA/", issuer + "/status-lists/1/e%41",
		issuer + "/status-lists/1/e\nA",
	} {
		f.Add(uri, int64(1), "")
		f.Add(uri, int64(1), "x")
	}
	f.Add(issuer+"/status-lists/0", int64(-1), "")
	f.Add(issuer+"/status-lists/0", int64(grant.ListSize), "")
	f.Fuzz(func(t *testing.T, uri string, index int64, audience string) {
		status := &token.Status{Index: index, URI: uri}
		number, ok := grant.NumberOf(issuer, audience, status)
		if made := (grant.Grant{Number: number, Audience: audience}).Status(issuer); ok && (number < 0 || *made != *status) {
			t.Errorf("%+v is said to be that of grant %d, which has %+v", *status, number, *made)
		}
	})
}

func TestNumberOfNothing(t *testing.T) {
	for name, status := range map[string]*token.Status{
		"no status":       nil,
		"the zero one":    {},
		"a whole list":    {Index: grant.ListSize, URI: "x/status-lists/0"},
		"leading zero":    {Index: 1, URI: "x/status-lists/01"},
		"other issuer":    {Index: 1, URI: "y/status-lists/1"},
		"no number":       {Index: 1, URI: "x/status-lists/"},
		"bare number":     {Index: 1, URI: "1"},
		"larger number":   {Index: 1, URI: "x/status-lists/8796093022208"},
		"another API":     {Index: 1, URI: "x/status-lists/1/eA"},
		"an empty API":    {Index: 1, URI: "x/status-lists/1/"},
		"a third segment": {Index: 1, URI: "x/status-lists/1/eA/eA"},
	} {
		if number, ok := grant.NumberOf("x", "", status); ok {
			t.Errorf("%s: is grant %d", name, number)
		}
	}
}
