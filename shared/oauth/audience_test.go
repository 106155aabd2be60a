package oauth_test

import (
	"strings"
	"testing"

	"github.com/hallpass-auth/hallpass/shared/oauth"
)

func TestValidateAudienceAccepts(t *testing.T) {
	for _, audience := range []string{
		"https://api.example", "https://api.example/", "https://api.example:8443/v1?tenant=1", "http://api.internal", "https://[::1]/",
		"urn:example:api", "api:items", "https://a.example/" + strings.Repeat("x", 255-len("https://a.example/")),
	} {
		if err := oauth.ValidateAudience(audience); err != nil {
			t.Errorf("%s: %v", audience, err)
		}
	}
}

// An audience is an absolute URI without a fragment (RFC 8707 section 2), in normal form.
func TestValidateAudienceRefuses(t *testing.T) {
	for _, audience := range []string{
		"", "api", "/api", "//api.example", "api.example", ":", "https://api.example#", "https://api.example#x", "https://api.example/#",
		" https://api.example", "https://api.example ", "https://api.example/a b", "https://api.example\n", "https://api.example/\x00", "https://api.example/\x1b[31m",
		"HTTPS://api.example", "https://api.example/%zz", "https://api.example/ü", "https://bücher.example", "https://api.example/?q=\u00a0", "urn:a b", "urn:ü",
		"https://user:geheim@api.example", "https://", "https:///x", "https://:443", "https:api.example",
		"https://a.example/" + strings.Repeat("x", 255),
	} {
		if err := oauth.ValidateAudience(audience); err == nil || !strings.Contains(err.Error(), "absolute URI") {
			t.Errorf("%q: %v, want an error about the URI", audience, err)
		}
	}
}
