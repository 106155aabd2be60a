package e2e_test

import (
	"crypto/sha256"
	"encoding/base64"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
)

// The tests in the files flow_*, attack_* and race_* are about the authorization code flow:
// the login pages, the apps that use them, attacks, and concurrent requests.

// appScope is the scope of the apps.
const appScope = "profile items:read"

// verifier is the PKCE code verifier of all apps. challenge is its S256 code challenge.
const verifier = "a-verifier-of-the-least-length-that-is-allowed"

var challenge = func() string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}()

// app is a client that uses the authorization code flow.
type app struct{ id, secret, redirectURI string }

// register registers an app, with further flags of `client add`.
func (s *system) register(t *testing.T, id, redirectURI string, flags ...string) app {
	t.Helper()
	secret := s.admin(t, "", append([]string{"client", "add", id, "--scope", appScope, "--redirect-uri", redirectURI,
		"--grant", "authorization_code", "--grant", "refresh_token"}, flags...)...)
	return app{id: id, secret: strings.TrimSpace(secret), redirectURI: redirectURI}
}

// changed applies changes, which are names and values in turn, and returns values. The value
// "-" removes a name.
func changed(values url.Values, changes []string) url.Values {
	for i := 0; i < len(changes); i += 2 {
		if changes[i+1] == "-" {
			values.Del(changes[i])
		} else {
			values.Set(changes[i], changes[i+1])
		}
	}
	return values
}

// query returns the query of the app's authorization request, with changes.
func (a app) query(changes ...string) string {
	return changed(url.Values{
		"response_type": {"code"}, "client_id": {a.id}, "redirect_uri": {a.redirectURI}, "state": {"the state"},
		"code_challenge": {challenge}, "code_challenge_method": {"S256"},
	}, changes).Encode()
}

// tokenForm returns a token request of the app, with changes.
func (a app) tokenForm(values url.Values, changes []string) request {
	values.Set("client_id", a.id)
	if a.secret != "" {
		values.Set("client_secret", a.secret)
	}
	return rawForm(changed(values, changes).Encode())
}

// redemption returns the app's request to redeem a code, with changes.
func (a app) redemption(code string, changes ...string) request {
	return a.tokenForm(url.Values{
		"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {a.redirectURI}, "code_verifier": {verifier},
	}, changes)
}

// refreshing returns the app's refresh request, with changes.
func (a app) refreshing(refreshToken string, changes ...string) request {
	return a.tokenForm(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {refreshToken}}, changes)
}

// tokens are the tokens that an app gets for a user's login.
type tokens struct{ access, refresh string }

// tokens returns the tokens of a response, which must be a success.
func (r response) tokens(t *testing.T) tokens {
	t.Helper()
	if r.status != http.StatusOK {
		t.Fatalf("got %d %s, want tokens", r.status, r.body)
	}
	return tokens{r.text(t, "access_token"), r.text(t, "refresh_token")}
}

// checkRefused checks the status and the error code of a response.
func (r response) checkRefused(t *testing.T, status int, code string) {
	t.Helper()
	if r.status != status || r.text(t, "error") != code {
		t.Errorf("got %d %s, want %d %s", r.status, r.body, status, code)
	}
}

// location returns the target of a redirect. Its status must be 303, after which no browser
// repeats a form with a password (RFC 9700 section 4.12).
func (r response) location(t *testing.T) *url.URL {
	t.Helper()
	if r.status != http.StatusSeeOther || len(r.header["Location"]) != 1 {
		t.Fatalf("got %d with Location %q, want 303 and one: %s", r.status, r.header["Location"], r.body)
	}
	to, err := url.Parse(r.header.Get("Location"))
	if err != nil {
		t.Fatal(err)
	}
	return to
}

// heading returns the text of the page's h1, of which it must have exactly one.
func (r response) heading(t *testing.T) string {
	t.Helper()
	found := regexp.MustCompile(`<h1>([^<]*)</h1>`).FindAllStringSubmatch(r.body, -1)
	if len(found) != 1 {
		t.Fatalf("got %d and %d headings, want a page with one: %s", r.status, len(found), r.body)
	}
	return found[0][1]
}

// checkPage checks that the response is the page with this heading, not a redirect.
func (r response) checkPage(t *testing.T, status int, heading string) {
	t.Helper()
	if r.status != status || r.header.Get("Location") != "" || r.heading(t) != heading {
		t.Errorf("got %d, Location %q and the page %q, want %d and %q",
			r.status, r.header.Get("Location"), r.heading(t), status, heading)
	}
}

// visitor is an HTTP client with one cookie. It does not follow redirects.
type visitor struct {
	t      *testing.T
	base   string
	cookie string // name=value
}

func (v *visitor) send(r request) response {
	v.t.Helper()
	if r.header == nil {
		r.header = http.Header{}
	}
	if v.cookie != "" {
		r.header.Set("Cookie", v.cookie)
	}
	got := send(v.t, v.base, r)
	for _, line := range got.header["Set-Cookie"] {
		cookie, err := http.ParseSetCookie(line)
		if err != nil {
			v.t.Fatal(err)
		}
		if strings.HasSuffix(cookie.Name, "_browser") { // it is for the next login only
			continue
		}
		if v.cookie = cookie.Name + "=" + cookie.Value; cookie.MaxAge < 0 {
			v.cookie = ""
		}
	}
	return got
}

func (v *visitor) get(path string) response {
	v.t.Helper()
	return v.send(request{path: path})
}

// authorize opens the authorization endpoint as the app asks to, with changes.
func (v *visitor) authorize(a app, changes ...string) response {
	v.t.Helper()
	return v.get("/authorize?" + a.query(changes...))
}

// post sends a form to one of the pages: names and values in turn.
func (v *visitor) post(path string, namesAndValues ...string) response {
	v.t.Helper()
	r := form(namesAndValues...)
	r.path = path
	return v.send(r)
}

// login sends John's login form for the authorization request with this query.
func (v *visitor) login(query string) response {
	v.t.Helper()
	return v.post("/login", "username", "john.doe", "password", demoPassword, "continue", query)
}

// visit returns a visitor who is logged in as John.
func (s *system) visit(t *testing.T, a app) *visitor {
	t.Helper()
	v := &visitor{t: t, base: s.authURL}
	v.login(a.query()).location(t)
	if v.cookie == "" {
		t.Fatal("the login set no cookie")
	}
	return v
}

// code sends the app's authorization request and, if asked, gives consent. It returns the code
// that the app gets. The visitor must be logged in.
func (v *visitor) code(a app, changes ...string) string {
	v.t.Helper()
	got := v.authorize(a, changes...)
	if got.status == http.StatusOK && got.heading(v.t) == "Allow access?" {
		got = v.get(v.post("/consent", append(formFields(got.body), "decision", "allow")...).location(v.t).String())
	}
	code := got.location(v.t).Query().Get("code")
	if code == "" {
		v.t.Fatalf("redirected to %s, want a code", got.header.Get("Location"))
	}
	return code
}

// loginTo logs John in to an app as a new visitor.
func (s *system) loginTo(t *testing.T, a app) tokens {
	t.Helper()
	return send(t, s.authURL, a.redemption(s.visit(t, a).code(a))).tokens(t)
}

// watcher registers a client that may introspect tokens.
func (s *system) watcher(t *testing.T) app {
	t.Helper()
	secret := s.admin(t, "", "client", "add", "watcher",
		"--grant", "client_credentials", "--scope", "profile", "--introspects")
	return app{id: "watcher", secret: strings.TrimSpace(secret)}
}

// checkActive checks whether introspection reports a token as active.
func (s *system) checkActive(t *testing.T, watcher app, what, token string, want bool) {
	t.Helper()
	r := watcher.tokenForm(url.Values{"token": {token}}, nil)
	r.path = "/introspect"
	got := send(t, s.authURL, r)
	if got.status != http.StatusOK || got.members(t)["active"] != want {
		t.Errorf("introspection of %s: %d %s, want active %v", what, got.status, got.body, want)
	}
}

// formFields returns the hidden fields of a page's form: names and values in turn.
func formFields(page string) []string {
	var fields []string
	hidden := regexp.MustCompile(`<input type="hidden" name="([^"]*)" value="([^"]*)">`)
	for _, found := range hidden.FindAllStringSubmatch(page, -1) {
		fields = append(fields, found[1], html.UnescapeString(found[2]))
	}
	return fields
}
