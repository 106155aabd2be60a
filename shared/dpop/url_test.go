package dpop_test

import (
	"net/http"
	"testing"

	"github.com/hallpass-auth/hallpass/shared/dpop"
)

// htu and the URL of the request may be written differently (RFC 3986 sections 6.2.2 and 6.2.3), and the server may
// be behind a proxy.
func TestURLs(t *testing.T) {
	for _, tt := range []struct {
		base, target, htu string
		ok                bool
	}{
		{"https://api.example", "/items/1", "https://api.example/items/1", true},
		{"https://api.example/", "/items/1", "https://api.example/items/1", true},
		{"https://API.example:443", "/items/1?a=b", "HTTPS://api.EXAMPLE/items/1", true},
		{"https://api.example", "/items/1", "https://api.example:443/items/1?x=y#z", true},
		{"http://[::1]:8000", "/items/1", "http://[::1]:8000/items/1", true},
		{"http://[::1]:80", "/items/1", "http://[::1]/items/1", true},
		{"https://api.example", "/", "https://api.example", true},
		{"https://api.example", "/a%7eb", "https://api.example/a~b", true},
		{"https://api.example", "/a~b", "https://api.example/a%7Eb", true},
		{"https://api.example", "/a%c3%a9", "https://api.example/a%C3%A9", true},
		{"https://api.example", "/a%20b", "https://api.example/a%20b", true},
		{"https://api.example", "/a|b", "https://api.example/a|b", true},
		{"https://api.example", "/a%2Fb", "https://api.example/a%2fb", true},
		{"https://api.example", "/a/b", "https://api.example/a%2Fb", false},
		{"https://api.example", "/a%2Fb", "https://api.example/a/b", false},
		{"https://api.example", "/items/1", "https://api.example/items/1/", false},
		{"https://api.example", "/items/1", "https://api.example/ITEMS/1", false},
		{"https://api.example", "/items/1", "//api.example/items/1", false},
		{"https://api.example", "/items/1", "api.example/items/1", false},
		{"https://api.example", "/items/1", "https://api.example/%zz", false},

		// A proxy forwards /v1 with its path, or without.
		{"https://api.example/v1", "/v1/items/1", "https://api.example/v1/items/1", true},
		{"https://api.example/v1", "/items/1", "https://api.example/v1/items/1", true},
		{"https://api.example/v1/", "/items/1", "https://api.example/v1/items/1", true},
		{"https://api.example/v1", "/v1", "https://api.example/v1", true},
		{"https://api.example/v1", "/v10/items", "https://api.example/v1/v10/items", true},
		{"https://api.example/v1", "/items/1", "https://api.example/items/1", false},
	} {
		c := newClient(t, "ES256")
		r := request("GET", "http://internal:8000"+tt.target, c.proof(c.header, goodClaims().with("htu", tt.htu)))
		if _, err := newServer(t, tt.base, "").use(t, r); (err == nil) != tt.ok {
			t.Errorf("%s at %s%s: %v", tt.htu, tt.base, tt.target, err)
		}
	}
}

// Middleware of a server may change the path and the method before the proof is checked.
func TestChangedRequests(t *testing.T) {
	c := newClient(t, "ES256")
	for _, method := range []string{"GET", "HEAD"} {
		r := request("HEAD", base+"/items/1", c.proof(c.header, goodClaims().with("htm", method)))
		r = r.WithContext(dpop.WithMethod(r.Context(), "HEAD"))
		r.Method = "GET"
		var err error
		http.StripPrefix("/items", http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			_, err = newServer(t, base, "").use(t, r)
		})).ServeHTTP(nil, r)
		if (err == nil) != (method == "HEAD") {
			t.Errorf("%s: %v", method, err)
		}
	}
}

func TestParseBase(t *testing.T) {
	for _, bad := range []string{
		"", "api.example", "/v1", "urn:example:api", "ftp://api.example", "https://", "https://x@api.example",
		"https://api.example?x=y", "https://api.example/#x", "https://api.example:x",
	} {
		if _, err := dpop.ParseBase(bad); err == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
}
