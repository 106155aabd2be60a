package adminapi_test

import (
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/adminapi"
	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
	"github.com/hallpass-auth/hallpass/authserver/internal/secondfactor"
	"github.com/hallpass-auth/hallpass/authserver/internal/secret"
)

// A user is created, found, changed, disabled and deleted.
func TestUsers(t *testing.T) {
	h := start(t)
	token := h.robotToken()
	made := h.call(http.MethodPost, "/users", token,
		`{"username":"o'brien/x","name":"Dara O'Brien","email":"dara@example.com","groups":["staff"],`+
			`"password":"`+password+`"}`)
	made.expect(t, "create", http.StatusCreated, `"groups":["staff"]`)
	if strings.Contains(made.body, password) {
		t.Error("the response has the password")
	}
	path := strings.TrimPrefix(made.Header.Get("Location"), issuer+adminapi.Path)
	h.call(http.MethodPost, "/users", token, `{"username":"o'brien/x","password":"`+password+`"}`).
		expect(t, "create again", http.StatusConflict, "already exists")
	got := h.call(http.MethodGet, path, token, "")
	got.expect(t, "show", http.StatusOK, "Dara")
	etag := got.Header.Get("ETag")
	if etag == "" || etag != made.Header.Get("ETag") {
		t.Errorf("ETag %q after %q", etag, made.Header.Get("ETag"))
	}
	h.call(http.MethodPatch, path, token, `{"name":"Dara"}`, "If-Match", etag).expect(t, "change", 200, `"name":"Dara"`)
	for _, method := range []string{http.MethodPatch, http.MethodDelete} {
		body := map[string]string{http.MethodPatch: `{"name":"x"}`}[method]
		h.call(method, path, token, body, "If-Match", etag).expect(t, method, http.StatusPreconditionFailed, "ETag")
	}
	h.call(http.MethodPatch, path, token, `{"add_groups":["b"],"remove_groups":["staff"]}`).
		expect(t, "groups", 200, `"groups":["b"]`)
	h.call(http.MethodPost, path+"/disable", token, "").expect(t, "disable", http.StatusNoContent, "")
	h.call(http.MethodGet, path, token, "").expect(t, "disabled", 200, "disabled_at")
	h.call(http.MethodPost, path+"/enable", token, "").expect(t, "enable", http.StatusNoContent, "")
	for _, part := range []string{"failures", "second-factors", "sessions", "grants", "consents"} {
		h.call(http.MethodGet, path+"/"+part, token, "").expect(t, part, 200, `"items":[]`)
	}
	h.call(http.MethodPost, path+"/unlock", token, "").expect(t, "unlock", http.StatusNoContent, "")
	h.call(http.MethodPost, path+"/logout", token, "").expect(t, "logout", http.StatusNoContent, "")
	h.call(http.MethodPost, path+"/password", token, `{}`).expect(t, "mail", 422, "no mail server")
	h.call(http.MethodPost, path+"/password", token, `{"password":"short"}`).expect(t, "weak", 422, "password")
	h.call(http.MethodPost, path+"/password", token, `{"password":"`+password+` 2"}`).expect(t, "set", 204, "")
	h.call(http.MethodDelete, path, token, "").expect(t, "delete", http.StatusNoContent, "")
	h.call(http.MethodGet, path, token, "").expect(t, "deleted", http.StatusNotFound, "user not found")
	h.call(http.MethodGet, "/groups", token, "").expect(t, "groups", 200, `{"name":"admins","members":2}`)
}

// The lines of If-Match are one list, and a line without a tag is not a change without a precondition (RFC 9110
// sections 5.3 and 13.1.1).
func TestLinesOfIfMatch(t *testing.T) {
	h := start(t)
	token := h.robotToken()
	h.call(http.MethodPost, "/apis", token, `{"audience":"https://other.example","scope":"a"}`).
		expect(t, "add", http.StatusCreated, "")
	for _, path := range []string{"/users/carl", "/clients/" + app, "/apis/" + url.PathEscape("https://other.example")} {
		etag := func() string {
			return h.call(http.MethodGet, path, token, "").Header.Get("ETag")
		}
		before := etag()
		for _, blank := range [][]string{{""}, {" \t"}, {","}, {"", ""}} {
			var header []string
			for _, line := range blank {
				header = append(header, "If-Match", line)
			}
			h.call(http.MethodPatch, path, token, `{"name":"x"}`, header...).
				expect(t, fmt.Sprintf("%s if %q", path, blank), http.StatusBadRequest, "If-Match must be an ETag")
			h.call(http.MethodDelete, path, token, "", header...).
				expect(t, fmt.Sprintf("delete %s if %q", path, blank), http.StatusBadRequest, "If-Match must be an ETag")
		}
		h.call(http.MethodPatch, path, token, `{"name":"x"}`, "If-Match", `"a"`, "If-Match", `"b"`).
			expect(t, path, http.StatusPreconditionFailed, "ETag")
		if after := etag(); after != before {
			t.Errorf("%s has changed: %s", path, after)
		}
		h.call(http.MethodPatch, path, token, `{"name":"x"}`, "If-Match", `"a"`, "If-Match", "", "If-Match", before).
			expect(t, path+" in the third line", http.StatusOK, `"name":"x"`)
		h.call(http.MethodPatch, path, token, `{"name":"y"}`, "If-Match", "*").expect(t, path, http.StatusOK, `"name":"y"`)
	}
}

// A user is found however the username is spelled, at every endpoint.
func TestSpellingsOfUsername(t *testing.T) {
	h := start(t)
	token := h.robotToken()
	h.call(http.MethodPost, "/users", token, `{"username":"zoë","password":"`+password+`"}`).
		expect(t, "create", http.StatusCreated, "")
	zoe, err := h.data.UserByUsername(t.Context(), "zoë")
	h.must(err)
	for _, spelling := range []string{"zoë", "zoe\u0308", "ｚｏë", " zoë "} {
		path := "/users/" + url.PathEscape(spelling)
		h.must(h.data.AddConsent(t.Context(), zoe.ID, app, api, oauth.Scope{"profile"}, h.clock()))
		h.call(http.MethodGet, path, token, "").expect(t, path, http.StatusOK, `"username":"zoë"`)
		for _, part := range []string{"failures", "second-factors", "sessions", "grants"} {
			h.call(http.MethodGet, path+"/"+part, token, "").expect(t, path+"/"+part, http.StatusOK, `"items":[]`)
		}
		consents := path + "/consents"
		h.call(http.MethodGet, consents, token, "").expect(t, consents, http.StatusOK, `"client_id":"`+app+`"`)
		h.call(http.MethodDelete, consents+"/"+app, token, "").expect(t, "revoke", http.StatusNoContent, "")
		h.call(http.MethodGet, consents, token, "").expect(t, consents, http.StatusOK, `"items":[]`)
		h.call(http.MethodDelete, consents+"/"+app, token, "").expect(t, "again", http.StatusNotFound, app)
	}
	h.call(http.MethodGet, "/users/nobody/consents", token, "").expect(t, "nobody", http.StatusNotFound, "user not found")
}

// Who makes somebody an administrator is told what that user needs.
func TestNoteAboutAdministrator(t *testing.T) {
	h := start(t)
	token := h.robotToken()
	const admins, nobody, link = `{"groups":["admins"]}`, `{"groups":[]}`, "--enrol-link"
	h.call(http.MethodPost, "/users", token, `{"username":"dora","groups":["admins"],"password":"`+password+`"}`).
		expect(t, "create", http.StatusCreated, link)
	h.call(http.MethodPatch, "/users/carl", token, admins).expect(t, "no factor", http.StatusOK, link)
	h.call(http.MethodGet, "/users/carl", token, "").expect(t, "show", http.StatusOK, link)
	carl, err := h.data.UserByUsername(t.Context(), "carl")
	h.must(err)
	keep := secret.Digest(h.browse("carl", grant.MethodPassword).cookie)
	h.must(h.data.AddSecondFactor(t.Context(), carl, secondfactor.Completion{NewFactor: &secondfactor.Factor{
		ID: "app", UserID: carl.ID, Kind: secondfactor.KindTOTP, Name: "Phone", Secret: "sealed", CreatedAt: h.now,
	}}, account.Renewal{From: keep, To: keep}, h.now))
	h.call(http.MethodPatch, "/users/carl", token, nobody).expect(t, "no administrator", http.StatusOK, "")
	h.call(http.MethodPatch, "/users/carl", token, admins).expect(t, "an old factor", http.StatusOK, "person's own")
	for what, got := range map[string]answer{
		"show":  h.call(http.MethodGet, "/users/carl", token, ""),
		"again": h.call(http.MethodPatch, "/users/carl", token, admins),
		"leave": h.call(http.MethodPatch, "/users/carl", token, nobody),
	} {
		if strings.Contains(got.body, "note") {
			t.Errorf("%s: %s", what, got.body)
		}
	}
	h.call(http.MethodPost, "/users/carl/disable", token, "").expect(t, "disable", http.StatusNoContent, "")
	h.call(http.MethodPatch, "/users/carl", token, admins).expect(t, "while disabled", http.StatusOK, "person's own")
	h.call(http.MethodPost, "/users/carl/enable", token, "").expect(t, "enable", http.StatusNoContent, "")
}

// A change that is made is not reported as failed because of what the response shows besides.
func TestChangeWhoseNotesCannotBeRead(t *testing.T) {
	h := start(t)
	token := h.robotToken()
	h.rename("second_factors")
	h.call(http.MethodPost, "/users", token, `{"username":"dora","groups":["admins"],"password":"`+password+`"}`).
		expect(t, "create", http.StatusCreated, "--enrol-link")
	h.call(http.MethodPatch, "/users/carl", token, `{"groups":["admins"]}`).
		expect(t, "change", http.StatusOK, `"groups":["admins"]`)
	h.call(http.MethodGet, "/users/carl", token, "").expect(t, "show", http.StatusServiceUnavailable, "")

	h.rename("apis")
	spa := `{"id":"spa","public":true,"grant_types":["authorization_code"],"scope":"profile",` +
		`"redirect_uris":["https://spa.example/cb"]}`
	h.call(http.MethodPost, "/clients", token, spa).expect(t, "register", http.StatusCreated, `"id":"spa"`)
	h.call(http.MethodPatch, "/clients/spa", token, `{"name":"New"}`).expect(t, "change", http.StatusOK, `"name":"New"`)
	h.call(http.MethodGet, "/clients/spa", token, "").expect(t, "show", http.StatusServiceUnavailable, "")
	h.call(http.MethodPatch, "/clients/spa", token, `{"exchange_to":["https://other.example"]}`).
		expect(t, "name an API", http.StatusServiceUnavailable, "The database cannot be reached right now.")
}

// rename makes all reads of a table fail.
func (h *host) rename(table string) {
	h.t.Helper()
	db, err := sql.Open("sqlite", "file:"+h.path+"?_pragma=busy_timeout(60000)")
	h.must(err)
	_, err = db.ExecContext(h.t.Context(), "ALTER TABLE "+table+" RENAME TO gone_"+table)
	h.must(errors.Join(err, db.Close()))
}

// What is not valid is refused with a problem document that says which field (RFC 9457).
func TestBadInput(t *testing.T) {
	h := start(t)
	token := h.robotToken()
	for _, tt := range []struct {
		method, path, body string
		status             int
		says               string
	}{
		{"POST", "/users", `{"username":"x\u200by","password":"` + password + `"}`, 422, "username"},
		{"POST", "/users", `{"username":"x","username":"y"}`, 400, ""},
		{"POST", "/users", `{"username":"x","admin":true}`, 422, "body.admin"},
		{"POST", "/users", `{"username":5}`, 422, "body.username"},
		{"POST", "/users", `{`, 400, ""},
		{"POST", "/users", `{"username":"` + strings.Repeat("x", 70_000) + `"}`, 413, ""},
		{"PATCH", "/users/carl", `{"groups":["a b"]}`, 422, "group"},
		{"PATCH", "/users/carl", `{"email":"nobody"}`, 422, "email"},
		{"PATCH", "/users/carl", `{"remove_groups":["x"]}`, 422, "not in the group"},
		{"GET", "/users?limit=0", "", 422, "limit"},
		{"GET", "/users?limit=201", "", 422, "limit"},
		{"GET", "/users?after=%21", "", 400, "cursor"},
		{"GET", "/users?q=a&after=MWFkYQ", "", 400, "cursor"},
		{"GET", "/users/%ff", "", 400, ""},
		{"PUT", "/users", "", 405, ""},
		{"DELETE", "/users/carl/sessions/x", "", 404, "session"},
		{"DELETE", "/users/carl/grants/7", "", 404, "grant"},
		{"POST", "/invitations", `{"email":"x"}`, 422, "email"},
	} {
		got := h.call(tt.method, tt.path, token, tt.body)
		got.expect(t, tt.method+" "+tt.path, tt.status, tt.says)
		if got.Header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s %s: Content-Type %q", tt.method, tt.path, got.Header.Get("Content-Type"))
		}
	}
}

// All pages together have each user once, with and without a search.
func TestPages(t *testing.T) {
	h := start(t)
	token := h.robotToken()
	for i := range 5 {
		h.call(http.MethodPost, "/users", token, fmt.Sprintf(`{"username":"pat%d","password":"%s"}`, i, password)).
			expect(t, "create", http.StatusCreated, "")
	}
	for query, want := range map[string]string{
		"limit=3": "ada bea carl pat0 pat1 pat2 pat3 pat4", "limit=2&q=Pat": "pat0 pat1 pat2 pat3 pat4", "q=nobody": "",
	} {
		var names []string
		for path := "/users?" + query; path != ""; {
			got := h.call(http.MethodGet, path, token, "")
			var page adminapi.Page[adminapi.User]
			if err := json.Unmarshal([]byte(got.body), &page); err != nil {
				t.Fatal(err, got.body)
			}
			for _, u := range page.Items {
				names = append(names, u.Username)
			}
			link, _, _ := strings.Cut(got.Header.Get("Link"), ">")
			path = strings.TrimPrefix(link, "<"+issuer+adminapi.Path)
			if (path == "") != (page.Next == "") {
				t.Fatalf("Link %q, next %q", got.Header.Get("Link"), page.Next)
			}
		}
		if got := strings.Join(names, " "); got != want {
			t.Errorf("%s: %s, want %s", query, got, want)
		}
	}
}

// Of two administrators who remove each other at once, exactly one stays.
func TestLastAdministrator(t *testing.T) {
	h := start(t)
	tokens := map[string]string{"bea": h.token(ada), ada: h.token("bea")}
	var wg sync.WaitGroup
	var mu sync.Mutex
	var refused []string
	for victim, token := range tokens {
		wg.Go(func() {
			got := h.call(http.MethodPatch, "/users/"+victim, token, `{"remove_groups":["admins"]}`)
			mu.Lock()
			defer mu.Unlock()
			if got.StatusCode != http.StatusOK {
				refused = append(refused, fmt.Sprint(got.StatusCode, got.body))
			}
		})
	}
	wg.Wait()
	if n, err := h.data.Administrators(t.Context()); err != nil || n != 1 || len(refused) != 1 {
		t.Errorf("%d administrators are left (%v); refused: %v", n, err, refused)
	}
	for _, name := range []string{ada, "bea"} {
		got := h.call(http.MethodDelete, "/users/"+name, h.robotToken(), "")
		if got.StatusCode != http.StatusNoContent {
			got.expect(t, "the last one", http.StatusConflict, "last administrator")
		}
	}
	if n, err := h.data.Administrators(t.Context()); err != nil || n != 1 {
		t.Errorf("%d administrators are left (%v)", n, err)
	}
}
