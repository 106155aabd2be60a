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

// web returns a client that is sent back to the URIs.
func web(uris ...string) client.Client {
	c := good()
	c.Grants, c.RedirectURIs = []oauth.GrantType{oauth.GrantAuthorizationCode}, uris
	return c
}

// CHECKLIST 42: https, http to this very machine, and the private schemes of apps.
func TestRedirectURIsThatMayBeRegistered(t *testing.T) {
	for _, uri := range []string{
		"https://app.example", "https://app.example/", "https://app.example/callback", "https://app.example:8443/callback",
		"https://app.example/callback?tenant=1&x=%2F", "https://app.example/a%2Fb", "https://xn--bcher-kva.example/", "https://192.0.2.1/cb", "https://[2001:db8::1]/cb",
		"http://127.0.0.1", "http://127.0.0.1/", "http://127.0.0.1:8080/cb", "http://[::1]/cb", "http://[::1]:3000/cb?x=1", "http://localhost:3000/cb",
		"com.example.app:/callback", "com.example.app:callback",
		"https://app.example/" + strings.Repeat("x", 2048-len("https://app.example/")),
	} {
		if err := web(uri).Validate(); err != nil {
			t.Errorf("%s: %v", uri, err)
		}
	}
}

func TestRedirectURIsThatMayNotBeRegistered(t *testing.T) {
	for uri, says := range map[string]string{
		"":                                               "absolute",
		"/callback":                                      "absolute",
		"app.example/callback":                           "absolute",
		"//app.example/callback":                         "absolute",
		"https:///callback":                              "must be https",
		"https://:443/callback":                          "must be https",
		"https:app.example":                              "must be https",
		"https:/callback":                                "must be https",
		"https://?x=1":                                   "plain form",
		"HTTPS://app.example/":                           "plain form",
		"https://app.example/a b":                        "plain form",
		" https://app.example/":                          "plain form",
		"https://app.example/\n":                         "plain form",
		"https://app.example/\r\nX: y":                   "plain form",
		"https://app.example/\x00":                       "plain form",
		"https://app.example/\x7f":                       "plain form",
		"https://app.example\\@evil.test/":               "plain form",
		"https://bücher.example/":                        "plain form",
		"https://app.example/ü":                          "plain form",
		"https://app.example/?q=ü":                       "plain form",
		"https://app.example/?q=\u00a0x":                 "plain form", // a list of URIs would be split there
		"https://app.example/?q=\u2003x":                 "plain form",
		"https://app.example/?q=\u0085x":                 "plain form",
		"https://app.example/?q=\xff":                    "plain form",
		"https://app.example/%zz":                        "plain form",
		"https://app.example:port/":                      "plain form",
		"https://[::1/":                                  "plain form",
		"https://app.example/#":                          "plain form",
		"https://app.example/#a":                         "no fragment",
		"https://user@app.example/":                      "no user",
		"https://user:geheim@app.example/":               "no user",
		"https://@app.example/":                          "no user",
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
		"com.example.app://host/callback":                "must be https",
		"https://a.example/ https://b.test":              "plain form",
		"https://a.example/" + strings.Repeat("x", 2048): "plain form",
	} {
		err := web("https://app.example/", uri).Validate() // not the first one only
		if !errors.Is(err, client.ErrBad) || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v, want an error that says %q", uri, err, says)
		}
	}
}

// A grant type without what it needs, or the other way round, is a mistake.
func TestValidateGrants(t *testing.T) {
	uris := []string{"https://app.example/"}
	for name, tt := range map[string]struct {
		client client.Client
		says   string // nothing: it is good
	}{
		"code":                              {client.Client{Grants: []oauth.GrantType{"authorization_code"}, RedirectURIs: uris}, ""},
		"code, confidential":                {client.Client{SecretDigest: "x", Grants: []oauth.GrantType{"authorization_code"}, RedirectURIs: uris}, ""},
		"code and refresh":                  {client.Client{Grants: []oauth.GrantType{"refresh_token", "authorization_code"}, RedirectURIs: uris}, ""},
		"password and refresh":              {client.Client{Grants: []oauth.GrantType{"password", "refresh_token"}}, ""},
		"service":                           {client.Client{SecretDigest: "x", Grants: []oauth.GrantType{"client_credentials"}}, ""},
		"service that introspects":          {client.Client{SecretDigest: "x", Introspects: true, Grants: []oauth.GrantType{"client_credentials"}}, ""},
		"code without a URI":                {client.Client{Grants: []oauth.GrantType{"authorization_code"}}, "needs a redirect URI"},
		"URI without code":                  {client.Client{Grants: []oauth.GrantType{"password"}, RedirectURIs: uris}, "nothing else does"},
		"refresh alone":                     {client.Client{Grants: []oauth.GrantType{"refresh_token"}}, "refresh_token needs"},
		"refresh of a service":              {client.Client{SecretDigest: "x", Grants: []oauth.GrantType{"client_credentials", "refresh_token"}}, "refresh_token needs"},
		"public service":                    {client.Client{Grants: []oauth.GrantType{"client_credentials"}}, "public"},
		"public client that introspects":    {client.Client{Introspects: true, Grants: []oauth.GrantType{"password"}}, "public"},
		"public client with code and creds": {client.Client{Grants: []oauth.GrantType{"authorization_code", "client_credentials"}, RedirectURIs: uris}, "public"},
	} {
		c := tt.client
		c.ID, c.Name, c.Scope = "app", "App", oauth.Scope{"profile"}
		err := c.Validate()
		if tt.says == "" && err != nil || tt.says != "" && (!errors.Is(err, client.ErrBad) || !strings.Contains(err.Error(), tt.says)) {
			t.Errorf("%s: %v, want %q", name, err, tt.says)
		}
	}
}

// CHECKLIST 29: letter by letter.
func TestAllowsRedirectExactly(t *testing.T) {
	c := web("https://app.example/callback", "https://app.example/other?x=1", "https://port.example:8443/", "http://localhost:3000/cb", "com.example.app:/cb", "https://bare.example")
	for _, uri := range c.RedirectURIs {
		if !c.AllowsRedirect(uri) {
			t.Errorf("%s is registered and refused", uri)
		}
		if (client.Client{}).AllowsRedirect(uri) {
			t.Errorf("%s is allowed to a client that has none", uri)
		}
	}
	for _, uri := range []string{
		"", "/", "/callback", "//app.example/callback", "https:", "https://app.example", "https://app.example/",
		"http://app.example/callback", "HTTPS://app.example/callback", "https://APP.example/callback", "https://app.example/Callback",
		"https://app.example/callback/", "https://app.example/callback/..", "https://app.example/callback/../callback", "https://app.example/./callback", "https://app.example//callback",
		"https://app.example/callback?", "https://app.example/callback?x", "https://app.example/callback#", "https://app.example/callback#x",
		"https://app.example/callback%00", "https://app.example/callbac%6b", "https://app.example/%63allback", "https://app.example%2fcallback", "https://app.example/callback%20",
		"https://app.example:443/callback", "https://app.example:/callback", "https://app.example:8443/callback", "https://app.example./callback",
		"https://app.example.evil.test/callback", "https://evil.test/https://app.example/callback", "https://evilapp.example/callback", "https://sub.app.example/callback",
		"https://app.example@evil.test/callback", "https://evil.test@app.example/callback", "https://@app.example/callback", "https://evil.test\\@app.example/callback", "https://evil.test#@app.example/callback",
		"https://app.example/callback\n", " https://app.example/callback", "https://app.example/callback ", "https://app.example/callback\r\nX: y", "https:\\\\app.example/callback", "https:/app.example/callback", "https:app.example/callback",
		"https://app.example/other", "https://app.example/other?x=2", "https://app.example/other?x=1&y=2", "https://app.example/other?X=1", "https://app.example/other?x=%31", "https://app.example/callback?x=1",
		"https://port.example/", "https://port.example:8444/", "https://port.example:08443/", "https://port.example:8443",
		"http://localhost/cb", "http://localhost:3001/cb", "http://LOCALHOST:3000/cb", "http://127.0.0.1:3000/cb",
		"com.example.app:/cb/", "com.example.app:cb", "com.example.app://cb", "com.example.App:/cb", "com.example.app2:/cb",
		"https://bare.example/", "https://bare.example?", "javascript:alert(1)", "https://app.example/callback https://app.example/other?x=1",
	} {
		if c.AllowsRedirect(uri) {
			t.Errorf("%q is allowed", uri)
		}
	}
}

// RFC 8252 §7.3: any port of a loopback address, and nothing else of it.
func TestAllowsRedirectToAnyPortOfLoopback(t *testing.T) {
	c := web("http://127.0.0.1/cb", "http://[::1]:8080/cb?x=1")
	for _, uri := range []string{
		"http://127.0.0.1/cb", "http://127.0.0.1:1/cb", "http://127.0.0.1:51004/cb", "http://127.0.0.1:65535/cb",
		"http://[::1]:8080/cb?x=1", "http://[::1]:51004/cb?x=1",
	} {
		if !c.AllowsRedirect(uri) {
			t.Errorf("%s is refused", uri)
		}
	}
	for _, uri := range []string{
		"https://127.0.0.1:51004/cb", "HTTP://127.0.0.1:51004/cb", "http://localhost:51004/cb", "http://127.0.0.2:51004/cb", "http://[::1]:51004/cb", "http://127.0.0.1:51004/cb?x=1",
		"http://127.0.0.1:/cb", "http://127.0.0.1:port/cb", "http://127.0.0.1:-1/cb", "http://127.0.0.1:+1/cb", "http://127.0.0.1:1:2/cb",
		"http://127.0.0.1:65536/cb", "http://127.0.0.1:99999999999999999999/cb", "http://127.0.0.1:0/cb", "http://127.0.0.1:080/cb",
		"http://127.0.0.1:51004", "http://127.0.0.1:51004/", "http://127.0.0.1:51004/cb/", "http://127.0.0.1:51004/CB", "http://127.0.0.1:51004//cb", "http://127.0.0.1:51004/%63b", "http://127.0.0.1:51004/cb?", "http://127.0.0.1:51004/cb#", "http://127.0.0.1:51004/cb#x",
		"http://127.0.0.1:51004@evil.test/cb", "http://x@127.0.0.1:51004/cb", "http://127.0.0.1:x@evil.test/cb", "http://127.0.0.1.evil.test:51004/cb", "http://127.0.0.1:51004\\@evil.test/cb", "http://evil.test:51004/cb",
		"http://127.1:51004/cb", "http://2130706433:51004/cb", "http://0x7f000001:51004/cb", "http://127.0.0.01:51004/cb", "http://[::ffff:127.0.0.1]:51004/cb", "http://0.0.0.0:51004/cb",
		"http://[::1]/cb?x=1", "http://[0:0:0:0:0:0:0:1]:51004/cb?x=1", "http://::1:51004/cb?x=1", "http://[::1]:51004/cb", "http://[::1]:51004/cb?x=2", "http://[::1%25lo]:51004/cb?x=1", "http://[::]:51004/cb?x=1",
		"http://127.0.0.1:51004/cb\r\nX: y", "http://127.0.0.1:51004/cb ", "\thttp://127.0.0.1:51004/cb",
	} {
		if c.AllowsRedirect(uri) {
			t.Errorf("%q is allowed", uri)
		}
	}
}

// However a URI is written, a client on the web is sent back to its own alone, and one
// on this machine to this machine alone.
func FuzzAllowsRedirect(f *testing.F) {
	const remote, local = "https://app.example/callback?x=1", "http://127.0.0.1:8080/cb"
	for _, uri := range []string{remote, local, "http://127.0.0.1:1/cb", "http://127.0.0.1:1@evil.test/cb", "https://app.example@evil.test/callback?x=1", ""} {
		f.Add(uri)
	}
	f.Fuzz(func(t *testing.T, uri string) {
		if web(remote).AllowsRedirect(uri) != (uri == remote) {
			t.Errorf("%q is taken for %s, or it is not", uri, remote)
		}
		if !web(local).AllowsRedirect(uri) {
			return
		}
		u, err := url.Parse(uri)
		if err != nil {
			t.Fatalf("%q is allowed: %v", uri, err)
		}
		if _, err := netip.ParseAddrPort(u.Host); err != nil || uri != "http://127.0.0.1:"+u.Port()+"/cb" {
			t.Errorf("%q is taken for %s", uri, local)
		}
	})
}

// What may be registered is one word, so that it can be kept in a list of them, and
// leads nowhere else when it is read again.
func FuzzRegisteredRedirectURI(f *testing.F) {
	for _, uri := range []string{"https://app.example/?q=\u00a0x", "https://app.example/cb", "http://[::1]/", "com.example.app:/cb", "https://:443/", "http://[::1%25lo]/"} {
		f.Add(uri)
	}
	f.Fuzz(func(t *testing.T, uri string) {
		if web(uri).Validate() != nil {
			return
		}
		if fields := strings.Fields(uri); len(fields) != 1 || fields[0] != uri {
			t.Errorf("%q is %d words", uri, len(fields))
		}
		u, err := url.Parse(uri)
		if err != nil || u.User != nil || u.Fragment != "" || u.String() != uri {
			t.Errorf("%q is read as %+v, %v", uri, u, err)
		}
		if address, err := netip.ParseAddr(u.Hostname()); u.Scheme == "http" && u.Hostname() != "localhost" && (err != nil || !address.IsLoopback()) {
			t.Errorf("%q is http to %q", uri, u.Hostname())
		}
		if !web(uri).AllowsRedirect(uri) {
			t.Errorf("%q can be registered and is not allowed then", uri)
		}
	})
}
