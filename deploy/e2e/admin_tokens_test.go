package e2e_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/hallpass-auth/hallpass/shared/dpop"
	"github.com/hallpass-auth/hallpass/shared/oauth"
)

// Administrators let a device administer the server (RFC 8628). Other users do not see that it waits, and what it may
// ends with the membership.
func TestAdminByDevice(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.startAuthserver(t, "--admin-console")
	s.registerDevice(t, "cli", "Command line", adminScope)
	ada, bea := s.newOfficer(t, "ada"), s.newOfficer(t, "bea")
	s.addUser(t, "grace")
	grace := &officer{person: newPerson(t, "grace", officerPassword), s: s}
	grace.fills(grace.opens("/account"), "username", "grace", "password", officerPassword)

	d := s.startAdminDevice(t)
	page := strings.TrimPrefix(d.VerificationURIComplete, s.authURL)
	grace.opens(page).shows(t, http.StatusBadRequest, "Connect a device")
	asked := ada.opens(page)
	asked.shows(t, http.StatusOK, "Connect this device?")
	if !asked.has("Administer this service: all users, apps and keys") || !asked.has(d.UserCode) {
		t.Errorf("the question does not say what the device may do:\n%s", asked.body)
	}
	pollDevice(t, s.authURL, "cli", d).checkRefused(t, http.StatusBadRequest, "authorization_pending")
	ada.fills(asked, "decision", "allow").shows(t, http.StatusOK, "Device connected")
	granted := pollDevice(t, s.authURL, "cli", d).tokens(t)
	s.call(t, http.MethodPost, "/users/grace/disable", granted.access, "").says(t, "a change", http.StatusNoContent, "")
	if log := s.auditLog(t, granted.access, "user_disabled"); len(log) != 1 || log[0].Actor.Name != "ada" ||
		log[0].ClientID != "cli" {
		t.Errorf("recorded as %+v", log)
	}
	refreshed := send(t, s.authURL, app{id: "cli"}.refreshing(granted.refresh)).tokens(t)

	denied := s.startAdminDevice(t)
	bea.fills(bea.opens("/device?user_code="+denied.UserCode), "decision", "deny").
		shows(t, http.StatusOK, "Device denied")
	pollDevice(t, s.authURL, "cli", denied).checkRefused(t, http.StatusBadRequest, "access_denied")

	s.admin(t, "", "user", "set", "ada", "--remove-group", "admins")
	s.call(t, http.MethodGet, "/users", refreshed.access, "").
		says(t, "no administrator any longer", http.StatusForbidden, "Only users in the group admins")
	send(t, s.authURL, app{id: "cli"}.refreshing(refreshed.refresh)).
		checkRefused(t, http.StatusBadRequest, "invalid_grant")
}

// startAdminDevice starts a device that asks for a token of the admin API.
func (s *system) startAdminDevice(t *testing.T) (d oauth.DeviceAuthorization) {
	t.Helper()
	r := form("client_id", "cli", "scope", adminScope, "resource", s.authURL+adminPath)
	r.path = "/device_authorization"
	got := send(t, s.authURL, r)
	if err := json.Unmarshal([]byte(got.body), &d); err != nil || d.UserCode == "" {
		t.Fatalf("%d %s", got.status, got.body)
	}
	return d
}

// Introspection (RFC 7662) tells of tokens of the admin API only clients that are registered for it, and only as long
// as the owner administers the server.
func TestAdminTokenIntrospected(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.startAuthserver(t, "--admin-console")
	ada := s.newOfficer(t, "ada")
	s.newOfficer(t, "bea") // so that ada is not the last one
	a := s.adminApp(t)
	auditor := app{id: "auditor", secret: strings.TrimSpace(s.admin(t, "", "client", "add", "auditor",
		"--grant", "client_credentials", "--scope", "profile", "--introspects-for", s.authURL+adminPath))}
	nosy := app{id: "nosy", secret: strings.TrimSpace(s.admin(t, "", "client", "add", "nosy",
		"--grant", "client_credentials", "--scope", "profile"))}
	watcher := s.watcher(t) // may introspect tokens of the default API
	granted := ada.admits(a)
	introspect := func(by app) response {
		t.Helper()
		r := by.tokenForm(url.Values{"token": {granted.access}}, nil)
		r.path = "/introspect"
		return send(t, s.authURL, r)
	}
	introspect(a).checkRefused(t, http.StatusUnauthorized, "invalid_client") // it is public
	introspect(nosy).checkRefused(t, http.StatusBadRequest, "unauthorized_client")
	s.checkActive(t, watcher, "a token of the admin API", granted.access, false)
	known := introspect(auditor).members(t)
	if known["active"] != true || known["scope"] != adminScope || known["acr"] != "2" || known["client_id"] != a.id {
		t.Errorf("introspection says %v", known)
	}
	s.admin(t, "", "user", "set", "ada", "--remove-group", "admins")
	s.checkActive(t, auditor, "a token of a user who has left the group", granted.access, false)
	again := command(t, "", "authserver", "user", "set", "ada", "--add-group", "admins", "--database-url", s.database)
	if again.code != 0 || !strings.Contains(again.stderr, "has a second factor already") {
		t.Errorf("the command says nothing of the second factor: %+v", again)
	}
	s.checkActive(t, auditor, "the token of an administrator", granted.access, true)
	revocation := a.tokenForm(url.Values{"token": {granted.access}}, nil)
	revocation.path = "/revoke"
	send(t, s.authURL, revocation).says(t, "revocation", http.StatusOK, "")
	s.checkActive(t, auditor, "a revoked token", granted.access, false)
	s.call(t, http.MethodGet, "/users", granted.access, "").says(t, "a revoked token", http.StatusUnauthorized,
		"invalid_token")
}

// A service that must use DPoP (RFC 9449) calls the admin API with a fresh proof of its key each time.
func TestAdminAPIWithDPoP(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.startAuthserver(t, "--admin-console")
	robot, p, thief := s.robot(t, "--dpop"), newProver(t), newProver(t)
	ask := s.tokenRequest(robot)
	send(t, s.authURL, ask).checkRefused(t, http.StatusBadRequest, "invalid_request")
	nonce := send(t, s.authURL, p.prove(ask, s.authURL+"/token", "", "")).header.Get(dpop.NonceHeader)
	access := send(t, s.authURL, p.prove(ask, s.authURL+"/token", "", nonce)).text(t, "access_token")

	users := s.authURL + adminPath + "/users"
	call := get(adminPath+"/users", "DPoP "+access)
	asked := send(t, s.authURL, p.prove(call, users, access, ""))
	asked.says(t, "no nonce", http.StatusUnauthorized, "use_dpop_nonce")
	nonce = asked.header.Get(dpop.NonceHeader)
	proved := p.prove(call, users, access, nonce)
	send(t, s.authURL, proved).says(t, "a proof", http.StatusOK, `"items":`)
	changing := p.prove(call, users, access, nonce)
	changing.method, changing.body = http.MethodPost, `{"username":"mallory","password":"`+officerPassword+`"}`
	two := p.prove(call, users, access, nonce)
	two.header.Add(dpop.Header, proved.header.Get(dpop.Header))
	for what, r := range map[string]request{
		"no proof":                  call,
		"as a bearer token":         get(adminPath+"/users", "Bearer "+access),
		"as a bearer, with a proof": p.prove(get(adminPath+"/users", "Bearer "+access), users, access, nonce),
		"the proof again":           proved,
		"two proofs":                two,
		"another key":               thief.prove(call, users, access, nonce),
		"another URL":               p.prove(call, s.authURL+adminPath+"/clients", access, nonce),
		"another host":              p.prove(call, s.apiURL+adminPath+"/users", access, nonce),
		"another method":            changing,
		"no hash of the token":      p.prove(call, users, "", nonce),
		"no token":                  p.prove(request{path: call.path, header: http.Header{}}, users, access, nonce),
	} {
		got := send(t, s.authURL, r)
		if got.status != http.StatusUnauthorized || got.header.Get("WWW-Authenticate") == "" {
			t.Errorf("%s: %d %q %s", what, got.status, got.header["Www-Authenticate"], got.body)
		}
	}
	if got := command(t, "", "authserver", "user", "show", "mallory", "--database-url", s.database); got.code != 3 {
		t.Errorf("mallory was added: %s", got.stdout)
	}
}

// An app that must push its requests (RFC 9126) gets a token of the admin API by what it has pushed alone.
func TestAdminAppMustPush(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.startAuthserver(t, "--admin-console")
	ada := s.newOfficer(t, "ada")
	a := s.adminApp(t, "--require-par")
	query := a.query("scope", adminScope, "resource", s.authURL+adminPath)
	refused := ada.visit(s.authURL+"/authorize?"+query, a.redirectURI, "allow")
	if !strings.Contains(refused, "error=invalid_request") {
		t.Errorf("a request that was not pushed: %s", refused)
	}
	push := rawForm(query)
	push.path = "/par"
	pushed := send(t, s.authURL, push)
	pushed.says(t, "a pushed request", http.StatusCreated, "request_uri")
	opened := a.query("request_uri", pushed.text(t, "request_uri"), "response_type", "-", "scope", "profile")
	to, err := url.Parse(ada.visit(s.authURL+"/authorize?"+opened, a.redirectURI, "allow"))
	if err != nil {
		t.Fatal(err)
	}
	granted := send(t, s.authURL, a.redemption(to.Query().Get("code"))).tokens(t)
	s.call(t, http.MethodGet, "/users", granted.access, "").says(t, "the token", http.StatusOK, "ada")
	again := ada.opens("/authorize?" + opened)
	again.shows(t, http.StatusBadRequest, "This link no longer works")
}
