package resource_test

import (
	"testing"

	"github.com/hallpass-auth/hallpass/authserver/internal/resource"
)

// RFC 3986 section 6.2.3: which spellings name the same API, as for clients that use new URL().
func TestSame(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		a, b string
		want bool
	}{
		{"http://host", "http://host/", true},
		{"https://api.example", "https://api.example:443/", true},
		{"http://127.0.0.1:8000", "http://127.0.0.1:8000/", true},
		{"http://[::1]:80", "http://[::1]/", true},
		{"https://api.example:", "https://api.example", true},
		{"https://api.example?x=1", "https://api.example/?x=1", true},
		{"urn:example:api", "urn:example:api", true},

		{"https://API.example/v1", "https://api.example/v1", false},
		{"HTTPS://api.example", "https://api.example", false},
		{"https://api443", "https://api", false},
		{"https://api.example:80", "https://api.example", false},
		{"http://api.example", "https://api.example", false},
		{"https://api.example/v1", "https://api.example/v1/", false},
		{"https://api.example/V1", "https://api.example/v1", false},
		{"https://api.example/", "https://api.example//", false},
		{"https://api.example/%2F", "https://api.example//", false},
		{"https://api.example?", "https://api.example", false},
		{"https://api.example/?x=1", "https://api.example/?X=1", false},
		{"https://api.example", "https://api.example#", false},
		{"https://api.example", "https://user@api.example", false},
		{"https://api.example", "https://api.example.", false},
		{"urn:example:api", "URN:example:api", false},
		{"http://", "http:///", false},
		{"", "/", false},
	} {
		if got := resource.Same(tt.a, tt.b); got != tt.want {
			t.Errorf("Same(%q, %q) = %v, want %v", tt.a, tt.b, got, tt.want)
		}
		if got := resource.Same(tt.b, tt.a); got != tt.want {
			t.Errorf("Same(%q, %q) = %v, want %v", tt.b, tt.a, got, tt.want)
		}
	}
}
