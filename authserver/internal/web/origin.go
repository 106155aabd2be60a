package web

import (
	"net/http"
	"net/url"
	"strings"
)

// originOf returns the origin of a URL as browsers send it (RFC 6454 section 6.1).
func originOf(issuer string) string {
	u, err := url.Parse(issuer)
	if err != nil {
		return issuer
	}
	host := strings.ToLower(u.Host)
	if port := u.Port(); port == map[string]string{"http": "80", "https": "443"}[u.Scheme] {
		host = strings.TrimSuffix(host, ":"+port)
	}
	return u.Scheme + "://" + host
}

// sameOrigin refuses forms that another site has made the browser send. The issuer's origin is
// our own even if a proxy has rewritten Host.
func (e *endpoints) sameOrigin(next http.Handler) http.Handler {
	protection := http.NewCrossOriginProtection()
	if err := protection.AddTrustedOrigin(originOf(e.cfg.IssuerURL)); err != nil {
		e.cfg.Log.Warn("forms are accepted by their Host only", "issuer", e.cfg.IssuerURL, "reason", err)
	}
	for _, path := range []string{authorizePath, endSessionPath} { // they change nothing, see continueByGet
		protection.AddInsecureBypassPattern("POST " + path)
	}
	protection.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		e.message(w, r, http.StatusForbidden, say("This form came from another site"),
			say("It was not accepted."), say("To log in, go back to the app and start again."))
	}))
	return protection.Handler(next)
}
