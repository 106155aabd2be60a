package web_test

import (
	"net/http"
	"testing"

	"github.com/hallpass-auth/hallpass/authserver/internal/web"
)

// A proxy that rewrites Host does not make our own forms another site's (RFC 6454 section 4), and
// nobody else's forms ours.
func TestFormsBehindAProxyThatRewritesHost(t *testing.T) {
	t.Parallel()
	for issuerURL, origins := range map[string]map[string]bool{
		issuer: {
			issuer: true, issuer + ":443": false, "http://login.example": false, "https://login.example.evil.test": false,
			"https://evil.test": false, "null": false, "https://LOGIN.example": false,
		},
		"https://Login.Example:443/auth": {issuer: true, "https://login.example:444": false},
		"http://login.example:8080":      {"http://login.example:8080": true, "http://login.example": false},
	} {
		s := newSite(t, func(cfg *web.Config) { cfg.IssuerURL = issuerURL })
		s.addCodeApp()
		for origin, want := range origins {
			r := loginForm()
			r.Host = "authserver:9000"
			r.Header.Set("Origin", origin)
			if got := s.serve(r); (got.status == http.StatusSeeOther) != want {
				t.Errorf("issuer %s, Origin %s: %d, want accepted %v", issuerURL, origin, got.status, want)
			}
		}
	}
}
