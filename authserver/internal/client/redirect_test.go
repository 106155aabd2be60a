package client_test

import (
	"errors"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/client"
)

// withRedirects returns a client with the redirect URIs.
func withRedirects(uris ...string) client.Client {
	c := validClient()
	c.Grants, c.RedirectURIs = []oauth.GrantType{oauth.GrantAuthorizationCode}, uris
	return c
}

// RFC 9700 section 2.6 and RFC 8252 section 7: https, http to loopback, and private schemes.
func TestValidateAcceptsRedirectURIs(t *testing.T) {
	t.Parallel()
	for _, uri := range []string{
		"https://app.example", "https://app.example/", "https://app.example/callback", "https://app.example:8443/callback",
		"https://app.example/callback?tenant=1&x=%2F", "https://app.example/a%2Fb",
		"https://xn--bcher-kva.example/", "https://192.0.2.1/cb", "https://[2001:db8::1]/cb",
		"http://127.0.0.1", "http://127.0.0.1/", "http://127.0.0.1:8080/cb", "http://[::1]/cb",
		"http://[::1]:3000/cb?x=1", "http://localhost:3000/cb",
		"com.example.app:/callback", "com.example.app:callback", "com.example.app://host/callback",
		"cursor://anysphere.cursor-mcp/oauth/callback", "vscode://vscode.github-authentication/did-authenticate",
		"https://app.example/" + strings.Repeat("x", 2048-len("https://app.example/")),
	} {
		if err := withRedirects(uri).Validate(); err != nil {
			t.Errorf("%s: %v", uri, err)
		}
	}
}

func TestValidateRejectsRedirectURIs(t *testing.T) {
	t.Parallel()
	for uri, says := range map[string]string{
		"":                                               "absolute",
		"/callback":                                      "absolute",
		"app.example/callback":                           "absolute",
		"//app.example/callback":                         "absolute",
		"https:///callback":                              "must be https",
		"https://:443/callback":                          "must be https",
		"https:app.example":                              "must be https",
		"https:/callback":                                "must be https",
		"https://?x=1":                                   "normalized",
		"HTTPS://app.example/":                           "normalized",
		"https://app.example/a b":                        "normalized",
		" https://app.example/":                          "normalized",
		"https://app.example/\n":                         "normalized",
		"https://app.example/\r\nX: y":                   "normalized",
		"https://app.example/\x00":                       "normalized",
		"https://app.example/\x7f":                       "normalized",
		"https://app.example\\@evil.test/":               "normalized",
		"https://bücher.example/":                        "normalized",
		"https://app.example/ü":                          "normalized",
		"https://app.example/?q=ü":                       "normalized",
		"https://app.example/?q=\u00a0x":                 "normalized", // would end the URI in a list
		"https://app.example/?q=\u2003x":                 "normalized",
		"https://app.example/?q=\u0085x":                 "normalized",
		"https://app.example/?q=\xff":                    "normalized",
		"https://app.example/%zz":                        "normalized",
		"https://app.example:port/":                      "normalized",
		"https://[::1/":                                  "normalized",
		"https://app.example/#":                          "normalized",
		"https://app.example/#a":                         "fragment",
		"https://user@app.example/":                      "userinfo",
		"https://user:geheim@app.example/":               "userinfo",
		"https://@app.example/":                          "userinfo",
		"https://*.app.example/":                         "wildcard",
		"https://*/":                                     "wildcard",
		"http://app.example/":                            "must be https",
		"http://127.0.0.1.evil.test/":                    "must be https",
		"http://localhost.evil.test/":                    "must be https",
		"http://2130706433/":                             "must be https",
		"http://0x7f.0.0.1/":                             "must be https",
		"http://0.0.0.0/":                                "must be https",
		"http://10.0.0.1/":                               "must be https",
		"http://[::]/":                                   "must be https",
		"http:///cb":                                     "must be https",
		"javascript:alert(1)":                            "must be https",
		"data:text/html,x":                               "must be https",
		"file:///etc/passwd":                             "must be https",
		"ftp://app.example/":                             "must be https",
		"https://app.example/cb?a;b=1":                   "name=value",
		"https://app.example/cb?q=%zz":                   "name=value",
		"https://app.example/cb?state=fixed":             "name=value",
		"https://app.example/cb?a=b&iss=x":               "name=value",
		"urn:ietf:wg:oauth:2.0:oob":                      "must be https",
		"myapp:/callback":                                "must be https",
		"myapp:///callback":                              "must be https",
		"ssh://evil.test/callback":                       "must be https",
		"ms-msdt://evil.test/callback":                   "must be https",
		"chrome://settings/callback":                     "must be https",
		"https://a.example/ https://b.test":              "normalized",
		"https://a.example/" + strings.Repeat("x", 2048): "2048 bytes",
	} {
		err := withRedirects("https://app.example/", uri).Validate() // not only the first one
		if !errors.Is(err, client.ErrBad) || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: got %v, want an error with %q", uri, err, says)
		}
	}
}

// Grant types must fit the client and its redirect URIs.
func TestValidateGrants(t *testing.T) {
	t.Parallel()
	uris := []string{"https://app.example/"}
	for name, tt := range map[string]struct {
		client client.Client
		says   string // empty: valid
	}{
		"code":                              {client.Client{Grants: []oauth.GrantType{"authorization_code"}, RedirectURIs: uris}, ""},
		"code, confidential":                {client.Client{SecretDigest: "x", Grants: []oauth.GrantType{"authorization_code"}, RedirectURIs: uris}, ""},
		"code and refresh":                  {client.Client{Grants: []oauth.GrantType{"refresh_token", "authorization_code"}, RedirectURIs: uris}, ""},
		"password and refresh":              {client.Client{Grants: []oauth.GrantType{"password", "refresh_token"}}, ""},
		"service":                           {client.Client{SecretDigest: "x", Grants: []oauth.GrantType{"client_credentials"}}, ""},
		"service that introspects":          {client.Client{SecretDigest: "x", Introspects: true, Grants: []oauth.GrantType{"client_credentials"}}, ""},
		"code without a URI":                {client.Client{Grants: []oauth.GrantType{"authorization_code"}}, "needs a redirect URI"},
		"URI without code":                  {client.Client{Grants: []oauth.GrantType{"password"}, RedirectURIs: uris}, "leave them out"},
		"refresh alone":                     {client.Client{Grants: []oauth.GrantType{"refresh_token"}}, "refresh_token needs"},
		"refresh of a service":              {client.Client{SecretDigest: "x", Grants: []oauth.GrantType{"client_credentials", "refresh_token"}}, "refresh_token needs"},
		"public service":                    {client.Client{Grants: []oauth.GrantType{"client_credentials"}}, "public"},
		"public client that introspects":    {client.Client{Introspects: true, Grants: []oauth.GrantType{"password"}}, "public"},
		"public client with code and creds": {client.Client{Grants: []oauth.GrantType{"authorization_code", "client_credentials"}, RedirectURIs: uris}, "public"},
	} {
		c := tt.client
		c.ID, c.Name, c.Scope = "app", "App", oauth.Scope{"profile"}
		err := c.Validate()
		if tt.says == "" && err == nil {
			continue
		}
		if !errors.Is(err, client.ErrBad) || !strings.Contains(err.Error(), tt.says) || tt.says == "" {
			t.Errorf("%s: got %v, want %q", name, err, tt.says)
		}
	}
}

// RFC 9700 section 2.1: redirect URIs are compared exactly.
func TestAllowsRedirectExactly(t *testing.T) {
	t.Parallel()
	c := withRedirects(
		"https://app.example/callback", "https://app.example/other?x=1", "https://port.example:8443/",
		"http://localhost:3000/cb", "com.example.app:/cb", "https://bare.example",
	)
	for _, uri := range c.RedirectURIs {
		if !c.AllowsRedirect(uri) {
			t.Errorf("%s is registered but not allowed", uri)
		}
		if (client.Client{}).AllowsRedirect(uri) {
			t.Errorf("%s is allowed for a client without redirect URIs", uri)
		}
	}
	for _, uri := range []string{
		"", "/", "/callback", "//app.example/callback", "https:", "https://app.example", "https://app.example/",
		"http://app.example/callback", "HTTPS://app.example/callback", "https://APP.example/callback",
		"https://app.example/Callback",
		"https://app.example/callback/", "https://app.example/callback/..",
		"https://app.example/callback/../callback", "https://app.example/./callback",
		"https://app.example//callback",
		"https://app.example/callback?", "https://app.example/callback?x", "https://app.example/callback#",
		"https://app.example/callback#x",
		"https://app.example/callback%00", "https://app.example/callbac%6b", "https://app.example/%63allback",
		"https://app.example%2fcallback", "https://app.example/callback%20",
		"https://app.example:443/callback", "https://app.example:/callback", "https://app.example:8443/callback",
		"https://app.example./callback",
		"https://app.example.evil.test/callback", "https://evil.test/https://app.example/callback",
		"https://evilapp.example/callback", "https://sub.app.example/callback",
		"https://app.example@evil.test/callback", "https://evil.test@app.example/callback",
		"https://@app.example/callback", "https://evil.test\\@app.example/callback",
		"https://evil.test#@app.example/callback",
		"https://app.example/callback\n", " https://app.example/callback", "https://app.example/callback ",
		"https://app.example/callback\r\nX: y", "https:\\\\app.example/callback", "https:/app.example/callback",
		"https:app.example/callback",
		"https://app.example/other", "https://app.example/other?x=2", "https://app.example/other?x=1&y=2",
		"https://app.example/other?X=1", "https://app.example/other?x=%31", "https://app.example/callback?x=1",
		"https://port.example/", "https://port.example:8444/", "https://port.example:08443/", "https://port.example:8443",
		"http://localhost", "http://localhost:3001/", "https://localhost:3000/cb", "http://localhost.:3000/cb",
		"http://localhost:03000/cb", "http://localhost:0/cb", "http://localhost:/cb", "http://localhost@evil.test:3000/cb",
		"http://localhost.evil.test:3000/cb", "http://LOCALHOST:3000/cb", "http://127.0.0.1:3000/cb",
		"com.example.app:/cb/", "com.example.app:cb", "com.example.app://cb", "com.example.App:/cb", "com.example.app2:/cb",
		"https://bare.example/", "https://bare.example?", "javascript:alert(1)",
		"https://app.example/callback https://app.example/other?x=1",
	} {
		if c.AllowsRedirect(uri) {
			t.Errorf("%q is allowed", uri)
		}
	}
}

// RFC 8252 section 7.3: the port of a loopback address may differ, and nothing else. The same holds
// for localhost.
func TestAllowsRedirectToAnyLoopbackPort(t *testing.T) {
	t.Parallel()
	c := withRedirects("http://127.0.0.1/cb", "http://[::1]:8080/cb?x=1", "http://localhost/local", "http://localhost:3000/dev")
	for _, uri := range []string{
		"http://127.0.0.1/cb", "http://127.0.0.1:1/cb", "http://127.0.0.1:51004/cb", "http://127.0.0.1:65535/cb",
		"http://[::1]:8080/cb?x=1", "http://[::1]:51004/cb?x=1",
		"http://localhost/local", "http://localhost:51004/local", "http://localhost:3000/dev", "http://localhost:3001/dev",
	} {
		if !c.AllowsRedirect(uri) {
			t.Errorf("%s is not allowed", uri)
		}
	}
	for _, uri := range []string{
		"https://127.0.0.1:51004/cb", "HTTP://127.0.0.1:51004/cb", "http://localhost:51004/cb",
		"http://127.0.0.1:51004/local", "http://localhost.evil.test:51004/local", "http://localhost:51004@evil.test/local",
		"http://localhost:051004/local", "http://LOCALHOST:51004/local", "http://localhost.:51004/local",
		"https://localhost:51004/local", "http://localhost:51004/local/", "http://localhost:51004/local?",
		"http://127.0.0.2:51004/cb", "http://[::1]:51004/cb", "http://127.0.0.1:51004/cb?x=1",
		"http://127.0.0.1:/cb", "http://127.0.0.1:port/cb", "http://127.0.0.1:-1/cb", "http://127.0.0.1:+1/cb",
		"http://127.0.0.1:1:2/cb",
		"http://127.0.0.1:65536/cb", "http://127.0.0.1:99999999999999999999/cb", "http://127.0.0.1:0/cb",
		"http://127.0.0.1:080/cb",
		"http://127.0.0.1:51004", "http://127.0.0.1:51004/", "http://127.0.0.1:51004/cb/",
		"http://127.0.0.1:51004/CB", "http://127.0.0.1:51004//cb", "http://127.0.0.1:51004/%63b",
		"http://127.0.0.1:51004/cb?", "http://127.0.0.1:51004/cb#", "http://127.0.0.1:51004/cb#x",
		"http://127.0.0.1:51004@evil.test/cb", "http://x@127.0.0.1:51004/cb", "http://127.0.0.1:x@evil.test/cb",
		"http://127.0.0.1.evil.test:51004/cb", "http://127.0.0.1:51004\\@evil.test/cb",
		"http://evil.test:51004/cb",
		"http://127.1:51004/cb", "http://2130706433:51004/cb", "http://0x7f000001:51004/cb",
		"http://127.0.0.01:51004/cb", "http://[::ffff:127.0.0.1]:51004/cb", "http://0.0.0.0:51004/cb",
		"http://[::1]/cb?x=1", "http://[0:0:0:0:0:0:0:1]:51004/cb?x=1", "http://::1:51004/cb?x=1",
		"http://[::1]:51004/cb", "http://[::1]:51004/cb?x=2", "http://[::1%25lo]:51004/cb?x=1",
		"http://[::]:51004/cb?x=1",
		"http://127.0.0.1:51004/cb\r\nX: y", "http://127.0.0.1:51004/cb ", "\thttp://127.0.0.1:51004/cb",
	} {
		if c.AllowsRedirect(uri) {
			t.Errorf("%q is allowed", uri)
		}
	}
}

// A web client is redirected only to its registered URI, and a native client only to the
// loopback address.
func FuzzAllowsRedirect(f *testing.F) {
	const remote, local = "https://app.example/callback?x=1", "http://127.0.0.1:8080/cb"
	for _, uri := range []string{
		remote, local, "http://127.0.0.1:1/cb", "http://127.0.0.1:1@evil.test/cb",
		"https://app.example@evil.test/callback?x=1", "",
	} {
		f.Add(uri)
	}
	f.Fuzz(func(t *testing.T, uri string) {
		if withRedirects(remote).AllowsRedirect(uri) != (uri == remote) {
			t.Errorf("%q: AllowsRedirect differs from an exact comparison with %s", uri, remote)
		}
		if !withRedirects(local).AllowsRedirect(uri) {
			return
		}
		u, err := url.Parse(uri)
		if err != nil {
			t.Fatalf("%q is allowed: %v", uri, err)
		}
		if _, err := netip.ParseAddrPort(u.Host); err != nil || uri != "http://127.0.0.1:"+u.Port()+"/cb" {
			t.Errorf("%q is allowed for %s", uri, local)
		}
	})
}

// A valid redirect URI has no spaces, so that it can be stored in a list, and parsing it
// again gives the same URI.
func FuzzRegisteredRedirectURI(f *testing.F) {
	for _, uri := range []string{
		"https://app.example/?q=\u00a0x", "https://app.example/cb", "http://[::1]/", "com.example.app:/cb",
		"https://:443/", "http://[::1%25lo]/",
	} {
		f.Add(uri)
	}
	f.Fuzz(func(t *testing.T, uri string) {
		if withRedirects(uri).Validate() != nil {
			return
		}
		if fields := strings.Fields(uri); len(fields) != 1 || fields[0] != uri {
			t.Errorf("%q has spaces: %q", uri, fields)
		}
		u, err := url.Parse(uri)
		if err != nil || u.User != nil || u.Fragment != "" || u.String() != uri {
			t.Errorf("%q is parsed as %+v, %v", uri, u, err)
		}
		address, err := netip.ParseAddr(u.Hostname())
		if u.Scheme == "http" && u.Hostname() != "localhost" && (err != nil || !address.IsLoopback()) {
			t.Errorf("%q is http to %q, which is not loopback", uri, u.Hostname())
		}
		if !withRedirects(uri).AllowsRedirect(uri) {
			t.Errorf("%q can be registered but is not allowed", uri)
		}
	})
}

// Users of a client that nobody has registered are asked each time, unless the response goes to the host
// that has the client's metadata document.
func TestAsksEachTime(t *testing.T) {
	t.Parallel()
	document := client.Client{ID: "https://app.example/client.json", Source: client.SourceDocument}
	registered := client.Client{ID: "c", SecretDigest: "x", Source: client.SourceRegistration}
	for _, tt := range []struct {
		client client.Client
		uri    string
		asks   bool
	}{
		{document, "https://app.example/cb", false},
		{document, "https://APP.example/cb", true},
		{document, "https://app.example:8443/cb", true},
		{document, "https://other.example/cb", true},
		{document, "https://sub.app.example/cb", true},
		{document, "http://127.0.0.1:1/cb", true},
		{document, "cursor://app.example/cb", true},
		{document, "com.example.app:/cb", true},
		{registered, "https://app.example/cb", true},
		{registered, "http://localhost:1/cb", true},
		{client.Client{ID: "app"}, "https://app.example/cb", false},
		{client.Client{ID: "app"}, "http://127.0.0.1:1/cb", true},
		{client.Client{ID: "app"}, "cursor://app.example/cb", true},
		{client.Client{ID: "app", SecretDigest: "x"}, "http://127.0.0.1:1/cb", false},
	} {
		if got := tt.client.AsksEachTime(tt.uri); got != tt.asks {
			t.Errorf("%s at %s: %v, want %v", tt.client.ID, tt.uri, got, tt.asks)
		}
	}
}
