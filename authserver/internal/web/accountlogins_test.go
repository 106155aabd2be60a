package web_test

import (
	"database/sql"
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-auth/hallpass/shared/database/databasetest"
	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
	"github.com/hallpass-auth/hallpass/authserver/internal/resource"
	"github.com/hallpass-auth/hallpass/authserver/internal/secret"
	"github.com/hallpass-auth/hallpass/authserver/internal/store/storetest"
)

// digestOf returns the digest of the session of a cookie.
func (s *site) digestOf(cookie string) string {
	_, value, _ := strings.Cut(cookie, "=")
	return secret.Digest(value)
}

// sessions returns the ids of the sessions that a page has buttons for.
func sessionsOf(a answer) (ids []string) {
	for _, found := range regexp.MustCompile(`name="session" value="([^"]+)"`).FindAllStringSubmatch(a.text, -1) {
		ids = append(ids, found[1])
	}
	return ids
}

func TestEndOneLogin(t *testing.T) {
	t.Parallel()
	s := newAccountSite(t)
	away := s.logInWith(iphone, john, password, "/account").cookie()
	hers := s.logInWith(iphone, jane, password, "/account").cookie()
	herself, err := s.data.UserByUsername(t.Context(), jane)
	s.must(err)
	here, there := s.addAppGrant(s.user, backend, s.cookie), s.addAppGrant(s.user, backend, away)
	loose, other := s.addAppGrant(s.user, odd, ""), s.addAppGrant(herself, backend, "")

	page := s.open("/account")
	for _, text := range []string{
		"Safari on iPhone", "logged in to backend", "<strong>odd</strong> (curl)", "198.51.100.7",
	} {
		page.says("the page", http.StatusOK, text)
	}
	ids := sessionsOf(page)
	if len(ids) != 1 || strings.Contains(page.text, s.digestOf(away)) {
		t.Fatalf("the page has the sessions %q\n%s", ids, page.text)
	}

	// What is not the user's cannot be ended, and the response is the same as for what has ended.
	for what, field := range map[string][]string{
		"her session":        {"session", sessionsOf(s.openAs(away, "/account"))[0] + "x"},
		"the id of hers":     {"session", grant.SessionID(s.digestOf(hers))},
		"a digest":           {"session", s.digestOf(away)},
		"her grant":          {"login", strconv.FormatInt(other.Number, 10)},
		"no grant":           {"login", "999999"},
		"a negative number":  {"login", "-1"},
		"an unknown session": {"session", "x"},
	} {
		s.submit("/account/logins", field...).leadsTo(what, "/account")
	}
	for _, bad := range []string{"", "x", "1.5", "9999999999999999999999"} {
		s.submit("/account/logins", "login", bad).says(bad, http.StatusBadRequest, "could not be read")
	}
	s.submit("/account/logins", "others", "").says("nothing", http.StatusBadRequest, "could not be read")
	s.openAs(hers, "/account").says("her session", http.StatusOK, "Jane Smith")

	s.submit("/account/logins", "session", ids[0]).leadsTo("a session", "/account?done=login")
	s.openAs(away, "/account").says("the ended session", http.StatusOK, `action="/account/login"`)
	s.submit("/account/logins", "session", ids[0]).leadsTo("from another tab", "/account")
	s.submit("/account/logins", "login", strconv.FormatInt(loose.Number, 10)).leadsTo("a grant", "/account?done=login")
	if !s.isActive(here) || s.isActive(there) || s.isActive(loose) || !s.isActive(other) {
		t.Error("the wrong grants are revoked")
	}
	s.open("/account?done=login").says("afterwards", http.StatusOK, "That browser or app is logged out.")
	s.open("/account").lacks("afterwards", "Safari on iPhone")
}

func TestEndOtherLogins(t *testing.T) {
	t.Parallel()
	s := newAccountSite(t)
	away := s.logInWith(iphone, john, password, "/account").cookie()
	here, there, loose := s.addAppGrant(s.user, backend, s.cookie), s.addAppGrant(s.user, backend, away),
		s.addAppGrant(s.user, backend, "")
	s.open("/account").says("the page", http.StatusOK, "Log out everywhere else")
	s.submit("/account/logins", "others", "end").leadsTo("the others", "/account?done=logins")
	s.submit("/account/logins", "others", "end").leadsTo("again", "/account?done=logins")
	s.openAs(away, "/account").says("the other session", http.StatusOK, `action="/account/login"`)
	s.open("/account").lacks("afterwards", "Log out everywhere else")
	if !s.isActive(here) || s.isActive(there) || s.isActive(loose) {
		t.Error("the wrong grants are revoked")
	}
}

// A token of an app stops working when its user ends the access of the app, and the user is asked again.
func TestEndApp(t *testing.T) {
	t.Parallel()
	s := newAccountSite(t)
	description := resource.ScopeDescription{Scope: "items:read", Text: "See your items"}
	s.must(s.data.DescribeScope(t.Context(), description, s.clock()))
	got := s.post(login("client_id", public, "grant_type", "password", "scope", "items:read"))
	s.expectOK("a token", got)
	token, _ := got.body["access_token"].(string)
	s.must(s.data.AddConsent(t.Context(), s.user.ID, odd, audience, oauth.Scope{"profile"}, s.clock().Add(-time.Hour)))
	page := s.open("/account")
	for _, text := range []string{"See your items", "See your name and your username", `value="spa"`, `value="odd"`,
		"1 March 2026, 11:00 UTC"} {
		page.says("the page", http.StatusOK, text)
	}
	if got, _ := s.userinfo(token); got.status != http.StatusOK {
		t.Errorf("before: %d", got.status)
	}
	for _, id := range []string{"", "nobody", backend, "'; DROP TABLE grants; --"} {
		s.submit("/account/apps", "client", id).leadsTo(id, "/account")
	}
	s.submit("/account/apps", "client", public).leadsTo("an app", "/account?done=app")
	s.submit("/account/apps", "client", odd).leadsTo("a consent", "/account?done=app")
	s.submit("/account/apps", "client", odd).leadsTo("again", "/account")
	if got, _ := s.userinfo(token); got.status != http.StatusUnauthorized {
		t.Errorf("after: %d", got.status)
	}
	s.open("/account?done=app").says("afterwards", http.StatusOK, "No app has access")
	scope, err := s.data.ConsentedScope(t.Context(), s.user.ID, odd, audience)
	if err != nil || len(scope) > 0 {
		t.Errorf("the consent is %v, %v", scope, err)
	}
}

func TestCopyOfData(t *testing.T) {
	t.Parallel()
	s := newAccountSite(t)
	s.addAppGrant(s.user, backend, s.cookie)
	s.must(s.data.AddConsent(t.Context(), s.user.ID, odd, audience, oauth.Scope{"profile"}, s.clock()))
	s.must(s.data.AddConsent(t.Context(), s.user.ID, public, audience, oauth.Scope{"profile"}, s.clock()))
	s.must(s.data.RevokeConsent(t.Context(), s.user.ID, public, s.clock()))
	s.open("/account/data").says("the page", http.StatusOK, "Download the copy")
	got := s.submit("/account/data")
	if got.header.Get("Content-Disposition") != `attachment; filename="account.json"` ||
		got.header.Get("Content-Type") != "application/json" || got.header.Get("Cache-Control") != "no-store" {
		t.Errorf("headers %v", got.header)
	}
	var data map[string]any
	got.decode(&data)
	delete(data, "audit_records") // see TestCopyOfRecords
	const at, until = "2026-03-01T12:00:00Z", "2026-03-02T00:00:00Z"
	want := map[string]any{
		"user": map[string]any{
			"id": s.user.ID, "username": john, "name": "John Doe", "email_verified": false, "groups": []any{},
			"language": "en", "password_changes": 0.0, "created_at": at, "last_login_at": at,
		},
		"browsers": []any{map[string]any{
			"created_at": at, "expires_at": until, "methods": []any{"pwd"}, "address": "192.0.2.1",
			"agent": "Firefox on Linux",
		}},
		"grants": []any{map[string]any{
			"number": 1.0, "type": "password", "client_id": backend, "api": audience, "scope": "profile",
			"created_at": at, "expires_at": "2026-03-01T13:00:00Z", "address": "192.0.2.1", "agent": "Firefox on Linux",
		}},
		"failed_logins": 0.0, "known_addresses": 1.0, "links": []any{}, "mails": []any{},
		"second_factors": []any{}, "recovery_codes": 0.0,
		"consent_revocations": []any{map[string]any{"client_id": public, "times": 1.0}},
		"consents":            []any{map[string]any{"client_id": odd, "api": audience, "scope": "profile", "updated_at": at}},
	}
	if diff := cmp.Diff(want, data); diff != "" {
		t.Errorf("the copy (-want +got):\n%s", diff)
	}
	for what, text := range map[string]string{
		"session": s.digestOf(s.cookie), "password": s.user.PasswordHash, "hash": "$2a$",
	} {
		got.lacks("a digest of the "+what, text)
	}
	s.expectEvent("account_data_copied", "user=usr_x address=192.0.2.1")
	encoded, err := json.Marshal(data)
	if err != nil || len(encoded) > 2000 {
		t.Errorf("%d bytes, %v", len(encoded), err)
	}
}

// A copy that does not have everything says so.
func TestTruncatedCopyOfData(t *testing.T) {
	t.Parallel()
	const limit = 10_000
	path := storetest.SQLite(t)
	s := newSiteOn(t, "sqlite:"+path, databasetest.Pool)
	s.addCodeApp()
	cookie := s.sessionCookie()
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=busy_timeout(60000)")
	s.must(err)
	t.Cleanup(func() { _ = db.Close() })
	add := func(from, to int) {
		t.Helper()
		_, err := db.ExecContext(t.Context(), "WITH RECURSIVE n (i) AS (SELECT ? UNION ALL SELECT i + 1 FROM n WHERE i < ?) "+
			"INSERT INTO sessions (digest, user_id, created_at, expires_at) SELECT 'digest ' || i, ?, 1, 2 FROM n",
			from, to, s.userID(john))
		s.must(err)
	}
	read := func() (copied struct {
		Truncated bool  `json:"truncated"`
		Browsers  []any `json:"browsers"`
		Records   []any `json:"audit_records"`
	}) {
		t.Helper()
		s.serve(withCookie(pageForm("/account/data", url.Values{"user": {s.userID(john)}}), cookie)).decode(&copied)
		return copied
	}
	add(2, limit) // with this browser's
	if got := read(); got.Truncated || len(got.Browsers) != limit {
		t.Errorf("%d browsers: %d copied, truncated %v", limit, len(got.Browsers), got.Truncated)
	}
	add(limit+1, limit+1)
	if got := read(); !got.Truncated || len(got.Browsers) != limit {
		t.Errorf("%d browsers: %d copied, truncated %v", limit+1, len(got.Browsers), got.Truncated)
	}
	for _, query := range []string{
		"DELETE FROM sessions WHERE digest LIKE 'digest %'",
		"WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000) INSERT INTO audit_records " +
			"SELECT 'record ' || i, 1, 'e', 'success', 'user', id, 'user', id, '', '', '', 1, '{}' FROM n, users " +
			"WHERE username = 'john.doe'",
	} {
		_, err := db.ExecContext(t.Context(), query)
		s.must(err)
	}
	if got := read(); !got.Truncated || len(got.Records) != limit || len(got.Browsers) != 1 {
		t.Errorf("%d records and %d browsers copied, truncated %v", len(got.Records), len(got.Browsers), got.Truncated)
	}
}

// Who has left a browser open does not give the data away: after a quarter of an hour the password is asked for again.
func TestCopyNeedsARecentLogin(t *testing.T) {
	t.Parallel()
	s := newAccountSite(t)
	s.wait(15 * time.Minute)
	s.open("/account/data").says("after 15 minutes", http.StatusOK, "Download the copy")
	s.wait(time.Second)
	page := s.open("/account/data")
	page.says("a second later", http.StatusOK, "Confirm that it is you")
	page.says("the username", http.StatusOK, `value="john.doe"`)
	s.submit("/account/data").leadsTo("the form", "/account/data")
	s.open("/account").says("the account page", http.StatusOK, "John Doe")
	s.submit("/account/login", "username", john, "password", guess, "continue", "/account/data", "confirms", "yes").
		says("a wrong password", http.StatusBadRequest, "Confirm that it is you")
	r := s.submit("/account/login", "username", john, "password", password, "continue", "/account/data")
	r.leadsTo("the password", "/account/data")
	s.cookie = r.cookie()
	_, value, _ := strings.Cut(s.cookie, "=")
	s.hide(value)
	s.open("/account/data").says("after it", http.StatusOK, "Download the copy")
}
