package e2e_test

import (
	"encoding/json"
	"html"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
)

// The tests in the files admin_* administer a server from outside: by the admin API, and by the pages of the console
// in a browser that runs no scripts.

const (
	adminPath       = "/admin/api/v1"
	adminScope      = "hallpass:admin"
	officerPassword = "SeveralWordsInARow"
	callback        = "https://app.example/callback" // of apps; nothing is there
)

// officer is an administrator with a browser that keeps cookies and runs no scripts.
type officer struct {
	*person
	s    *system
	app  string // key of the authenticator app
	used timeSteps
}

// newOfficer makes a new user an administrator, who adds a second factor by the link of the command.
func (s *system) newOfficer(t *testing.T, username string) *officer {
	t.Helper()
	s.addUser(t, username)
	printed := s.admin(t, "", "user", "set", username, "--group", "admins", "--issuer", s.authURL)
	_, link, _ := strings.Cut(printed, s.authURL)
	o := &officer{person: newPerson(t, username, officerPassword), s: s}
	p := o.fills(o.opens(strings.TrimSpace(link)), "password", officerPassword)
	key := regexp.MustCompile(`class="key"><code>([^<]*)<`).FindStringSubmatch(p.body)
	if key == nil {
		t.Fatalf("no key of an app:\n%s", p.body)
	}
	o.app = key[1]
	o.fills(p, "code", o.used.code(t, o.app)).shows(t, http.StatusOK, "Save your recovery codes")
	return o
}

// addUser adds a user with the password of officers.
func (s *system) addUser(t *testing.T, username string, flags ...string) {
	t.Helper()
	s.admin(t, officerPassword+"\n", append([]string{"user", "add", username, "--bcrypt-cost", "10"}, flags...)...)
}

// sight is what a browser shows after redirects.
type sight struct {
	at     *url.URL
	status int
	body   string
}

// shows checks the status and the heading of a page.
func (p sight) shows(t *testing.T, status int, heading string) {
	t.Helper()
	if p.status != status || !strings.Contains(p.body, "<h1>"+html.EscapeString(heading)+"</h1>") {
		t.Errorf("%s: %d, want %d and the page %q:\n%s", p.at, p.status, status, heading, p.body)
	}
}

// has reports whether the page has a text.
func (p sight) has(text string) bool { return strings.Contains(html.UnescapeString(p.body), text) }

// follows sends a request and follows redirects on the server.
func (o *officer) follows(r *http.Request) sight {
	o.t.Helper()
	for range maxPages {
		resp, err := o.browser.Do(r)
		if err != nil {
			o.t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil {
			o.t.Fatal(err)
		}
		to, err := resp.Location()
		if err != nil {
			return sight{r.URL, resp.StatusCode, string(body)}
		}
		r = o.request(http.MethodGet, to.String(), nil)
	}
	o.t.Fatalf("after %d redirects the browser is at %s", maxPages, r.URL)
	return sight{}
}

// opens opens a page of the server.
func (o *officer) opens(path string) sight {
	o.t.Helper()
	return o.follows(o.request(http.MethodGet, o.s.authURL+path, nil))
}

// fills sends the form of a page, with its hidden fields and more: names and values in turn.
func (o *officer) fills(page sight, namesAndValues ...string) sight {
	o.t.Helper()
	fields, target := url.Values{}, page.at
	for _, hidden := range hiddenField.FindAllStringSubmatch(page.body, -1) {
		fields.Set(html.UnescapeString(hidden[1]), html.UnescapeString(hidden[2]))
	}
	tag := regexp.MustCompile(`<form[^>]* method="post"[^>]*>`).FindString(page.body)
	if action := formAction.FindStringSubmatch(tag); action != nil {
		var err error
		if target, err = page.at.Parse(html.UnescapeString(action[1])); err != nil {
			o.t.Fatal(err)
		}
	}
	return o.follows(o.request(http.MethodPost, target.String(), changed(fields, namesAndValues)))
}

// session returns the value of the browser's session cookie.
func (o *officer) session() string {
	o.t.Helper()
	u, err := url.Parse(o.s.authURL)
	if err != nil {
		o.t.Fatal(err)
	}
	for _, cookie := range o.browser.Jar.Cookies(u) {
		if cookie.Name == "hallpass" {
			return cookie.Value
		}
	}
	o.t.Fatal("the browser has no session")
	return ""
}

// admits lets an app have a token of the admin API for the administrator.
func (o *officer) admits(a app) tokens {
	o.t.Helper()
	query := a.query("scope", adminScope, "resource", o.s.authURL+adminPath)
	to, err := url.Parse(o.visit(o.s.authURL+"/authorize?"+query, a.redirectURI, "allow"))
	if err != nil {
		o.t.Fatal(err)
	}
	return send(o.t, o.s.authURL, a.redemption(to.Query().Get("code"))).tokens(o.t)
}

// adminApp registers an app that may ask administrators for tokens of the admin API.
func (s *system) adminApp(t *testing.T, flags ...string) app {
	t.Helper()
	return s.register(t, "admin-app", callback, append([]string{"--scope", adminScope, "--public"}, flags...)...)
}

// robot registers a service that may administer the server, with further flags of `client add`, and returns its
// credentials.
func (s *system) robot(t *testing.T, flags ...string) app {
	t.Helper()
	secret := s.admin(t, "", append([]string{"client", "add", "robot", "--grant", "client_credentials",
		"--scope", adminScope}, flags...)...)
	s.admin(t, "", "client", "set", "robot", "--admin")
	return app{id: "robot", secret: strings.TrimSpace(secret)}
}

// tokenRequest returns the request of a service for a token of the admin API.
func (s *system) tokenRequest(robot app) request {
	return robot.tokenForm(url.Values{"grant_type": {"client_credentials"}, "resource": {s.authURL + adminPath}}, nil)
}

// robotToken returns a token of a new service that may administer the server.
func (s *system) robotToken(t *testing.T) string {
	t.Helper()
	return send(t, s.authURL, s.tokenRequest(s.robot(t))).text(t, "access_token")
}

// call calls the admin API with a token.
func (s *system) call(t *testing.T, method, path, token, body string) response {
	t.Helper()
	r := get(adminPath+path, "Bearer "+token)
	r.method, r.body = method, body
	if body != "" {
		r.header.Set("Content-Type", "application/json")
	}
	return send(t, s.authURL, r)
}

// says checks the status of a response, and that its body or its challenge has a text.
func (r response) says(t *testing.T, what string, status int, text string) {
	t.Helper()
	if r.status != status || !strings.Contains(r.body+r.header.Get("WWW-Authenticate"), text) {
		t.Errorf("%s: %d %q %s, want %d that says %q", what, r.status, r.header["Www-Authenticate"], r.body, status, text)
	}
}

// items decodes the entries of a list of the admin API.
func items[T any](t *testing.T, r response) []T {
	t.Helper()
	var list struct{ Items []T }
	if err := json.Unmarshal([]byte(r.body), &list); err != nil || r.status != http.StatusOK {
		t.Fatalf("%d %s: %v", r.status, r.body, err)
	}
	return list.Items
}

// audited is a record of the audit log.
type audited struct {
	Event, Address string
	Actor, Subject struct{ Kind, ID, Name string }
	ClientID       string `json:"client_id"`
}

// auditLog returns the records of an event, newest first.
func (s *system) auditLog(t *testing.T, token, event string) []audited {
	t.Helper()
	return items[audited](t, s.call(t, http.MethodGet, "/audit?event="+url.QueryEscape(event), token, ""))
}
