package adminapi_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/adminapi"
	"github.com/hallpass-auth/hallpass/authserver/internal/client"
	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
	"github.com/hallpass-auth/hallpass/authserver/internal/server"
)

// Who is let in, and what the others are told (RFC 6750 section 3.1, RFC 9470 section 3). Each case has an
// administrator's token, and changes something.
func TestGate(t *testing.T) {
	change := func(h *host, username string, f func(account.User) account.User) {
		_, err := h.data.UpdateUser(t.Context(), username, h.now, func(u account.User) (account.User, error) {
			return f(u), nil
		})
		h.must(err)
	}
	for _, tt := range []struct {
		name   string
		token  func(*host) string
		status int
		says   string
	}{
		{"an administrator", func(h *host) string { return h.token(ada) }, 200, ada},
		{"a service", func(h *host) string { return h.robotToken() }, 200, ada},
		{"no token", func(*host) string { return "" }, 401, `realm="` + audience + `", scope="hallpass:admin"`},
		{"no access token", func(*host) string { return "x" }, 401, `error="invalid_token"`},
		{"a token for another API", func(h *host) string {
			_, body := h.redeem(login{ada, app, oauth.Scope{"profile"}, api, twoFactors})
			return body["access_token"].(string)
		}, 401, `error="invalid_token"`},
		{"a token without the scope", func(h *host) string {
			_, body := h.redeem(login{ada, app, oauth.Scope{"hallpass:admin", "openid"}, audience, twoFactors})
			_, body = h.tokenRequest(app, url.Values{
				"grant_type": {"refresh_token"}, "refresh_token": {body["refresh_token"].(string)}, "scope": {"openid"},
			})
			return body["access_token"].(string)
		}, 403, `error="insufficient_scope"`},
		{"a user who has left the group", func(h *host) string {
			defer change(h, ada, func(u account.User) account.User { u.Groups = nil; return u })
			return h.token(ada)
		}, 403, "Only users in the group admins"},
		{"a disabled user", func(h *host) string {
			defer func() { h.must(h.data.DisableUser(t.Context(), ada, h.now)) }()
			return h.token(ada)
		}, 401, `error="invalid_token"`},
		{"a deleted user", func(h *host) string {
			defer func() { h.must(h.data.DeleteUser(t.Context(), ada, h.now)) }()
			return h.token(ada)
		}, 401, `error="invalid_token"`},
		{"a revoked grant", func(h *host) string {
			defer func() { h.must(h.data.LogOut(t.Context(), ada, "", h.now)) }()
			return h.token(ada)
		}, 401, `error="invalid_token"`},
		{"one factor", func(h *host) string {
			_, body := h.redeem(login{ada, app, oauth.Scope{"hallpass:admin"}, audience, []string{grant.MethodPassword}})
			return body["access_token"].(string)
		}, 401, `error="insufficient_user_authentication"`},
		{"an old login", func(h *host) string {
			defer h.wait(adminapi.MaxLoginAge + time.Second)
			return h.token(ada)
		}, 401, `acr_values="2", max_age="900"`},
		{"a login that is just new enough", func(h *host) string {
			defer h.wait(adminapi.MaxLoginAge - time.Minute)
			return h.token(ada)
		}, 200, ada},
		{"a service that may no longer", func(h *host) string {
			token := h.robotToken()
			_, err := h.data.UpdateClient(t.Context(), robot, h.now, func(c client.Client) (client.Client, error) {
				c.Admin = false
				return c, nil
			})
			h.must(err)
			h.wait(time.Minute) // the client is read again
			return token
		}, 403, "services that were allowed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := start(t)
			got := h.call(http.MethodGet, "/users", tt.token(h), "")
			got.expect(t, tt.name, tt.status, tt.says)
			if got.Header.Get("Cache-Control") != "no-store" {
				t.Errorf("Cache-Control %q", got.Header.Get("Cache-Control"))
			}
		})
	}
}

// With --admin-without-second-factor, a recent login is enough.
func TestGateWithoutSecondFactor(t *testing.T) {
	h := start(t, func(s *server.Settings) { s.Admin.AdminWithoutSecondFactor = true })
	_, body := h.redeem(login{ada, app, oauth.Scope{"hallpass:admin"}, audience, []string{grant.MethodPassword}})
	token := body["access_token"].(string)
	h.call(http.MethodGet, "/users", token, "").expect(t, "one factor", 200, ada)
	h.wait(time.Hour / 3)
	h.call(http.MethodGet, "/users", token, "").expect(t, "an old login", 401, `max_age="900"`)
}

// Addresses outside of the networks find nothing, and neither does anybody at a server without administration.
func TestNetworks(t *testing.T) {
	for name, change := range map[string]func(*server.Settings){
		"another network": func(s *server.Settings) { s.Admin.AdminNetworks = []string{"192.0.2.0/24", "2001:db8::/32"} },
		"off":             func(s *server.Settings) { s.Admin = server.Administration{} },
	} {
		h := start(t, change)
		for _, path := range []string{"/users", "/docs", "/openapi.json", "/nowhere"} {
			if got := h.call(http.MethodGet, path, "x", ""); got.StatusCode != http.StatusNotFound {
				t.Errorf("%s: %s: %d", name, path, got.StatusCode)
			}
		}
	}
	h := start(t, func(s *server.Settings) { s.Admin.AdminNetworks = []string{"127.0.0.0/8", "::1/128"} })
	h.call(http.MethodGet, "/users", h.robotToken(), "").expect(t, "this network", 200, ada)
}

// Who gets no token of the admin API at the token endpoint (RFC 8707 section 2).
func TestTokensThatAreNotIssued(t *testing.T) {
	h := start(t, func(s *server.Settings) { s.DefaultClient = "" })
	expect := func(what string, status int, body map[string]any, code, says string) {
		t.Helper()
		description, _ := body["error_description"].(string)
		if status != http.StatusBadRequest || body["error"] != code || !strings.Contains(description, says) {
			t.Errorf("%s: %d %v, want %s that says %q", what, status, body, code, says)
		}
	}
	status, body := h.tokenRequest("plain-robot", url.Values{"grant_type": {"client_credentials"}, "resource": {audience}})
	expect("a service without --admin", status, body, "invalid_target", "--admin")
	status, body = h.tokenRequest(app, url.Values{
		"grant_type": {"password"}, "username": {ada}, "password": {password}, "resource": {audience},
	})
	expect("the password grant", status, body, "invalid_target", "grant type")
	status, body = h.redeem(login{"carl", app, oauth.Scope{"hallpass:admin"}, audience, twoFactors})
	expect("a user outside of the group", status, body, "invalid_grant", "admins")
	status, body = h.tokenRequest(app, url.Values{
		"grant_type": {"password"}, "username": {ada}, "password": {password}, "scope": {"hallpass:admin"},
	})
	expect("the scope at another API", status, body, "invalid_scope", "hallpass:admin")

	_, body = h.tokenRequest("plain-robot", url.Values{"grant_type": {"client_credentials"}})
	if body["scope"] != "profile" {
		t.Errorf("a token for another API has the scope %v", body["scope"])
	}

	_, body = h.redeem(login{ada, app, oauth.Scope{"hallpass:admin"}, audience, twoFactors})
	refresh := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {body["refresh_token"].(string)}}
	_, err := h.data.UpdateUser(t.Context(), ada, h.now, func(u account.User) (account.User, error) {
		u.Groups = nil
		return u, nil
	})
	h.must(err)
	status, body = h.tokenRequest(app, refresh)
	expect("a refresh after leaving the group", status, body, "invalid_grant", "admins")
}
