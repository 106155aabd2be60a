package oauth_test

import (
	"testing"

	"github.com/hallpass-auth/hallpass/shared/oauth"
)

// RFC 8414 §2: the issuer is a URL without query or fragment components.
func TestValidateIssuer(t *testing.T) {
	for _, good := range []string{"https://login.example.com", "http://127.0.0.1:9000", "https://example.com/tenant", "http://[::1]:9000"} {
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
