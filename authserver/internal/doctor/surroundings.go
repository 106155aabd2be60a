package doctor

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/hallpass-auth/hallpass/shared/keyring"
	"github.com/hallpass-auth/hallpass/shared/token"
)

const (
	// dateResolution is how exactly a Date header, which has whole seconds, tells the time.
	dateResolution = time.Second
	// expiresSoon is how long before its end a certificate gets a warning.
	expiresSoon = 14 * 24 * time.Hour
)

// checkClocks compares the clocks of both servers with each other, and with that of this machine.
func (e *exam) checkClocks(context.Context) result {
	auth, okAuth := e.web.skews[hostOf(e.cfg.Issuer)]
	api, okAPI := e.web.skews[hostOf(e.cfg.API)]
	if !okAuth || !okAPI {
		return skipped("not both servers responded with a Date header")
	}
	const advice = "Synchronize the clocks of all machines, for example with chrony."
	apart := auth.ahead - api.ahead
	switch {
	case apart.Abs() > token.DefaultLeeway+auth.within+api.within:
		return failed(advice, "the clock of the authorization server is %s that of the API; %v are tolerated, and then "+
			"new tokens are refused", aheadOf(apart), token.DefaultLeeway)
	case auth.ahead.Abs() > token.DefaultLeeway+auth.within:
		return warning(advice, "both servers agree, and their clocks are %s that of this machine", aheadOf(auth.ahead))
	}
	return ok("both agree with this machine, to within %v", token.DefaultLeeway)
}

// aheadOf returns a difference in words.
func aheadOf(d time.Duration) string {
	if d < 0 {
		return fmt.Sprintf("%v behind", d.Abs().Round(time.Second))
	}
	return fmt.Sprintf("%v ahead of", d.Round(time.Second))
}

// checkTLS looks at the certificates of both servers.
func (e *exam) checkTLS(ctx context.Context) result {
	var secure []string
	for _, base := range []string{e.cfg.Issuer, e.cfg.API} {
		u, err := url.Parse(base)
		switch {
		case err != nil:
		case u.Scheme == "https":
			if r := e.checkCertificate(ctx, u); r.verdict != OK {
				return r
			}
			secure = append(secure, base)
		case !isLoopback(u.Hostname()):
			return failed("Put a proxy with a certificate in front, and make the URL https.",
				"%s is plain http on a network: passwords and tokens can be read on the way", base)
		}
	}
	if len(secure) == 0 {
		return skipped("both servers are on this machine, without TLS")
	}
	if e.issuer != nil && strings.HasPrefix(e.cfg.Issuer, "https:") &&
		e.issuer.header.Get("Strict-Transport-Security") == "" {
		return warning("Check that the proxy does not remove the header, which the server sends if its issuer is https.",
			"responses of %s have no Strict-Transport-Security (RFC 6797)", e.cfg.Issuer)
	}
	return ok("the certificates of %s are valid for %d days or more", strings.Join(secure, " and "),
		int(expiresSoon.Hours()/24))
}

// isLoopback reports whether a host is this machine.
func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// checkCertificate connects to a server and looks at its certificate.
func (e *exam) checkCertificate(ctx context.Context, u *url.URL) result {
	const renew = "Renew the certificate, or see why that is not automatic."
	port := u.Port()
	if port == "" {
		port = "443"
	}
	dialer := tls.Dialer{Config: &tls.Config{RootCAs: e.cfg.RootCAs, MinVersion: tls.VersionTLS12, Time: e.cfg.Now}}
	ctx, cancel := context.WithTimeout(ctx, e.cfg.Timeout)
	defer cancel()
	conn, err := dialer.DialContext(ctx, "tcp", net.JoinHostPort(u.Hostname(), port))
	if err != nil {
		return failed(renew, "%s: %s", u.Host, why(err))
	}
	defer conn.Close()
	var leaf *x509.Certificate
	if secure, isTLS := conn.(*tls.Conn); isTLS {
		leaf = secure.ConnectionState().PeerCertificates[0]
	}
	if leaf != nil && leaf.NotAfter.Sub(e.cfg.Now()) < expiresSoon {
		return warning(renew, "the certificate of %s expires on %s", u.Host, day(leaf.NotAfter))
	}
	return ok("")
}

// checkProxy compares the signs of a proxy with the settings. The servers speak plain HTTP, so an https issuer has
// a proxy in front.
func (e *exam) checkProxy(context.Context) result {
	if e.issuer == nil {
		return noMetadata
	}
	https := strings.HasPrefix(e.cfg.Issuer, "https:")
	via := e.issuer.header.Get("Via") != "" || e.issuer.header.Get("Server") != ""
	switch {
	case !https && !via && len(e.cfg.TrustedProxies) == 0:
		return ok("no sign of a proxy, and no trusted one")
	case !https && !via:
		return warning("Remove HALLPASS_TRUSTED_PROXIES if clients connect directly: they could choose the address that "+
			"failed logins are counted under.", "HALLPASS_TRUSTED_PROXIES is set, and there is no sign of a proxy")
	case len(e.cfg.TrustedProxies) == 0:
		return warning("Set HALLPASS_TRUSTED_PROXIES of both servers to the network of the proxy, and let the proxy send "+
			"X-Forwarded-For. Otherwise all users share one address, and one attacker's failed logins block all of them.",
			"a proxy is in front, and HALLPASS_TRUSTED_PROXIES is not set here")
	}
	return ok("a proxy is in front, and %s is trusted", strings.Join(e.cfg.TrustedProxies, ", "))
}

// checkKeys says which keys sign, and which will.
func (e *exam) checkKeys(context.Context) result {
	switch {
	case e.cfg.Keys == nil && e.cfg.KeysErr != nil:
		return skipped("the keys cannot be read here: %v", e.cfg.KeysErr)
	case e.cfg.Keys == nil:
		return skipped("set HALLPASS_KEYS_FILE to the file of the authorization server")
	}
	ring, now := e.cfg.Keys.Current(), e.cfg.Now()
	var lines []string
	soon := false
	for _, k := range ring.Keys() {
		state := ring.StateOf(k, now)
		line := fmt.Sprintf("%s (%s) is %s", k.ID, k.Algorithm, state)
		switch {
		case state == keyring.Waiting:
			line = fmt.Sprintf("%s (%s) signs from %s", k.ID, k.Algorithm, k.SignsFrom.UTC().Format(time.RFC3339))
		case state == keyring.Signing && !k.SignsFrom.IsZero():
			line += fmt.Sprintf(" since %s, %d days ago", day(k.SignsFrom), int(now.Sub(k.SignsFrom).Hours()/24))
		}
		if state == keyring.Signing && !k.VerifiesUntil.IsZero() && !hasSuccessor(ring, k, now) {
			soon = true
			line += ", until " + k.VerifiesUntil.UTC().Format(time.RFC3339)
		}
		lines = append(lines, line)
	}
	text := strings.Join(lines, "; ")
	if soon {
		return warning("Run 'authserver key rotate'.", "a key ends, and no other follows it: %s", text)
	}
	return ok("%s", text)
}

// hasSuccessor reports whether another key will sign in the place of a key.
func hasSuccessor(ring *keyring.Ring, k *keyring.Key, now time.Time) bool {
	return slices.ContainsFunc(ring.Keys(), func(next *keyring.Key) bool {
		return next.Audience == k.Audience && ring.StateOf(next, now) == keyring.Waiting
	})
}

// checkCORS asks as a browser does before a script of another origin sends a request.
func (e *exam) checkCORS(ctx context.Context) result {
	if e.metadata == nil {
		return noMetadata
	}
	doc, err := e.web.send(ctx, get(e.cfg.Issuer+metadataPath).with("Origin", "https://any.example"))
	if err != nil || doc.header.Get("Access-Control-Allow-Origin") != "*" {
		return failed("Check that no proxy in front removes Access-Control-Allow-Origin.",
			"scripts of other origins cannot read the metadata")
	}
	if e.cfg.Origin == "" {
		return ok("scripts of every origin can read the metadata; --origin https://app.example checks what those of a " +
			"web app may call")
	}
	for _, target := range []struct{ server, method, url, headers string }{
		{"authorization server", http.MethodPost, e.metadata.TokenEndpoint, "content-type"},
		{"authorization server", http.MethodPost, e.metadata.RevocationEndpoint, "content-type"},
		{"API", http.MethodGet, e.cfg.API + e.cfg.APIPath, "authorization"},
	} {
		if fault := e.preflight(ctx, target.method, target.url, target.headers); fault != "" {
			return failed("Add "+e.cfg.Origin+" to HALLPASS_ALLOWED_ORIGINS of the "+target.server+".",
				"a browser does not let scripts of %s send %s %s: %s", e.cfg.Origin, target.method, target.url, fault)
		}
	}
	return ok("scripts of %s may call the token and revocation endpoints and the API", e.cfg.Origin)
}

// preflight sends a preflight request and returns why a browser would not send the request that follows.
func (e *exam) preflight(ctx context.Context, method, address, header string) string {
	r := request{method: http.MethodOptions, url: address, header: map[string]string{
		"Origin":                         e.cfg.Origin,
		"Access-Control-Request-Method":  method,
		"Access-Control-Request-Headers": header,
	}}
	resp, err := e.web.send(ctx, r)
	if err != nil {
		return why(err)
	}
	allowed := resp.header.Get("Access-Control-Allow-Origin")
	switch {
	case resp.status >= http.StatusMultipleChoices:
		return fmt.Sprintf("the preflight gets status %d", resp.status)
	case allowed == "":
		return "the origin is not allowed"
	case allowed != "*" && allowed != e.cfg.Origin:
		return "another origin is allowed"
	case !strings.Contains(strings.ToLower(resp.header.Get("Access-Control-Allow-Headers")), header):
		return "the header " + header + " is not allowed"
	}
	return ""
}
