package grant_test

import (
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-auth/hallpass/shared/token"

	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
)

// api is the default API, billing another one.
const (
	issuer  = "https://login.example"
	api     = "https://api.example"
	billing = "https://billing.example/?a=1&b=<2>"
)

// base64url of api and of billing.
const (
	apiEncoded     = "aHR0cHM6Ly9hcGkuZXhhbXBsZQ"
	billingEncoded = "aHR0cHM6Ly9iaWxsaW5nLmV4YW1wbGUvP2E9MSZiPTwyPg"
)

var lists = grant.Lists{Issuer: issuer, Default: api}

// Token Status List, as Hallpass uses it: list n / 2^20, index n mod 2^20. Tokens for the
// default API use the URIs that they had before there were other APIs.
func TestStatus(t *testing.T) {
	const size = 1048576
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
		got := lists.Status(grant.Grant{Number: tt.number, Audience: api})
		if diff := cmp.Diff(&tt.want, got); diff != "" {
			t.Errorf("grant %d (-want +got):\n%s", tt.number, diff)
		}
	}
}

// Every API has lists of its own for the same grants: each may be signed with another key.
func TestStatusForAnAPI(t *testing.T) {
	got := lists.Status(grant.Grant{Number: 3*grant.ListSize + 17, Audience: billing})
	want := &token.Status{Index: 17, URI: issuer + "/status-lists/3/" + billingEncoded}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestParseList(t *testing.T) {
	for uri, want := range map[string]grant.List{
		"/status-lists/0":                   {Number: 0, Audience: api},
		"/status-lists/3/" + billingEncoded: {Number: 3, Audience: billing},
		"/status-lists/3/" + apiEncoded:     {Number: 3, Audience: api}, // from before it was the default API
	} {
		want.URI = issuer + uri
		if got, ok := lists.Parse(issuer + uri); !ok || got != want {
			t.Errorf("%s: %+v, %v, want %+v", uri, got, ok, want)
		}
	}
}

// Lists of a restored database have other URIs than those of the database before. A token of another
// epoch belongs to no grant.
func TestEpochs(t *testing.T) {
	const name = "eABCDEFGHIJKLMNOPQRSTUVWXYZ"
	restored := lists
	restored.Epoch = name
	for audience, want := range map[string]string{
		api:     issuer + "/status-lists/" + name + "/3",
		billing: issuer + "/status-lists/" + name + "/3/" + billingEncoded,
	} {
		g := grant.Grant{Number: 3*grant.ListSize + 17, Audience: audience}
		status := restored.Status(g)
		if *status != (token.Status{Index: 17, URI: want}) {
			t.Errorf("%s: %+v, want %s", audience, *status, want)
		}
		parsed, ok := lists.Parse(want)
		if diff := cmp.Diff(grant.List{Epoch: name, Number: 3, Audience: audience, URI: want}, parsed); !ok || diff != "" {
			t.Errorf("%v (-want +got):\n%s", ok, diff)
		}
		if number, ok := restored.NumberOf(audience, status); !ok || number != g.Number {
			t.Errorf("%s: grant %d, %v", audience, number, ok)
		}
		if number, ok := lists.NumberOf(audience, status); ok {
			t.Errorf("%s: a token of another epoch is one of grant %d", audience, number)
		}
		if number, ok := restored.NumberOf(audience, lists.Status(g)); ok {
			t.Errorf("%s: a token of the first epoch is one of grant %d", audience, number)
		}
	}
	for _, epoch := range []string{"e", "1", "01", "eABC", name + "A", strings.ToLower(name), "f" + name[1:], ""} {
		if l, ok := lists.Parse(issuer + "/status-lists/" + epoch + "/3"); ok && l.Epoch != "" {
			t.Errorf("%q is taken for an epoch", epoch)
		}
	}
}

// The name of an epoch is random: a counter would be the same after each restore of one copy.
func TestNewEpoch(t *testing.T) {
	seen := map[string]bool{}
	for range 100 {
		name := grant.NewEpoch()
		l := grant.Lists{Issuer: issuer, Default: api, Epoch: name}.List(0, api)
		if parsed, ok := lists.Parse(l.URI); seen[name] || !ok || parsed != l {
			t.Fatalf("%s: %+v, %v", name, parsed, ok)
		}
		seen[name] = true
	}
}

// Every grant has a bit of its own, in a list of its own for every API.
func FuzzStatusIsUnique(f *testing.F) {
	for _, n := range []int64{0, 1, grant.ListSize - 1, grant.ListSize, math.MaxInt64} {
		f.Add(n, n/2, api, billing)
		f.Add(n, n, "x", "x")
	}
	f.Fuzz(func(t *testing.T, a, b int64, one, two string) {
		if a < 0 || b < 0 {
			return // numbers begin at 1
		}
		first := lists.Status(grant.Grant{Number: a, Audience: one})
		second := lists.Status(grant.Grant{Number: b, Audience: two})
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
		f.Add(n, api)
		f.Add(n, billing)
	}
	f.Fuzz(func(t *testing.T, n int64, audience string) {
		if n < 0 || audience == "" {
			return // numbers begin at 1, and every API has an audience
		}
		status := lists.Status(grant.Grant{Number: n, Audience: audience})
		if got, ok := lists.NumberOf(audience, status); !ok || got != n {
			t.Errorf("grant %d has the status %+v, which is that of %d (%v)", n, *status, got, ok)
		}
		if _, ok := lists.NumberOf(audience+"x", status); ok {
			t.Errorf("the status %+v is one for another API too", *status)
		}
	})
}

// A status claim that names a grant has the one form that a list is published under.
func FuzzNumberOf(f *testing.F) {
	for _, path := range []string{
		"", "/status-lists/", "/status-lists/0", "/status-lists/00", "/status-lists/+1", "/status-lists/-1",
		"/status-lists/1/", "/status-lists/1?x", "/status-lists/8796093022208", "/status-lists/9223372036854775807",
		"/status-lists/1_0", "/status-lists/1/eA", "/status-lists/1/eB", "/status-lists/1/eA==", "/status-lists/1/eA/",
		"/status-lists/1/e%41", "/status-lists/1/e\nA", "/status-lists/1/" + apiEncoded,
	} {
		f.Add(issuer+path, int64(1), api)
		f.Add(issuer+path, int64(1), "x")
	}
	f.Add("0", int64(1), api)
	f.Add("https://evil.example/status-lists/1", int64(1), api)
	f.Add(issuer+"/status-lists/0", int64(-1), api)
	f.Add(issuer+"/status-lists/0", int64(grant.ListSize), api)
	f.Fuzz(func(t *testing.T, uri string, index int64, audience string) {
		number, ok := lists.NumberOf(audience, &token.Status{Index: index, URI: uri})
		if !ok {
			return
		}
		made := lists.Status(grant.Grant{Number: number, Audience: audience})
		long := grant.Lists{Issuer: issuer}.List(number/grant.ListSize, audience).URI
		if number < 0 || made.Index != index || (made.URI != uri && long != uri) {
			t.Errorf("%q, %d is said to be that of grant %d, which has %+v", uri, index, number, *made)
		}
	})
}

func TestNumberOfNothing(t *testing.T) {
	for name, status := range map[string]*token.Status{
		"no status":       nil,
		"the zero one":    {},
		"a whole list":    {Index: grant.ListSize, URI: issuer + "/status-lists/0"},
		"leading zero":    {Index: 1, URI: issuer + "/status-lists/01"},
		"other issuer":    {Index: 1, URI: "https://evil.example/status-lists/1"},
		"no number":       {Index: 1, URI: issuer + "/status-lists/"},
		"bare number":     {Index: 1, URI: "1"},
		"larger number":   {Index: 1, URI: issuer + "/status-lists/8796093022208"},
		"another API":     {Index: 1, URI: issuer + "/status-lists/1/" + billingEncoded},
		"an empty API":    {Index: 1, URI: issuer + "/status-lists/1/"},
		"a third segment": {Index: 1, URI: issuer + "/status-lists/1/" + apiEncoded + "/eA"},
		"padding":         {Index: 1, URI: issuer + "/status-lists/1/" + apiEncoded + "=="},
	} {
		if number, ok := lists.NumberOf(api, status); ok {
			t.Errorf("%s: is grant %d", name, number)
		}
	}
}
