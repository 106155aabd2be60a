package e2e_test

import (
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
)

// A user chooses a new password by the link that an administrator has sent, and is logged out everywhere.
func TestResetLinkByAdministrator(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.startAuthserver(t, "--admin-console", "--mail-inbox", "on")
	t.Cleanup(func() { s.authserver.stop(t); checkNoSecrets(t, s.authserver) })
	token := s.robotToken(t)
	const email, chosen = "grace@example.com", "a new and long password"
	s.addUser(t, "grace", "--email", email, "--email-verified")
	grace := &officer{person: newPerson(t, "grace", officerPassword), s: s}
	logIn := func(password string) sight {
		t.Helper()
		return grace.fills(grace.opens("/account"), "username", "grace", "password", password)
	}
	logIn(officerPassword).shows(t, http.StatusOK, "Your account")

	s.call(t, http.MethodPost, "/users/grace/password", token, `{}`).says(t, "a link", http.StatusNoContent, "")
	link := strings.TrimPrefix(s.mailTo(t, email, "new password"), s.authURL)
	grace.opens("/account").shows(t, http.StatusOK, "Your account") // until the link is used
	page := grace.opens(link)
	page.shows(t, http.StatusOK, "Choose a new password")
	grace.fills(page, "password", "short").shows(t, http.StatusBadRequest, "Choose a new password")
	grace.fills(page, "password", chosen).shows(t, http.StatusOK, "Your password was changed")
	for range 2 { // with the form that is still open, too
		grace.opens(link).shows(t, http.StatusBadRequest, "This link does not work")
		grace.fills(page, "password", chosen+" 2").shows(t, http.StatusBadRequest, "This link does not work")
	}
	logIn(officerPassword).shows(t, http.StatusBadRequest, "Log in")
	logIn(chosen).shows(t, http.StatusOK, "Your account")
	for event, actor := range map[string]string{"user_password_link_requested": "client", "password_reset": "user"} {
		log := s.auditLog(t, token, event)
		if len(log) != 1 || log[0].Actor.Kind != actor || log[0].Subject.Name != "grace" {
			t.Errorf("%s is recorded as %+v", event, log)
		}
	}
	s.call(t, http.MethodPost, "/users/grace/disable", token, "").says(t, "disable", http.StatusNoContent, "")
	s.call(t, http.MethodPost, "/users/grace/password", token, `{}`).
		says(t, "a disabled user", http.StatusUnprocessableEntity, "disabled")
}

// Invitations are listed, and one that is withdrawn does not work any longer.
func TestInvitationsByAPI(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.startAuthserver(t, "--admin-console", "--mail-inbox", "on", "--signup", "invitation")
	token := s.robotToken(t)
	const joan, kay = "joan+news@example.com", "kay@example.com"
	for _, email := range []string{joan, kay} {
		s.call(t, http.MethodPost, "/invitations", token, `{"email":"`+email+`","groups":["staff"]}`).
			says(t, "invite", http.StatusCreated, email)
	}
	type invitation struct{ Email string }
	first := s.call(t, http.MethodGet, "/invitations?limit=1", token, "")
	next := first.text(t, "next")
	second := s.call(t, http.MethodGet, "/invitations?limit=1&after="+url.QueryEscape(next), token, "")
	if one, two := items[invitation](t, first), items[invitation](t, second); one[0].Email != joan || two[0].Email != kay {
		t.Errorf("the list is %v, %v", one, two)
	}
	guest := &officer{person: newPerson(t, "", ""), s: s}
	withdrawn := strings.TrimPrefix(s.mailTo(t, joan, "invited"), s.authURL)
	page := guest.opens(withdrawn)
	path := "/invitations/" + url.PathEscape(joan)
	s.call(t, http.MethodDelete, path, token, "").says(t, "withdraw", http.StatusNoContent, "")
	s.call(t, http.MethodDelete, path, token, "").says(t, "withdraw again", http.StatusNotFound, "not found")
	account := []string{"username", "joan", "name", "Joan", "password", officerPassword}
	guest.opens(withdrawn).shows(t, http.StatusBadRequest, "This link does not work")
	guest.fills(page, account...).shows(t, http.StatusBadRequest, "This link does not work")

	account[1] = "kay"
	used := strings.TrimPrefix(s.mailTo(t, kay, "invited"), s.authURL)
	guest.fills(guest.opens(used), account...).shows(t, http.StatusOK, "You can log in now")
	s.call(t, http.MethodGet, "/users/kay", token, "").says(t, "the user", http.StatusOK, `"groups":["staff"]`)
	if left := items[invitation](t, s.call(t, http.MethodGet, "/invitations", token, "")); len(left) != 0 {
		t.Errorf("left are %v", left)
	}
	s.call(t, http.MethodDelete, "/invitations/"+kay, token, "").says(t, "a used one", http.StatusNotFound, "not found")
}

// A session that an administrator has ended works nowhere: not on a page, not with a form that was open, not by an app.
func TestEndedSessionWorksNowhere(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.startAuthserver(t, "--admin-console")
	ada, bea := s.newOfficer(t, "ada"), s.newOfficer(t, "bea")
	a := s.adminApp(t)
	s.registerDevice(t, "cli", "Command line", adminScope)
	granted, device := ada.admits(a), s.startAdminDevice(t)
	query := a.query("scope", adminScope, "resource", s.authURL+adminPath)
	pages := []string{
		"/admin", "/admin/users", "/admin/user?name=bea", "/admin/user/disable?name=bea", "/admin/audit/export?format=csv",
		"/account", "/account/name", "/account/data", "/account/second-factors", "/device?user_code=" + device.UserCode,
		"/authorize?" + query,
	}
	var open []sight
	for _, path := range pages {
		page := ada.opens(path)
		if page.status != http.StatusOK || page.has(`name="password"`) && !page.has(`action="/account`) {
			t.Errorf("%s: %d before the end", path, page.status)
		}
		open = append(open, page)
	}

	sessions := regexp.MustCompile(`/admin/user/session\?id=[\w-]+&amp;name=ada`)
	ends := sessions.FindString(bea.opens("/admin/user?name=ada").body)
	bea.fills(bea.opens(strings.ReplaceAll(ends, "&amp;", "&"))).shows(t, http.StatusOK, "ada")

	s.call(t, http.MethodGet, "/users", granted.access, "").says(t, "the app's token", http.StatusUnauthorized,
		"invalid_token")
	send(t, s.authURL, a.refreshing(granted.refresh)).checkRefused(t, http.StatusBadRequest, "invalid_grant")
	kept := ada.session()
	for i, path := range pages {
		got := ada.opens(path)
		if !got.has(`name="password"`) || got.has("Ada") || got.has(`href="/admin/users"`) {
			t.Errorf("%s: %d\n%s", path, got.status, got.body)
		}
		sent := ada.fills(open[i], "decision", "allow", "name", "Mallory", "username", "", "password", "")
		if sent.status == http.StatusOK && !sent.has(`name="password"`) {
			t.Errorf("the form of %s: %d\n%s", path, sent.status, sent.body)
		}
	}
	pollDevice(t, s.authURL, "cli", device).checkRefused(t, http.StatusBadRequest, "authorization_pending")
	if kept != ada.session() {
		t.Error("the browser has another session")
	}
	token := bea.admits(a).access
	if log := s.auditLog(t, token, "user_session_ended"); len(log) != 1 || log[0].Actor.Name != "bea" {
		t.Errorf("recorded as %+v", log)
	}
	if log := s.auditLog(t, token, "user_disabled"); len(log) != 0 {
		t.Errorf("the form has done something: %+v", log)
	}
}

// --admin-networks is about the address of the client, as far as a trusted proxy tells it.
func TestAdminNetworksBehindProxy(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.startAuthserver(t, "--admin-console", "--admin-networks", "192.0.2.0/24,2001:db8::/32",
		"--trusted-proxies", "127.0.0.1")
	token := s.robotToken(t)
	stranger := &http.Client{Timeout: timeout, CheckRedirect: plain.CheckRedirect, Transport: &http.Transport{
		DialContext: (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}).DialContext,
	}}
	t.Cleanup(stranger.CloseIdleConnections)
	for _, tt := range []struct {
		what      string
		by        *http.Client
		forwarded []string
		found     bool
	}{
		{"the proxy for an administrator", plain, []string{"192.0.2.7"}, true},
		{"the proxy for one with IPv6", plain, []string{"2001:db8::7"}, true},
		{"the proxy for another", plain, []string{"203.0.113.7"}, false},
		{"what another has sent the proxy", plain, []string{"192.0.2.7, 203.0.113.7"}, false},
		{"the same in two headers", plain, []string{"192.0.2.7", "203.0.113.7"}, false},
		{"the proxy for itself", plain, nil, false},
		{"another host", stranger, nil, false},
		{"another host that says it is a proxy", stranger, []string{"192.0.2.7"}, false},
	} {
		for path, status := range map[string]int{
			adminPath + "/users": http.StatusOK, adminPath + "/openapi.json": http.StatusOK, "/admin": http.StatusOK,
			"/admin/console.css": http.StatusOK, "/.well-known/oauth-protected-resource" + adminPath: http.StatusOK,
		} {
			if !tt.found {
				status = http.StatusNotFound
			}
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.authURL+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Authorization", "Bearer "+token)
			r.Header["X-Forwarded-For"] = tt.forwarded
			resp, err := tt.by.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if resp.StatusCode != status {
				t.Errorf("%s: %s: %d, want %d", tt.what, path, resp.StatusCode, status)
			}
		}
	}
}

// A server without mail administers its users all the same, and says so where a mail would go.
func TestAdministrationWithoutMail(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.startAuthserver(t, "--admin-console")
	ada := s.newOfficer(t, "ada")
	token := s.robotToken(t)
	s.addUser(t, "grace", "--email", "grace@example.com", "--email-verified")
	s.addUser(t, "joan", "--email", "joan@example.com")
	for what, got := range map[string]response{
		"a link for a password": s.call(t, http.MethodPost, "/users/grace/password", token, `{}`),
		"a link for an address": s.call(t, http.MethodPatch, "/users/joan", token, `{"verify_email":true}`),
		"an invitation":         s.call(t, http.MethodPost, "/invitations", token, `{"email":"kay@example.com"}`),
		"a user by mail": s.call(t, http.MethodPost, "/users", token,
			`{"username":"kay","email":"kay@example.com","email_verified":true}`),
	} {
		got.says(t, what, http.StatusUnprocessableEntity, "mail")
	}
	for path, fields := range map[string][]string{
		"/admin/user/password?name=grace": {"password", ""},
		"/admin/invitations":              {"email", "kay@example.com"},
		"/admin/users/new":                {"username", "kay", "email", "kay@example.com", "verified", "yes"},
	} {
		page := ada.opens(path)
		got := ada.fills(page, fields...)
		if got.status != http.StatusUnprocessableEntity || !got.has("mail") || !got.has(`role="alert"`) {
			t.Errorf("%s: %d\n%s", path, got.status, got.body)
		}
	}
	s.call(t, http.MethodPost, "/users/grace/password", token, `{"password":"`+officerPassword+` 2"}`).
		says(t, "a password", http.StatusNoContent, "")
}
