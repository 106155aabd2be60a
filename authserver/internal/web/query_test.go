package web_test

import (
	"html"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/hallpass-auth/hallpass/authserver/internal/client"
)

// RFC 6749 section 3.1.2: the query of a registered redirect URI is retained, byte for byte, and
// the parameters of the response follow it.
func TestRedirectURIComesBackUnchanged(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.addCodeApp()
	cookie := s.sessionCookie()
	for i, uri := range []string{
		"https://app.example/?/oauth/done", "https://app.example/cb?popup", "https://app.example/cb?a=%20b&z=1&a=2",
		"https://app.example/cb?q=a+b", "https://app.example/cb?q=%2b%2B", "https://app.example/cb?x=1&", "https://app.example/cb?",
		"https://app.example/cb?=", "https://app.example/cb?next=/a:b@c,d", "https://app.example", "https://app.example/a%2fb",
		"https://app.example/cb?session_state=1&nocode=2&xstate",
	} {
		id := "app-" + string(rune('a'+i))
		s.addRedirecting(id, "", true, uri)
		for _, outcome := range []string{"code", "error"} {
			changes := []string{"client_id", id, "redirect_uri", uri, "state", "s /?&=+é"}
			if outcome == "error" {
				changes = append(changes, "response_type", "token")
			}
			to := s.serve(withCookie(authorizeRequest(changes...), cookie)).header.Get("Location")
			rest, ok := strings.CutPrefix(to, uri)
			values, err := url.ParseQuery(strings.TrimLeft(rest, "?&"))
			if !ok || err != nil || values.Get(outcome) == "" || values.Get("state") != "s /?&=+é" ||
				values.Get("iss") != issuer {
				t.Errorf("%s, %s: sent to %s", uri, outcome, to)
			}
			if rest != "" && strings.Contains(uri, "?") == strings.HasPrefix(rest, "?") {
				t.Errorf("%s, %s: sent to %s", uri, outcome, to)
			}
		}
	}
}

// continued returns the query that a page carries.
func continued(page string) string {
	found := regexp.MustCompile(`name="continue" value="([^"]*)"`).FindStringSubmatch(page)
	if found == nil {
		return ""
	}
	return html.UnescapeString(found[1])
}

// A request that is too long is refused before the login, and any other is carried through login
// and consent without getting too long, whatever characters it has.
func TestLongRequestsAreCarriedUnchanged(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.addCodeApp()
	s.addRedirecting("other", "", false, "https://app.example/other")
	base := codeRequest("client_id", "other", "redirect_uri", "https://app.example/other").Encode()
	const limit = 4 << 10
	for _, characters := range []string{"/:@,", "%2F%3a", "~!$'()*", "é", "+ %20"} {
		for _, extra := range []string{"", "&max_age=0", "&prompt=login", "&prompt=login+consent&max_age=10"} {
			room := limit - len(base) - len(extra) - len("&state=")
			characters := strings.ReplaceAll(characters, " ", "%20")
			state := strings.Repeat(characters, room/len(characters))
			query := base + extra + "&state=" + state
			r := httptest.NewRequest(http.MethodGet, issuer+"/authorize", nil)
			r.URL.RawQuery = query
			got := s.serve(r)
			if got.status != http.StatusOK || continued(got.text) != query {
				t.Fatalf("%s%s: login page %d carries %q", characters, extra, got.status, continued(got.text))
			}
			login := s.serve(pageForm("/login", url.Values{
				"username": {john}, "password": {password}, "continue": {continued(got.text)},
			}))
			cookie, _, _ := strings.Cut(login.header.Get("Set-Cookie"), ";")
			_, value, _ := strings.Cut(cookie, "=")
			s.hide(value)
			_, next, _ := strings.Cut(login.header.Get("Location"), "/authorize?")
			if len(next) > limit || !strings.Contains(next, "&state="+state) || strings.Contains(next, extra) && extra != "" {
				t.Fatalf("%s%s: after login %d %q", characters, extra, login.status, next)
			}
			r = withCookie(httptest.NewRequest(http.MethodGet, issuer+"/authorize", nil), cookie)
			r.URL.RawQuery = next
			if got = s.serve(r); strings.Contains(got.text, `name="decision"`) {
				allow := s.serve(withCookie(pageForm("/consent", url.Values{
					"continue": {continued(got.text)}, "user": {s.userID(john)}, "decision": {"allow"},
				}), cookie))
				_, r.URL.RawQuery, _ = strings.Cut(allow.header.Get("Location"), "/authorize?")
				got = s.serve(r)
			}
			to, err := url.Parse(got.header.Get("Location"))
			want, _ := url.QueryUnescape(state)
			if err != nil || to.Query().Get("code") == "" || to.Query().Get("state") != want {
				t.Errorf("%s%s: got %d %s", characters, extra, got.status, got.header.Get("Location"))
			}
		}
		r := httptest.NewRequest(http.MethodGet, issuer+"/authorize", nil)
		r.URL.RawQuery = base + "&state=" + strings.Repeat("x", limit-len(base)-len("&state=")+1)
		if got := s.serve(r); got.status != http.StatusBadRequest || !strings.Contains(got.text, "too long") {
			t.Errorf("one byte more: got %d %s", got.status, got.text)
		}
	}
}

// The log says at level debug why a request will fail, when it comes.
func TestLogOfRequestsThatWillFail(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.addCodeApp()
	for _, tt := range []struct{ name, value, says string }{
		{"scope", "admin", `level=DEBUG msg="authorization request will be refused" client=code-app error=invalid_scope`},
		{"code_challenge", "", "PKCE is required"},
		{"resource", "https://other.example", "error=invalid_target"},
		{"response_type", "token", "error=unsupported_response_type"},
		{"client_id", "nobody", `level=DEBUG msg="authorization request refused"`},
		{"redirect_uri", "https://evil.example/", "must exactly match"},
		{"redirect_uri", "https://evil.example/", "Client code-app: the nearest registered redirect URI is "},
	} {
		before := len(s.log.String())
		s.serve(authorizeRequest(tt.name, tt.value))
		if said := s.log.String()[before:]; !strings.Contains(said, tt.says) {
			t.Errorf("%s=%s: the log says %q, want %q", tt.name, tt.value, said, tt.says)
		}
	}
	before := s.log.String()
	s.serve(authorizeRequest())
	if s.log.String() != before {
		t.Errorf("a valid request: the log says %q", strings.TrimPrefix(s.log.String(), before))
	}
}

// RFC 9700 section 2.1.1: PKCE is required, but for a client with a secret that is registered
// without it. A challenge is checked whenever there is one.
func TestAuthorizationWithoutPKCE(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.addCodeApp()
	cookie := s.sessionCookie()
	s.addRedirecting("strict", "digest", true, "https://app.example/cb")
	s.addRedirecting("lax", "digest", true, "https://app.example/cb")
	_, err := s.data.UpdateClient(t.Context(), "lax", s.clock(), func(c client.Client) (client.Client, error) {
		c.WithoutPKCE = true
		return c, c.Validate()
	})
	s.must(err)
	for _, tt := range []struct {
		id, challenge, method string
		want                  string
	}{
		{"strict", "", "", "PKCE+is+required"},
		{"lax", "", "", ""},
		{"lax", "", "S256", "PKCE+is+required"},
		{"lax", strings.Repeat("A", 43), "S256", ""},
		{"lax", strings.Repeat("A", 43), "", "code_challenge_method+must+be+S256"},
		{"lax", strings.Repeat("A", 43), "plain", "code_challenge_method+must+be+S256"},
		{"lax", "A", "S256", "code_challenge+must+be"},
	} {
		to := s.serve(withCookie(authorizeRequest("client_id", tt.id, "redirect_uri", "https://app.example/cb",
			"code_challenge", tt.challenge, "code_challenge_method", tt.method), cookie)).header.Get("Location")
		if strings.Contains(to, "?code=") != (tt.want == "") || !strings.Contains(to, tt.want) {
			t.Errorf("%s with %q, %q: sent to %s, want %q", tt.id, tt.challenge, tt.method, to, tt.want)
		}
	}
}
