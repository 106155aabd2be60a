package web_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"

	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/client"
)

// codeApp is a client that sends its users to the pages; those who run the site have
// consented for them.
const codeApp = "code-app"

// addCodeApp registers it.
func (s *site) addCodeApp() {
	s.t.Helper()
	s.must(s.data.CreateClient(s.t.Context(), client.Client{
		ID: codeApp, Name: "Code App", Grants: []oauth.GrantType{oauth.GrantAuthorizationCode}, Scope: oauth.Scope{"profile"},
		RedirectURIs: []string{"https://app.example/back"}, FirstParty: true, CreatedAt: s.clock(),
	}))
}

// codeRequest is the query that it sends users with, with changes: name, value and so on.
func codeRequest(changes ...string) url.Values {
	query := url.Values{
		"response_type": {"code"}, "client_id": {codeApp}, "redirect_uri": {"https://app.example/back"},
		"code_challenge": {strings.Repeat("A", 43)}, "code_challenge_method": {"S256"},
	}
	for i := 0; i < len(changes); i += 2 {
		query.Set(changes[i], changes[i+1])
	}
	return query
}

// pageForm is what a browser sends from a page.
func pageForm(path string, form url.Values) *http.Request {
	r := httptest.NewRequest(http.MethodPost, issuer+path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return r
}

// loginForm is what the login page sends for it.
func loginForm() *http.Request {
	return pageForm("/login", url.Values{"username": {john}, "password": {password}, "continue": {codeRequest().Encode()}})
}

// sessionCookie logs a browser in.
func (s *site) sessionCookie() string {
	s.t.Helper()
	cookie, _, _ := strings.Cut(s.serve(loginForm()).header.Get("Set-Cookie"), ";")
	_, value, _ := strings.Cut(cookie, "=")
	if value == "" {
		s.t.Fatal("the login gives no cookie")
	}
	s.hide(value)
	return cookie
}
