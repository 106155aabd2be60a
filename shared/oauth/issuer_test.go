package oauth_test

import (
	"strings"
	"testing"

	"github.com/hallpass-auth/hallpass/shared/oauth"
)

// The issuer is a URL without query or fragment (RFC 8414 section 2).
func TestValidateIssuer(t *testing.T) {
	for _, good := range []string{"https://login.example.com", "http://127.0.0.1:9000", "https://example.com/tenant",
		"http://[::1]:9000", "https://example.com/a%2Fb"} {
		if err := oauth.ValidateIssuer(good); err != nil {
			t.Errorf("%s refused: %v", good, err)
		}
	}
	for _, bad := range []string{
		"", "login.example.com", "ftp://x.test", "https://", "/token", "https://x.test/", "https://x.test?a=b", "https://x.test?",
		"https://x.test#f", "https://user:pass@x.test", "https://x.test/\x00", "javascript:alert(1)",
	} {
		if oauth.ValidateIssuer(bad) == nil {
			t.Errorf("%q accepted", bad)
		}
	}
}

// Issuers are compared as strings, so only the normal form is accepted.
func TestValidateIssuerNormalForm(t *testing.T) {
	for bad, says := range map[string]string{
		"HTTPS://login.example.com": `must be written as "https://login.example.com"`, "Http://127.0.0.1:9000": "must be written as",
		"https://login.example.com#": "no user, query or fragment", "https://login.example.com/a#": "no user, query or fragment",
		"https://:9000": "is not a URL like", "https://:": "is not a URL like",
		"https://login.example.com:": "no port", "https://[::1]:": "no port", "https://login.example.com:/a": "no port",
		"https://x/y z": `must be written as "https://x/y%20z"`, "https://x/ü": "must be written as", "https://bücher.example": "must be written as",
	} {
		if err := oauth.ValidateIssuer(bad); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v, want an error with %q", bad, err, says)
		}
	}
}
