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

// asPassword is a login that names its grant type, for clients that are not the
// default one.
func asPassword(changes ...string) string {
	return login(append([]string{"grant_type", "password"}, changes...)...)
}

// CHECKLIST 13: confidential clients authenticate; public ones have nothing to show.
func TestClientsThatAuthenticate(t *testing.T) {
	s := newSite(t)
	secret := s.secrets[backend]
	for name, tt := range map[string]struct {
		answer answer
		client string
	}{
		"nobody, the default client": {s.post(asPassword()), demo},
		"public, in the body":        {s.post(asPassword("client_id", public)), public},
		"public, empty secret":       {s.post(asPassword("client_id", public) + "&client_secret="), public},
		"public, in the header":      {s.post(asPassword(), basic(public, "")), public},
		"confidential, in the body":  {s.post(asPassword("client_id", backend, "client_secret", secret)), backend},
		"confidential, header":       {s.post(asPassword(), basic(backend, secret)), backend},
		"header, same id in body":    {s.post(asPassword("client_id", backend), basic(backend, secret)), backend},
		"scheme in other letters":    {s.post(asPassword(), header("Authorization", "bAsIc "+base64.StdEncoding.EncodeToString([]byte(backend+":"+secret)))), backend},
		"two spaces after scheme":    {s.post(asPassword(), header("Authorization", "Basic  "+base64.StdEncoding.EncodeToString([]byte(backend+":"+secret)))), backend},
		// What API consoles send when both fields are left empty.
		"empty header":                 {s.post(asPassword(), rawBasic(":")), demo},
		"empty header, client in body": {s.post(asPassword("client_id", backend, "client_secret", secret), rawBasic(":")), backend},
		// CHECKLIST 12: both parts are form-encoded.
		"encoded secret":          {s.post(asPassword(), basic(odd, oddSecret)), odd},
		"encoded secret, in body": {s.post(asPassword("client_id", odd, "client_secret", oddSecret)), odd},
		"needlessly encoded":      {s.post(asPassword(), rawBasic("%62%61ckend:"+"%68"+secret[1:])), backend},
	} {
		if got := s.expectOK(name, tt.answer).ClientID; got != tt.client {
			t.Errorf("%s: the token is for %q, want %s", name, got, tt.client)
		}
	}
}

// CHECKLIST 9: 401 with a challenge (which is checked of every answer), and no hint
// at what was wrong.
func TestClientsThatFail(t *testing.T) {
	s := newSite(t)
	secret := s.secrets[backend]
	for name, a := range map[string]answer{
		"unknown, in the body":             s.post(asPassword("client_id", "nobody")),
		"unknown, with a secret":           s.post(asPassword("client_id", "nobody", "client_secret", "hps_x")),
		"unknown, in the header":           s.post(asPassword(), basic("nobody", "hps_x")),
		"no secret":                        s.post(asPassword("client_id", backend)),
		"no secret in the header":          s.post(asPassword(), basic(backend, "")),
		"wrong secret":                     s.post(asPassword("client_id", backend, "client_secret", secret+"x")),
		"wrong secret in the header":       s.post(asPassword(), basic(backend, secret[1:])),
		"secret of another client":         s.post(asPassword(), basic(reporter, secret)),
		"secret without a client":          s.post(asPassword("client_secret", secret)),
		"secret without a client, header":  s.post(asPassword(), basic("", secret)),
		"public with a secret":             s.post(asPassword("client_id", public, "client_secret", "x")),
		"public with a secret, header":     s.post(asPassword(), basic(public, "x")),
		"default client with a secret":     s.post(asPassword("client_id", demo, "client_secret", "x")),
		"other letters":                    s.post(asPassword("client_id", "SPA")),
		"a space":                          s.post(asPassword("client_id", public+" ")),
		"a user":                           s.post(asPassword("client_id", john)),
		"very long":                        s.post(asPassword("client_id", strings.Repeat("x", 10000))),
		"odd secret not encoded":           s.post(asPassword(), rawBasic(odd+":a b+c:d&é=")), // + is a space
		"digest for secret":                s.post(asPassword("client_id", backend, "client_secret", digestOf(t, s))),
		"known client in the default slot": s.post(login("client_id", "demo2")),
	} {
		a.expect(name, http.StatusUnauthorized, oauth.CodeInvalidClient, "unknown, or its secret is wrong or missing")
	}
	// The password is not looked at before: CHECKLIST 13.
	if m := s.metrics(); strings.Contains(m, "invalid_grant") || strings.Contains(m, `"ok"`) {
		t.Errorf("a password was looked at:\n%s", m)
	}
}

func digestOf(t *testing.T, s *site) string {
	t.Helper()
	c, err := s.data.ClientByID(t.Context(), backend)
	s.must(err)
	return c.SecretDigest
}

func TestMalformedClientAuthentication(t *testing.T) {
	s := newSite(t)
	secret := s.secrets[backend]
	for _, value := range []string{
		"", "Basic", "Basic ", "Basic !!!", "Basic " + base64.StdEncoding.EncodeToString([]byte("no colon")), "Basic YQ", "Basic YTpi=",
		"Bearer x", "Digest username=x", "Basic\t" + base64.StdEncoding.EncodeToString([]byte("a:b")), backend + ":" + secret,
		"Basic " + base64.RawStdEncoding.EncodeToString([]byte(backend+":12")), "Basic YTpi YTpi",
	} {
		s.post(asPassword(), header("Authorization", value)).expect(value, http.StatusUnauthorized, oauth.CodeInvalidClient, "must be Basic")
	}
	for _, credentials := range []string{"%zz:secret", "backend:%zz", "back%00end:secret", "back\x00end:secret", "%ff:secret", "\xff:secret", "%:x"} {
		s.post(asPassword(), rawBasic(credentials)).expect(credentials, http.StatusUnauthorized, oauth.CodeInvalidClient, "must be Basic")
	}
	// CHECKLIST 10: one method only.
	for name, a := range map[string]answer{
		"both":                    s.post(asPassword("client_id", backend, "client_secret", secret), basic(backend, secret)),
		"both, no id in the body": s.post(asPassword("client_secret", secret), basic(backend, secret)),
		"both, header wrong":      s.post(asPassword("client_id", backend, "client_secret", secret), basic(backend, "x")),
		"both, one public":        s.post(asPassword("client_secret", secret), basic(public, "")),
	} {
		a.expect(name, http.StatusBadRequest, oauth.CodeInvalidRequest, "two ways")
	}
	s.post(asPassword("client_id", public), basic(backend, secret)).expect("another id in the body", http.StatusBadRequest, oauth.CodeInvalidRequest, "differs")
	s.post(asPassword("client_id", public), basic("", secret)).expect("an id in the body alone", http.StatusBadRequest, oauth.CodeInvalidRequest, "differs")
	s.post(asPassword(), header("Authorization", "Basic YTpi", "Basic YTpi")).expect("two headers", http.StatusBadRequest, oauth.CodeInvalidRequest, "more than one")
}

func TestNoDefaultClient(t *testing.T) {
	s := newSite(t, func(cfg *web.Config) { cfg.DefaultClient = "" })
	for _, a := range []answer{s.post(login()), s.post(asPassword()), s.post(""), s.post(asPassword() + "&client_id="), s.post(asPassword(), rawBasic(":"))} {
		a.expect("nobody", http.StatusUnauthorized, oauth.CodeInvalidClient, "names no client")
	}
	s.expectOK("a client", s.post(asPassword("client_id", demo)))
	s.post(login("client_id", demo)).expect("no grant type", http.StatusBadRequest, oauth.CodeInvalidRequest, "grant_type is missing")
}

// A default client that is removed while the server runs is unknown from then on.
func TestDefaultClientGone(t *testing.T) {
	s := newSite(t)
	s.must(s.data.DeleteClient(t.Context(), demo, s.clock()))
	s.post(login()).expect("nobody", http.StatusUnauthorized, oauth.CodeInvalidClient, "")
}

// guesses is how many wrong secrets cost no wait.
const guesses = 20

// CHECKLIST 14: guesses at a secret are limited, and the limit passes. Who has the right
// one is not kept out by those who guess at the same address.
func TestSecretGuessesAreLimited(t *testing.T) {
	s := newSite(t)
	right, wrong := basic(backend, s.secrets[backend]), basic(backend, "hps_guess")
	for range guesses {
		s.post(asPassword(), wrong).expect("a guess", http.StatusUnauthorized, oauth.CodeInvalidClient, "")
	}
	for name, a := range map[string]answer{
		"a guess":          s.post(asPassword(), wrong),
		"in the body":      s.post(asPassword("client_id", backend, "client_secret", "x")),
		"no secret":        s.post(asPassword("client_id", backend)),
		"the digest of it": s.post(asPassword("client_id", backend, "client_secret", digestOf(t, s))),
	} {
		a.expect(name, http.StatusTooManyRequests, oauth.CodeTemporarilyUnavailable, "1 second")
	}
	s.expectOK("the right secret", s.post(asPassword(), right))
	s.post(asPassword(), wrong).expect("a guess after it", http.StatusTooManyRequests, oauth.CodeTemporarilyUnavailable, "")
	s.from("192.0.2.7:1234", asPassword(), wrong).expect("another address", http.StatusUnauthorized, oauth.CodeInvalidClient, "")
	s.wait(time.Second)
	s.post(asPassword(), wrong).expect("one more guess", http.StatusUnauthorized, oauth.CodeInvalidClient, "")
	s.post(asPassword(), wrong).expect("and another", http.StatusTooManyRequests, oauth.CodeTemporarilyUnavailable, "")
	s.wait(guesses * time.Second)
	for range guesses {
		s.post(asPassword(), wrong).expect("after a while", http.StatusUnauthorized, oauth.CodeInvalidClient, "")
	}
}

// from sends a request from an address.
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

// A client that has no secret cannot be guessed at, and those who use it cannot be
// locked out by somebody at the same address.
func TestPublicClientsAreNotLockedOut(t *testing.T) {
	s := newSite(t)
	for range 2 * guesses {
		s.post(asPassword("client_id", demo, "client_secret", "x")).expect("a secret", http.StatusUnauthorized, oauth.CodeInvalidClient, "")
	}
	s.expectOK("by name", s.post(asPassword("client_id", demo)))
	s.expectOK("by default", s.post(login()))
}

// Those who make client ids up are limited alike: it does not tell which exist.
func TestUnknownClientsAreLimitedToo(t *testing.T) {
	s := newSite(t)
	for _, id := range []string{"nobody", strings.Repeat("x", 200)} {
		for range guesses {
			s.post(asPassword("client_id", id)).expect("a guess", http.StatusUnauthorized, oauth.CodeInvalidClient, "")
		}
		s.post(asPassword("client_id", id)).expect("one too many", http.StatusTooManyRequests, oauth.CodeTemporarilyUnavailable, "")
	}
	s.expectOK("somebody else", s.post(login()))
}

// RFC 6749 §2.3.1: a secret in the query is refused, not used.
func TestClientSecretInTheQuery(t *testing.T) {
	s := newSite(t)
	query := url.Values{"client_id": {backend}, "client_secret": {s.secrets[backend]}}.Encode()
	s.post(asPassword(), func(r *http.Request) { r.URL.RawQuery = query }).expect("query", http.StatusBadRequest, oauth.CodeInvalidRequest, "client_id and client_secret")
}
