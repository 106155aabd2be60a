package adminapi_test

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hallpass-auth/hallpass/shared/keyring"
	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/adminapi"
	"github.com/hallpass-auth/hallpass/authserver/internal/audit"
	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
	"github.com/hallpass-auth/hallpass/authserver/internal/server"
	"github.com/hallpass-auth/hallpass/authserver/internal/webhook"
)

// audited is a call of an operation that changes something, and the event that it must leave.
type audited struct {
	operation, path, body string
	event, subject        string // the subject is not compared if it is empty
}

// auditedCalls has a call for each operation that changes something, in an order in which all succeed.
func auditedCalls(carl, session, grantNumber, hook, dead string) []audited {
	const oneUser, oneClient, oneAPI = "/users/{username}", "/clients/{id}", "/apis/{audience}"
	const newAPI = "/apis/https:%2F%2Fnew.example"
	return []audited{
		{"POST /users", "/users", `{"username":"new","password":"` + password + `"}`, "user_added", ""},
		{"PATCH " + oneUser, "/users/carl", `{"email":"carl@example.com","email_verified":true}`, "user_changed", carl},
		{"POST " + oneUser + "/password", "/users/carl/password", `{}`, "user_password_link_requested", carl},
		{"PATCH " + oneUser, "/users/carl", `{"email":"c@example.com","verify_email":true}`,
			"user_email_link_requested", carl},
		{"DELETE " + oneUser + "/grants/{number}", "/users/carl/grants/" + grantNumber, "", "user_login_ended", carl},
		{"DELETE " + oneUser + "/sessions/{id}", "/users/carl/sessions/" + session, "", "user_session_ended", carl},
		{"DELETE " + oneUser + "/consents/{client_id}", "/users/carl/consents/plain-app", "", "consent_revoked", carl},
		{"POST " + oneUser + "/logout", "/users/carl/logout", "", "user_logged_out", carl},
		{"POST " + oneUser + "/unlock", "/users/carl/unlock", "", "user_unlocked", carl},
		{"POST " + oneUser + "/password", "/users/carl/password", `{"password":"` + password + ` 2"}`,
			"user_password_set", carl},
		{"DELETE " + oneUser + "/second-factors", "/users/carl/second-factors", "", "user_second_factors_removed", carl},
		{"POST " + oneUser + "/disable", "/users/carl/disable", "", "user_disabled", carl},
		{"POST " + oneUser + "/enable", "/users/carl/enable", "", "user_enabled", carl},
		{"DELETE " + oneUser, "/users/carl", "", "user_deleted", carl},

		{"POST /clients", "/clients", `{"id":"new","name":"New","grant_types":["client_credentials"],"scope":"profile"}`,
			"client_added", "new"},
		{"PATCH " + oneClient, "/clients/new", `{"name":"Newer"}`, "client_changed", "new"},
		{"POST " + oneClient + "/secret", "/clients/new/secret", `{}`, "client_secret_set", "new"},
		{"POST " + oneClient + "/secret", "/clients/new/secret", `{"keep_old_seconds":3600}`, "client_secret_added", "new"},
		{"DELETE " + oneClient + "/old-secret", "/clients/new/old-secret", "", "client_old_secret_ended", "new"},
		{"POST " + oneClient + "/secret", "/clients/new/secret", `{"revoke":true}`, "client_secret_replaced", "new"},
		{"DELETE " + oneClient, "/clients/new", "", "client_deleted", "new"},

		{"POST /apis", "/apis", `{"audience":"https://new.example","name":"New","scope":"new"}`,
			"api_added", "https://new.example"},
		{"PATCH " + oneAPI, newAPI, `{"name":"Newer"}`, "api_changed", "https://new.example"},
		{"DELETE " + oneAPI, newAPI, "", "api_deleted", "https://new.example"},
		{"PUT /scopes/{scope}", "/scopes/new", `{"description":"Do new things"}`, "scope_described", "new"},
		{"DELETE /scopes/{scope}", "/scopes/new", "", "scope_forgotten", "new"},

		{"POST /keys/rotate", "/keys/rotate", `{}`, "key_rotated", ""},
		{"POST /invitations", "/invitations", `{"email":"new@example.com"}`, "invitation_made", ""},
		{"DELETE /invitations/{email}", "/invitations/new@example.com", "", "invitation_withdrawn", ""},

		{"POST /webhooks", "/webhooks", `{"url":"` + hookURL + `"}`, "webhook_added", ""},
		{"POST /webhooks/{id}/retry", "/webhooks/" + hook + "/retry?record=" + dead, "", "webhook_retried", hook},
		{"DELETE /webhooks/{id}", "/webhooks/" + hook, "", "webhook_deleted", hook},
	}
}

// hookURL is the address of a webhook that nothing is sent to.
const hookURL = "http://127.0.0.1:9/hook"

// Each operation that changes something leaves a record of who has done what, to whom and from where. operations are
// those of the OpenAPI document: a new one needs a call here.
func TestEveryOperationIsAudited(t *testing.T) {
	keys := filepath.Join(t.TempDir(), "keys.json")
	h := start(t, func(s *server.Settings) {
		s.Mail.SMTPURL, s.Mail.MailFrom = "smtp://127.0.0.1:9", "login@login.example"
		s.InsecureFetchFrom, s.SignUp.Signup = "127.0.0.1:9", "invitation"
		s.Keys.KeysFile, s.Database.DatabaseURL = keys, "sqlite:here.db"
	})
	set, err := keyring.Generate(keyring.EdDSA, h.clock(), rand.Reader)
	h.must(err)
	h.must(os.WriteFile(keys, set, 0o600))
	carl, session, number := h.carlLogsIn()
	hook, dead := h.deadDelivery()
	token := h.robotToken()
	calls := auditedCalls(carl, session, number, hook, dead)

	called := h.changingOperations()
	for _, c := range calls {
		method, _, _ := strings.Cut(c.operation, " ")
		if _, ok := called[c.operation]; !ok {
			t.Errorf("there is no operation %s", c.operation)
		}
		called[c.operation] = true
		before := h.recordIDs()
		got := h.call(method, c.path, token, c.body)
		if got.StatusCode >= http.StatusBadRequest {
			t.Errorf("%s: %d %s", c.operation, got.StatusCode, got.body)
			continue
		}
		found := h.records(audit.Filter{Event: c.event}, before)
		if len(found) == 0 {
			t.Errorf("%s leaves no record %s; since then: %v", c.operation, c.event, h.records(audit.Filter{}, before))
			continue
		}
		r := found[0]
		want := audit.Actor{Kind: audit.Client, ID: robot, ClientID: robot, Address: "127.0.0.1"}
		if c.event == "consent_revoked" {
			want.ClientID = "plain-app" // that it was about
		}
		if r.Actor != want || c.subject != "" && r.Subject.ID != c.subject {
			t.Errorf("%s: by %+v on %+v, want %+v on %q", c.operation, r.Actor, r.Subject, want, c.subject)
		}
	}
	for operation, ok := range called {
		if !ok {
			t.Errorf("%s changes something: add a call of it, and the event that it leaves", operation)
		}
	}
}

// A user who administers is recorded by name.
func TestAdministratorIsAudited(t *testing.T) {
	h := start(t)
	before := h.recordIDs()
	token := h.token(ada)
	h.call(http.MethodPost, "/users/carl/disable", token, "").expect(t, "disable", http.StatusNoContent, "")
	found := h.records(audit.Filter{Event: "user_disabled"}, before)
	if len(found) != 1 || found[0].Actor.Kind != audit.User || found[0].Actor.Name != ada ||
		found[0].Actor.ClientID != app || found[0].Subject.Name != "carl" {
		t.Errorf("got %+v", found)
	}
}

// The audit log says when somebody becomes an administrator, and when no longer, also after the user or client is gone.
func TestRightsAreAudited(t *testing.T) {
	h := start(t)
	token := h.robotToken()
	for _, step := range []struct{ method, path, body, event, rights string }{
		{"POST", "/users", `{"username":"dora","groups":["admins"],"password":"` + password + `"}`, "user_added", "given"},
		{"PATCH", "/users/dora", `{"add_groups":["staff"]}`, "user_changed", ""},
		{"PATCH", "/users/dora", `{"remove_groups":["admins"]}`, "user_changed", "taken"},
		{"PATCH", "/users/carl", `{"groups":["admins"]}`, "user_changed", "given"},
		{"POST", "/clients", `{"id":"new","grant_types":["client_credentials"],"scope":"hallpass:admin","admin":true}`,
			"client_added", "given"},
		{"PATCH", "/clients/new", `{"admin":false}`, "client_changed", "taken"},
		{"PATCH", "/clients/new", `{"name":"Newer"}`, "client_changed", ""},
		{"PATCH", "/clients/new", `{"admin":true}`, "client_changed", "given"},
		{"DELETE", "/clients/new", "", "client_deleted", "taken"},
		{"DELETE", "/clients/plain-robot", "", "client_deleted", ""},
		{"DELETE", "/users/carl", "", "user_deleted", "taken"},
		{"DELETE", "/users/dora", "", "user_deleted", ""},
	} {
		before := h.recordIDs()
		if got := h.call(step.method, step.path, token, step.body); got.StatusCode >= http.StatusBadRequest {
			t.Fatalf("%s %s: %d %s", step.method, step.path, got.StatusCode, got.body)
		}
		found := h.records(audit.Filter{Event: step.event}, before)
		if len(found) != 1 || found[0].Details["administrator"] != step.rights {
			t.Errorf("%s %s %s is recorded as %+v, want %q", step.method, step.path, step.body, found, step.rights)
		}
	}
}

// changingOperations returns the operations of the OpenAPI document that do more than read, as method and path:
// none is called yet.
func (h *host) changingOperations() map[string]bool {
	h.t.Helper()
	var doc struct {
		Paths map[string]map[string]json.RawMessage `json:"paths"`
	}
	h.must(json.Unmarshal([]byte(h.call(http.MethodGet, "/openapi.json", "", "").body), &doc))
	operations := map[string]bool{}
	for path, methods := range doc.Paths {
		for method := range methods {
			if method != "get" && method != "parameters" {
				operations[strings.ToUpper(method)+" "+strings.TrimPrefix(path, adminapi.Path)] = false
			}
		}
	}
	if len(operations) == 0 {
		h.t.Fatal("the document has no operations")
	}
	return operations
}

// carlLogsIn lets a user log in in a browser and at apps. It returns the user's id, and those of a
// session and a grant.
func (h *host) carlLogsIn() (id, session, grantNumber string) {
	h.t.Helper()
	carl, err := h.data.UserByUsername(h.t.Context(), "carl")
	h.must(err)
	for range 2 {
		status, body := h.redeem(login{"carl", "plain-app", oauth.Scope{"profile"}, api, []string{grant.MethodPassword}})
		if status != http.StatusOK {
			h.t.Fatalf("no token: %d %v", status, body)
		}
	}
	token := h.robotToken()
	var sessions struct{ Items []adminapi.Session }
	var grants struct{ Items []adminapi.Grant }
	h.must(json.Unmarshal([]byte(h.call(http.MethodGet, "/users/carl/sessions", token, "").body), &sessions))
	h.must(json.Unmarshal([]byte(h.call(http.MethodGet, "/users/carl/grants", token, "").body), &grants))
	if len(sessions.Items) != 2 || len(grants.Items) != 2 {
		h.t.Fatalf("sessions %+v, grants %+v", sessions, grants)
	}
	h.must(h.data.AddConsent(h.t.Context(), carl.ID, "plain-app", api, oauth.Scope{"profile"}, h.clock()))
	number, err := json.Marshal(grants.Items[1].Number)
	h.must(err)
	return carl.ID, sessions.Items[0].ID, string(number)
}

// deadDelivery adds a webhook with a delivery whose last attempt has failed.
func (h *host) deadDelivery() (hook, record string) {
	h.t.Helper()
	ctx, now := h.t.Context(), h.clock()
	hook = "hook"
	h.must(h.data.AddWebhook(ctx, webhook.Webhook{ID: hook, URL: hookURL, Events: []string{"test"}, CreatedAt: now}))
	h.must(h.data.Record(ctx, audit.Event{Name: "test", At: now}))
	for {
		n, err := h.data.SealAudit(ctx, 100)
		h.must(err)
		if n == 0 { // the server seals, too
			if waiting, _, err := h.data.AuditWaiting(ctx); err == nil && waiting == 0 {
				break
			}
		}
	}
	for {
		taken, err := h.data.TakeDeliveries(ctx, hook, now.Add(time.Hour), now.Add(2*time.Hour), 1)
		h.must(err)
		if len(taken) == 1 {
			taken[0].Reason = "of a test"
			h.must(h.data.PostponeDelivery(ctx, taken[0], time.Time{}, false))
			return hook, taken[0].RecordID
		}
		now = now.Add(time.Hour)
	}
}

// recordIDs returns the ids of all records.
func (h *host) recordIDs() map[string]bool {
	h.t.Helper()
	ids := map[string]bool{}
	for _, r := range h.records(audit.Filter{}, nil) {
		ids[r.ID] = true
	}
	return ids
}

// records returns the records, oldest first, but for those that were there before.
func (h *host) records(f audit.Filter, before map[string]bool) []audit.Record {
	h.t.Helper()
	records, err := h.data.AuditRecords(h.t.Context(), f, audit.Page{OldestFirst: true})
	h.must(err)
	return slices.DeleteFunc(records, func(r audit.Record) bool { return before[r.ID] })
}

// A login that is ended by the API is over: its refresh token and its session work no longer.
func TestEndedLogins(t *testing.T) {
	h := start(t)
	token := h.robotToken()
	_, body := h.redeem(login{"carl", "plain-app", oauth.Scope{"profile"}, api, []string{grant.MethodPassword}})
	refresh := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {body["refresh_token"].(string)}}
	var grants struct{ Items []adminapi.Grant }
	h.must(json.Unmarshal([]byte(h.call(http.MethodGet, "/users/carl/grants", token, "").body), &grants))
	path := fmt.Sprintf("/users/carl/grants/%d", grants.Items[0].Number)
	h.call(http.MethodDelete, path, token, "").expect(t, "end", http.StatusNoContent, "")
	if status, body := h.tokenRequest("plain-app", refresh); body["error"] != "invalid_grant" {
		t.Errorf("refresh: %d %v", status, body)
	}
	var sessions struct{ Items []adminapi.Session }
	h.must(json.Unmarshal([]byte(h.call(http.MethodGet, "/users/carl/sessions", token, "").body), &sessions))
	path = "/users/carl/sessions/" + sessions.Items[0].ID
	h.call(http.MethodDelete, path, token, "").expect(t, "end", http.StatusNoContent, "")
	h.call(http.MethodGet, "/users/carl/sessions", token, "").expect(t, "after it", http.StatusOK, `"items":[]`)
}
