package web_test

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/web"
)

// restart starts the server of a site where everybody may register clients again, with a limit on what they may have.
func (s *site) restart(unregistered ...string) {
	s.t.Helper()
	s.registry = prometheus.NewRegistry()
	cfg := s.config()
	openRegistration(&cfg)
	cfg.UnregisteredScope = unregistered
	s.handler = web.New(cfg)
}

// allowed logs john in at a client that asks for consent and returns the token response.
func (s *site) allowed(id, redirectURI, cookie string, changes ...string) answer {
	s.t.Helper()
	sum := sha256.Sum256([]byte(verifier))
	query := codeRequest(append([]string{"client_id", id, "redirect_uri", redirectURI,
		"code_challenge", base64.RawURLEncoding.EncodeToString(sum[:])}, changes...)...)
	to := s.serve(withCookie(pageForm("/consent", url.Values{
		"continue": {query.Encode()}, "user": {s.userID(john)}, "decision": {"allow"},
	}), cookie)).header.Get("Location")
	u, err := url.Parse(to)
	if err != nil || u.Query().Get("code") == "" {
		s.t.Fatalf("%s: sent to %s", id, to)
	}
	return s.redeemed(pageForm("/token", url.Values{
		"grant_type": {"authorization_code"}, "code": {u.Query().Get("code")}, "client_id": {id},
		"redirect_uri": {redirectURI}, "code_verifier": {verifier},
	}))
}

// redeemed sends a token request without a network.
func (s *site) redeemed(r *http.Request) answer {
	s.t.Helper()
	got := s.serve(r)
	for _, name := range []string{"access_token", "refresh_token"} {
		if token := got.member(name); token != "" {
			s.hide(token)
		}
	}
	return got
}

// HALLPASS_UNREGISTERED_SCOPE also holds for clients that registered before it was set (RFC 6749 section 3.3), and for
// their refresh tokens: they give what is left of the grant (section 6), or nothing.
func TestUnregisteredScopeOfEarlierClients(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.restart("profile", "items:read")
	s.addCodeApp()
	made := s.serve(registration("POST", "/register", "", validRegistration))
	id, token := made.member("client_id"), made.member("registration_access_token")
	s.hide(token)
	const redirect = "http://localhost:1234/cb"
	cookie := s.sessionCookie()
	got := s.allowed(id, redirect, cookie, "scope", "profile items:read")
	refresh := func(scope string) answer {
		t.Helper()
		form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {got.member("refresh_token")}, "client_id": {id}}
		if scope != "" {
			form.Set("scope", scope)
		}
		return s.redeemed(pageForm("/token", form))
	}
	asks := func(scope string) answer {
		query := codeRequest("client_id", id, "redirect_uri", redirect, "scope", scope)
		return s.serve(withCookie(httptest.NewRequest(http.MethodGet, "/authorize?"+query.Encode(), nil), cookie))
	}
	for _, step := range []struct {
		limit oauth.Scope
		want  string // scope after a refresh, or the error
	}{
		{oauth.Scope{"profile"}, "profile"},
		{oauth.Scope{"email"}, "invalid_grant"},
		{oauth.Scope{"items:read", "email"}, "items:read"},
		{nil, "profile items:read"}, // the grant is as it was
	} {
		s.restart(step.limit...)
		if len(step.limit) > 0 {
			if code := refresh("profile items:read").member("error"); code != "invalid_scope" {
				t.Errorf("%v: a refresh with the scope of the grant: %q", step.limit, code)
			}
			if to := asks("profile items:read").header.Get("Location"); !strings.Contains(to, "error=invalid_scope") {
				t.Errorf("%v: an authorization request is sent to %q", step.limit, to)
			}
		}
		if step.want == "invalid_grant" { // nothing is left of the client's scope
			if to := asks("").header.Get("Location"); !strings.Contains(to, "error=invalid_scope") {
				t.Errorf("%v: a request without scope is sent to %q", step.limit, to)
			}
		}
		next := refresh("")
		if said := next.member("error") + next.member("scope"); said != step.want {
			t.Errorf("%v: a refresh gives %q, want %q", step.limit, said, step.want)
		}
		if next.status != http.StatusOK {
			continue
		}
		got = next
		s.expectConsent(step.want, asks(step.want))
		shown := s.serve(registration("GET", "/register/"+id, token, "")).member("scope")
		if shown != step.want {
			t.Errorf("%v: the registration says %q", step.limit, shown)
		}
	}
	s.restart("email")
	got = s.serve(withCookie(authorizeRequest(), cookie))
	if s.response("a client of an administrator", got).Get("code") == "" {
		t.Errorf("a client of an administrator is sent to %s", got.header.Get("Location"))
	}
}
