package web_test

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/hallpass-auth/hallpass/authserver/internal/admin"
	"github.com/hallpass-auth/hallpass/authserver/internal/client"
	"github.com/hallpass-auth/hallpass/authserver/internal/issuing"
	"github.com/hallpass-auth/hallpass/authserver/internal/record"
)

// require changes what an administrator requires of the client of a document.
func (d *documentSite) require(p admin.ClientPatch) {
	d.t.Helper()
	s := admin.Service{Store: d.data, Now: d.clock}
	_, _, err := s.ChangeClient(d.t.Context(), d.base+"/client.json", p, nil)
	d.must(err)
	d.wait(issuing.CacheTime)
}

// allow allows a client what it asks for, and returns the response of the token endpoint.
func (d *documentSite) allow(cookie string, query url.Values) answer {
	d.t.Helper()
	to, err := url.Parse(d.serve(withCookie(pageForm("/consent", url.Values{
		"continue": {query.Encode()}, "user": {d.userID(john)}, "decision": {"allow"},
	}), cookie)).header.Get("Location"))
	d.must(err)
	tokens := d.serve(pageForm("/token", url.Values{
		"grant_type": {"authorization_code"}, "code": {to.Query().Get("code")}, "client_id": {query.Get("client_id")},
		"redirect_uri": {"http://localhost:4711/cb"}, "code_verifier": {verifier},
	}))
	if refresh := tokens.member("refresh_token"); refresh != "" {
		d.hide(refresh)
	}
	return tokens
}

// What an administrator requires of a client that is described by a document holds at each endpoint, until an
// administrator removes it.
func TestRequirementsOfADocumentClient(t *testing.T) {
	t.Parallel()
	d := newDocumentSite(t, "all")
	d.addCodeApp()
	cookie := d.sessionCookie()
	query := d.query("/client.json", "scope", "profile")
	on, off := true, false
	expect := func(what, text string) {
		t.Helper()
		got := d.ask(cookie, query)
		if shown := got.text + got.header.Get("Location"); !strings.Contains(shown, text) {
			t.Errorf("%s: %d %s, want %q", what, got.status, shown, text)
		}
	}
	expect("at first", "<strong>Agent</strong>")
	if got := d.allow(cookie, query); got.status != http.StatusOK {
		t.Fatalf("at first: %d %s", got.status, got.text)
	}
	for name, tt := range map[string]struct {
		set, clear admin.ClientPatch
		text       string
	}{
		"second factor": {
			admin.ClientPatch{RequireSecondFactor: &on}, admin.ClientPatch{RequireSecondFactor: &off},
			`name="password"`,
		},
		"PAR": {admin.ClientPatch{RequirePAR: &on}, admin.ClientPatch{RequirePAR: &off}, "must+push"},
	} {
		d.require(tt.set)
		expect(name, tt.text)
		d.require(tt.clear)
		expect("without "+name, "<strong>Agent</strong>")
	}
	d.require(admin.ClientPatch{RequireDPoP: &on})
	expect("DPoP", "<strong>Agent</strong>")
	if got := d.allow(cookie, query); !strings.Contains(got.text, "must send a DPoP proof") {
		t.Errorf("DPoP: %d %s", got.status, got.text)
	}
	d.require(admin.ClientPatch{RequireDPoP: &off})
	if got := d.allow(cookie, query); got.status != http.StatusOK {
		t.Errorf("without DPoP: %d %s", got.status, got.text)
	}
}

// What an administrator requires of a client stays in force when nobody has used the client for long. Other clients are
// deleted then.
func TestRequirementsStayWhenUnused(t *testing.T) {
	t.Parallel()
	d := newDocumentSite(t, "all")
	d.addCodeApp()
	allow := func(path string) {
		t.Helper()
		if got := d.allow(d.sessionCookie(), d.query(path, "scope", "profile")); got.status != http.StatusOK {
			t.Fatalf("%s: %d %s", path, got.status, got.text)
		}
	}
	allow("/client.json")
	allow("/unused.json")
	on := true
	d.require(admin.ClientPatch{RequireSecondFactor: &on})
	d.wait(2 * client.MaxUnused)
	allow("/other.json")
	if _, err := d.data.ClientByID(t.Context(), d.base+"/unused.json"); !errors.Is(err, record.ErrNotFound) {
		t.Errorf("the client that nobody has changed: %v, want it deleted", err)
	}
	got := d.ask(d.sessionCookie(), d.query("/client.json", "scope", "profile"))
	if !strings.Contains(got.text, `name="password"`) {
		t.Errorf("%d %s\nwant a login with a second factor", got.status, got.text)
	}
}
