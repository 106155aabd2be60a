package e2e_test

import (
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"
)

// person is a user with a browser that keeps cookies and runs no scripts. The person logs in
// and gives or denies consent where a page asks for it.
type person struct {
	t                  *testing.T
	browser            *http.Client
	username, password string
	forms              []string // paths of the forms that were sent, in order
}

func newPerson(t *testing.T, username, password string) *person {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	browser := &http.Client{Jar: jar, Timeout: timeout, CheckRedirect: plain.CheckRedirect}
	return &person{t: t, browser: browser, username: username, password: password}
}

// maxPages is the maximum number of pages and redirects between an app's request and its
// callback.
const maxPages = 12

// visit opens an address and fills in forms until the browser is redirected to the app, with any
// query. It returns the target of this redirect. The decision is allow or deny.
func (p *person) visit(address, app, decision string) string {
	p.t.Helper()
	page, _, _ := strings.Cut(app, "?")
	next := p.request(http.MethodGet, address, nil)
	for range maxPages {
		location, body := p.send(next)
		switch {
		case location == "":
			next = p.fillIn(next.URL, body, decision)
		case strings.HasPrefix(location, page):
			return location
		default:
			next = p.request(http.MethodGet, location, nil)
		}
	}
	p.t.Fatalf("after %d pages the browser is at %s", maxPages, next.URL)
	return ""
}

// send sends a request and returns where the response redirects to, empty if nowhere, and its body.
func (p *person) send(r *http.Request) (location, body string) {
	p.t.Helper()
	resp, err := p.browser.Do(r)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	to, err := resp.Location()
	if err != nil {
		return "", string(text)
	}
	if resp.StatusCode != http.StatusSeeOther {
		p.t.Fatalf("%s %s redirects with %d, want 303", r.Method, r.URL.Path, resp.StatusCode)
	}
	return to.String(), string(text)
}

// The parts of a form that fillIn reads.
var (
	formAction  = regexp.MustCompile(`<form[^>]* action="([^"]*)"`)
	hiddenField = regexp.MustCompile(`<input[^>]* type="hidden"[^>]* name="([^"]*)"[^>]* value="([^"]*)"`)
)

// fillIn returns the request that sends the form of a page.
func (p *person) fillIn(at *url.URL, page, decision string) *http.Request {
	p.t.Helper()
	action := formAction.FindStringSubmatch(page)
	if action == nil {
		p.t.Fatalf("the page at %s has no form:\n%s", at, page)
	}
	fields := url.Values{}
	for _, hidden := range hiddenField.FindAllStringSubmatch(page, -1) {
		fields.Set(html.UnescapeString(hidden[1]), html.UnescapeString(hidden[2]))
	}
	switch {
	case strings.Contains(page, `name="password"`):
		fields.Set("username", p.username)
		fields.Set("password", p.password)
	case strings.Contains(page, `value="`+decision+`"`):
		fields.Set("decision", decision)
	default:
		p.t.Fatalf("the page at %s is neither a login nor a consent page:\n%s", at, page)
	}
	target, err := at.Parse(html.UnescapeString(action[1]))
	if err != nil {
		p.t.Fatal(err)
	}
	p.forms = append(p.forms, target.Path)
	return p.request(http.MethodPost, target.String(), fields)
}

// request returns the request that a browser sends for a link or for a form of the same
// origin.
func (p *person) request(method, address string, fields url.Values) *http.Request {
	p.t.Helper()
	r, err := http.NewRequestWithContext(p.t.Context(), method, address, strings.NewReader(fields.Encode()))
	if err != nil {
		p.t.Fatal(err)
	}
	r.Header.Set("Sec-Fetch-Site", "none")
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Origin", r.URL.Scheme+"://"+r.URL.Host)
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	return r
}
