package web_test

import (
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/web"
)

// passwordGrant returns the form of a login with a grant_type, which clients other than the
// default one must send.
func passwordGrant(changes ...string) string {
	return login(append([]string{"grant_type", "password"}, changes...)...)
}

func (a answer) expectInvalidClient(name, says string) {
	a.t.Helper()
	a.expect(name, http.StatusUnauthorized, oauth.CodeInvalidClient, says)
}

func (a answer) expectInvalidRequest(name, says string) {
	a.t.Helper()
	a.expect(name, http.StatusBadRequest, oauth.CodeInvalidRequest, says)
}

func (a answer) expectThrottled(name, says string) {
	a.t.Helper()
	a.expect(name, http.StatusTooManyRequests, oauth.CodeTemporarilyUnavailable, says)
}

// RFC 6749 sections 2.3 and 6: confidential clients authenticate, public ones send no secret.
func TestClientAuthentication(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	secret := s.secrets[backend]
	inBody := passwordGrant("client_id", backend, "client_secret", secret)
	encoded := base64.StdEncoding.EncodeToString([]byte(backend + ":" + secret))
	for name, tt := range map[string]struct {
		got    answer
		client string
	}{
		"no client, so the default": {s.post(passwordGrant()), demo},
		"public, in the body":       {s.post(passwordGrant("client_id", public)), public},
		"public, empty secret":      {s.post(passwordGrant("client_id", public) + "&client_secret="), public},
		"public, in the header":     {s.post(passwordGrant(), basic(public, "")), public},
		"confidential, in the body": {s.post(inBody), backend},
		"confidential, header":      {s.post(passwordGrant(), basic(backend, secret)), backend},
		"header, same id in body":   {s.post(passwordGrant("client_id", backend), basic(backend, secret)), backend},
		"scheme in other case":      {s.post(passwordGrant(), header("Authorization", "bAsIc "+encoded)), backend},
		"two spaces after scheme":   {s.post(passwordGrant(), header("Authorization", "Basic  "+encoded)), backend},
		// API consoles send this if the user leaves both fields empty.
		"empty header":                 {s.post(passwordGrant(), rawBasic(":")), demo},
		"empty header, client in body": {s.post(inBody, rawBasic(":")), backend},
		// RFC 6749 section 2.3.1: both parts are form-encoded.
		"encoded secret":           {s.post(passwordGrant(), basic(odd, oddSecret)), odd},
		"encoded secret, in body":  {s.post(passwordGrant("client_id", odd, "client_secret", oddSecret)), odd},
		"encoded more than needed": {s.post(passwordGrant(), rawBasic("%62%61ckend:"+"%68"+secret[1:])), backend},
	} {
		if id := s.expectOK(name, tt.got).ClientID; id != tt.client {
			t.Errorf("%s: got a token for %q, want %s", name, id, tt.client)
		}
	}
}

// RFC 6749 section 5.2: 401 with a challenge, which every response is checked for, and the
// same description for every reason.
func TestClientAuthenticationFails(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	secret := s.secrets[backend]
	for name, got := range map[string]answer{
		"unknown, in the body":              s.post(passwordGrant("client_id", "nobody")),
		"unknown, with a secret":            s.post(passwordGrant("client_id", "nobody", "client_secret", "hps_x")),
		"unknown, in the header":            s.post(passwordGrant(), basic("nobody", "hps_x")),
		"no secret":                         s.post(passwordGrant("client_id", backend)),
		"no secret in the header":           s.post(passwordGrant(), basic(backend, "")),
		"wrong secret":                      s.post(passwordGrant("client_id", backend, "client_secret", secret+"x")),
		"wrong secret in the header":        s.post(passwordGrant(), basic(backend, secret[1:])),
		"secret of another client":          s.post(passwordGrant(), basic(reporter, secret)),
		"secret without a client":           s.post(passwordGrant("client_secret", secret)),
		"secret without a client, header":   s.post(passwordGrant(), basic("", secret)),
		"public with a secret":              s.post(passwordGrant("client_id", public, "client_secret", "x")),
		"public with a secret, header":      s.post(passwordGrant(), basic(public, "x")),
		"default client with a secret":      s.post(passwordGrant("client_id", demo, "client_secret", "x")),
		"other case":                        s.post(passwordGrant("client_id", "SPA")),
		"trailing space":                    s.post(passwordGrant("client_id", public+" ")),
		"a username":                        s.post(passwordGrant("client_id", john)),
		"very long id":                      s.post(passwordGrant("client_id", strings.Repeat("x", 10000))),
		"odd secret not encoded":            s.post(passwordGrant(), rawBasic(odd+":a b+c:d&é=")), // + is a space
		"digest as secret":                  s.post(passwordGrant("client_id", backend, "client_secret", digestOf(t, s))),
		"unknown client without grant_type": s.post(login("client_id", "demo2")),
	} {
		got.expectInvalidClient(name, "unknown, or its secret is wrong or missing")
	}
	// The client is authenticated before the password is checked.
	for labels := range s.counted() {
		if strings.Contains(labels, "invalid_grant") || strings.HasSuffix(labels, " ok") {
			t.Errorf("a password was checked: %s", labels)
		}
	}
}

func digestOf(t *testing.T, s *site) string {
	t.Helper()
	c, err := s.data.ClientByID(t.Context(), backend)
	s.must(err)
	return c.SecretDigest
}

func TestMalformedClientAuthentication(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	secret := s.secrets[backend]
	for _, value := range []string{
		"", "Basic", "Basic ", "Basic !!!", "Basic YQ", "Basic YTpi=",
		"Basic " + base64.StdEncoding.EncodeToString([]byte("no colon")),
		"Bearer x", "Digest username=x", "Basic\t" + base64.StdEncoding.EncodeToString([]byte("a:b")), backend + ":" + secret,
		"Basic " + base64.RawStdEncoding.EncodeToString([]byte(backend+":12")), "Basic YTpi YTpi",
	} {
		s.post(passwordGrant(), header("Authorization", value)).expectInvalidClient(value, "must be Basic")
	}
	for _, credentials := range []string{
		"%zz:secret", "backend:%zz", "back%00end:secret", "back\x00end:secret", "%ff:secret", "\xff:secret", "%:x",
	} {
		s.post(passwordGrant(), rawBasic(credentials)).expectInvalidClient(credentials, "must be Basic")
	}
	inBody := passwordGrant("client_id", backend, "client_secret", secret)
	// RFC 6749 section 2.3: one authentication method per request.
	for name, got := range map[string]answer{
		"both":                    s.post(inBody, basic(backend, secret)),
		"both, no id in the body": s.post(passwordGrant("client_secret", secret), basic(backend, secret)),
		"both, header wrong":      s.post(inBody, basic(backend, "x")),
		"both, one public":        s.post(passwordGrant("client_secret", secret), basic(public, "")),
	} {
		got.expectInvalidRequest(name, "two client authentication methods")
	}
	otherID := passwordGrant("client_id", public)
	s.post(otherID, basic(backend, secret)).expectInvalidRequest("another id in the body", "differs")
	s.post(otherID, basic("", secret)).expectInvalidRequest("an id in the body alone", "differs")
	twice := header("Authorization", "Basic YTpi", "Basic YTpi")
	s.post(passwordGrant(), twice).expectInvalidRequest("two headers", "more than one")
}

func TestNoDefaultClient(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(cfg *web.Config) { cfg.DefaultClient = "" })
	for name, got := range map[string]answer{
		"no grant_type":    s.post(login()),
		"grant_type":       s.post(passwordGrant()),
		"empty form":       s.post(""),
		"empty client_id":  s.post(passwordGrant() + "&client_id="),
		"empty Basic pair": s.post(passwordGrant(), rawBasic(":")),
	} {
		got.expectInvalidClient(name, "does not identify a client")
	}
	s.expectOK("a client", s.post(passwordGrant("client_id", demo)))
	s.post(login("client_id", demo)).expectInvalidRequest("no grant type", "grant_type is missing")
}

// A default client that is deleted while the server runs is unknown from then on.
func TestDefaultClientDeleted(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.must(s.data.DeleteClient(t.Context(), demo, s.clock()))
	s.post(login()).expectInvalidClient("no client", "")
}

// freeFailures is the number of failed authentications that cause no wait.
const freeFailures = 20

// RFC 6749 section 10.10: failed authentications are limited, and the limit recovers. It
// does not lock out a client with the right secret at the same address.
func TestFailedAuthenticationsAreLimited(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	right, wrong := basic(backend, s.secrets[backend]), basic(backend, "hps_guess")
	for range freeFailures {
		s.post(passwordGrant(), wrong).expectInvalidClient("wrong secret", "")
	}
	for name, got := range map[string]answer{
		"wrong secret":     s.post(passwordGrant(), wrong),
		"in the body":      s.post(passwordGrant("client_id", backend, "client_secret", "x")),
		"no secret":        s.post(passwordGrant("client_id", backend)),
		"digest as secret": s.post(passwordGrant("client_id", backend, "client_secret", digestOf(t, s))),
	} {
		got.expectThrottled(name, "1 second")
	}
	s.expectOK("the right secret", s.post(passwordGrant(), right))
	s.post(passwordGrant(), wrong).expectThrottled("wrong secret again", "")
	s.from("192.0.2.7:1234", passwordGrant(), wrong).expectInvalidClient("another address", "")
	s.wait(time.Second)
	s.post(passwordGrant(), wrong).expectInvalidClient("a second later", "")
	s.post(passwordGrant(), wrong).expectThrottled("once more", "")
	s.wait(freeFailures * time.Second)
	for range freeFailures {
		s.post(passwordGrant(), wrong).expectInvalidClient("after the wait", "")
	}
}

// from sends a token request from an address.
func (s *site) from(address, body string, changes ...change) answer {
	s.t.Helper()
	r := httptest.NewRequest(http.MethodPost, "/token", strings.NewReader(body))
	r.RemoteAddr = address
	r.Header.Set("Content-Type", urlencoded)
	for _, f := range changes {
		f(r)
	}
	return s.tokenAnswer(s.serve(r))
}

// A public client has no secret to guess, so nobody at the same address can lock its users
// out.
func TestPublicClientsAreNotLockedOut(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	for range 2 * freeFailures {
		s.post(passwordGrant("client_id", demo, "client_secret", "x")).expectInvalidClient("a secret", "")
	}
	s.expectOK("with client_id", s.post(passwordGrant("client_id", demo)))
	s.expectOK("as the default client", s.post(login()))
}

// Unknown client ids are limited too, so that the limit does not reveal which ids exist.
func TestUnknownClientsAreLimited(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	for _, id := range []string{"nobody", strings.Repeat("x", 200)} {
		for range freeFailures {
			s.post(passwordGrant("client_id", id)).expectInvalidClient("wrong secret", "")
		}
		s.post(passwordGrant("client_id", id)).expectThrottled("one too many", "")
	}
	s.expectOK("another client", s.post(login()))
}

// RFC 6749 section 2.3.1: a secret in the query is rejected.
func TestClientSecretInQuery(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	query := url.Values{"client_id": {backend}, "client_secret": {s.secrets[backend]}}.Encode()
	got := s.post(passwordGrant(), func(r *http.Request) { r.URL.RawQuery = query })
	got.expectInvalidRequest("query", "client_id and client_secret")
}
