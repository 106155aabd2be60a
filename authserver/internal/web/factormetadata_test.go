package web_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

const secondFactorRequired = `"require_second_factor":true`

// RFC 7591 section 2 allows extensions: with require_second_factor, the users of a client that registers itself need a
// second factor. The client cannot take that back, since an administrator may have required it (RFC 7592 section 2.2).
func TestRegistrationRequiresSecondFactor(t *testing.T) {
	t.Parallel()
	s := newRegistrationSite(t)
	const rest = `"redirect_uris":["https://app.example/cb"],"token_endpoint_auth_method":"none"}`
	for text, want := range map[string]bool{
		secondFactorRequired + ",": true, `"require_second_factor":false,`: false, "": false,
	} {
		got := s.serve(registration("POST", "/register", "", "{"+text+rest))
		id, token := got.member("client_id"), got.member("registration_access_token")
		shown := s.serve(registration("GET", "/register/"+id, token, ""))
		c, err := s.data.ClientByID(t.Context(), id)
		s.must(err)
		for what, has := range map[string]bool{
			"stored": c.RequireSecondFactor, "the response": strings.Contains(got.text, secondFactorRequired),
			"read later": strings.Contains(shown.text, secondFactorRequired),
		} {
			if has != want {
				t.Errorf("%q: %s: %v\n%s", text, what, has, got.text)
			}
		}
		changed := s.serve(registration("PUT", "/register/"+id, token, `{"client_id":"`+id+`",`+rest))
		if strings.Contains(changed.text, secondFactorRequired) != want {
			t.Errorf("%q: after a change without it: %s", text, changed.text)
		}
	}
	s.serve(registration("POST", "/register", "", `{"require_second_factor":"yes",`+rest)).
		says("the wrong type", http.StatusBadRequest, "string instead of boolean")
}

// A client metadata document can say the same. The login of its user then takes a second factor.
func TestDocumentRequiresSecondFactor(t *testing.T) {
	t.Parallel()
	d := newDocumentSite(t, "all")
	requires := true
	d.document = func(id string) any {
		return map[string]any{
			"client_id": id, "client_name": "Agent", "redirect_uris": []string{"http://localhost/cb"},
			"token_endpoint_auth_method": "none", "require_second_factor": requires,
		}
	}
	b := d.newBrowser()
	page := b.do(httptest.NewRequest(http.MethodGet, issuer+"/authorize?"+d.query("/client.json").Encode(), nil))
	page = b.follow(b.follow(b.form(page, "username", john, "password", password)))
	page.says("the login", http.StatusOK, `action="/login/new-app"`)

	requires = false
	b = d.newBrowser()
	page = b.do(httptest.NewRequest(http.MethodGet, issuer+"/authorize?"+d.query("/other.json").Encode(), nil))
	page = b.follow(b.form(page, "username", john, "password", password))
	page.says("another document", http.StatusOK, "nobody here has checked its name")
}
