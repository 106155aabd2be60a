package e2e_test

import (
	"encoding/base64"
	"net/http"
	"strings"
	"testing"
)

// Only its own client can use a refresh token (RFC 6749 section 6, OAuth 2.1 section 4.3). A
// refused request does not use it up.
func TestAttackRefreshTokenInWrongHands(t *testing.T) {
	t.Parallel()
	s := startDemo(t)
	a := s.register(t, "app", "https://app.example/callback", "--public", "--first-party")
	other := s.register(t, "other", "https://other.example/callback", "--public", "--first-party")
	confidential := s.register(t, "confidential", "https://app.example/callback", "--first-party")
	own, secret := s.loginTo(t, a), s.loginTo(t, confidential)
	raw, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(own.refresh, "hpr_"))
	if err != nil {
		t.Fatal(err)
	}
	const invalid = "invalid_client"
	altered := func(change func([]byte)) string {
		bytes := append([]byte{}, raw...)
		change(bytes)
		return "hpr_" + base64.RawURLEncoding.EncodeToString(bytes)
	}
	for _, row := range []struct {
		name   string
		send   request
		status int
		code   string
	}{
		{"another client", other.refreshing(own.refresh), 400, "invalid_grant"},
		{"another client, with its secret", confidential.refreshing(own.refresh), 400, "invalid_grant"},
		{"confidential client, no secret", confidential.refreshing(secret.refresh, "client_secret", "-"), 401, invalid},
		{"confidential client, wrong secret", confidential.refreshing(secret.refresh, "client_secret", "hps_x"), 401, invalid},
		{"token of a confidential client, sent by a public one", a.refreshing(secret.refresh), 400, "invalid_grant"},
		{"an access token", a.refreshing(own.access), 400, "invalid_grant"},
		{"nothing", a.refreshing(""), 400, "invalid_request"},
		{"NUL", a.refreshing(own.refresh + "\x00"), 400, "invalid_request"},
		{"a letter added", a.refreshing(own.refresh + "A"), 400, "invalid_grant"},
		{"a line break added", a.refreshing(own.refresh + "\n"), 400, "invalid_grant"},
		{"the number of another grant", a.refreshing(altered(func(b []byte) { b[7] += 5 })), 400, "invalid_grant"},
		{"a number that no grant has", a.refreshing(altered(func(b []byte) { b[0] = 0x7f })), 400, "invalid_grant"},
		{"a negative number", a.refreshing(altered(func(b []byte) { b[0] = 0xff })), 400, "invalid_grant"},
		{"right number, made-up family", a.refreshing(altered(func(b []byte) { b[8] ^= 1 })), 400, "invalid_grant"},
	} {
		t.Run(row.name, func(t *testing.T) {
			send(t, s.authURL, row.send).checkRefused(t, row.status, row.code)
		})
	}
	t.Run("all still work for their own clients", func(t *testing.T) {
		send(t, s.authURL, a.refreshing(own.refresh)).tokens(t)
		send(t, s.authURL, confidential.refreshing(secret.refresh)).tokens(t)
	})
}

// Refreshing never widens the scope, and a narrower scope is for one access token (RFC 6749
// section 6).
func TestAttackRefreshScope(t *testing.T) {
	t.Parallel()
	s := startDemo(t)
	a := s.register(t, "app", "https://app.example/callback", "--public", "--first-party")
	got := send(t, s.authURL, a.redemption(s.visit(t, a).code(a, "scope", "profile"))).tokens(t)
	for _, scope := range []string{"profile items:read", "items:read", "profile admin", "*", "PROFILE", `"`} {
		t.Run("never wider: "+scope, func(t *testing.T) {
			send(t, s.authURL, a.refreshing(got.refresh, "scope", scope)).checkRefused(t, http.StatusBadRequest, "invalid_scope")
		})
	}
	t.Run("a narrower scope is for one access token", func(t *testing.T) {
		wide := s.loginTo(t, a)
		narrow := send(t, s.authURL, a.refreshing(wide.refresh, "scope", "profile"))
		if scope := narrow.text(t, "scope"); scope != "profile" {
			t.Errorf("got the scope %q, want profile", scope)
		}
		again := send(t, s.authURL, a.refreshing(narrow.tokens(t).refresh))
		if scope := again.text(t, "scope"); scope != appScope {
			t.Errorf("after that, got the scope %q, want %q again", scope, appScope)
		}
		back := send(t, s.authURL, a.refreshing(again.tokens(t).refresh, "scope", "items:read"))
		if scope := back.text(t, "scope"); scope != "items:read" {
			t.Errorf("then, got the scope %q, want items:read", scope)
		}
	})
	t.Run("the default is the scope of the consent, not of the client", func(t *testing.T) {
		again := send(t, s.authURL, a.refreshing(got.refresh))
		if scope := again.text(t, "scope"); scope != "profile" {
			t.Errorf("got the scope %q, want profile", scope)
		}
	})
}

// Using a replaced refresh token after the grace period revokes the grant and logs a warning:
// two parties have the token (OAuth 2.1 section 4.3.1).
func TestAttackRefreshTokenReused(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.startAuthserver(t, "--demo", "--refresh-grace", "0s")
	a := s.register(t, "app", "https://app.example/callback", "--introspects", "--first-party")
	watcher := a // refresh tokens are shown to their own client only (RFC 7662 section 4)
	other := s.loginTo(t, a)
	first := s.loginTo(t, a)
	second := send(t, s.authURL, a.refreshing(first.refresh)).tokens(t)
	if second.refresh == first.refresh {
		t.Fatal("the refresh token was not replaced") // RFC 9700 section 4.14.2
	}
	s.checkActive(t, watcher, "the new refresh token", second.refresh, true)
	s.checkActive(t, watcher, "the replaced refresh token", first.refresh, false)
	s.checkLog(t, "event=refresh_token_reuse", 0)

	send(t, s.authURL, a.refreshing(first.refresh)).checkRefused(t, http.StatusBadRequest, "invalid_grant")
	for what, token := range map[string]string{
		"the first access token": first.access, "the second access token": second.access,
		"the first refresh token": first.refresh, "the second refresh token": second.refresh,
	} {
		s.checkActive(t, watcher, what, token, false)
	}
	send(t, s.authURL, a.refreshing(second.refresh)).checkRefused(t, http.StatusBadRequest, "invalid_grant")
	send(t, s.authURL, a.refreshing(first.refresh)).checkRefused(t, http.StatusBadRequest, "invalid_grant")
	s.checkLog(t, "event=refresh_token_reuse", 1) // once for each grant
	send(t, s.authURL, a.refreshing(other.refresh)).tokens(t)
	checkNoSecrets(t, s.authserver)
	for _, secret := range []string{first.refresh, second.refresh} {
		if strings.Contains(s.authserver.output.String(), secret) {
			t.Error("the log has a refresh token")
		}
	}
}

// Ending a login revokes its tokens at once (RFC 9700 section 4.14.2).
func TestAttackRefreshTokenOutlivesLogin(t *testing.T) {
	t.Parallel()
	s := startDemo(t)
	watcher := s.watcher(t)
	a := s.register(t, "app", "https://app.example/callback", "--introspects", "--first-party")
	gone := s.register(t, "gone", "https://gone.example/callback", "--introspects", "--first-party")
	jane := &visitor{t: t, base: s.authURL}
	jane.post("/login", "username", "jane.smith", "password", "anothersecurepass", "continue", a.query()).location(t)
	janes := send(t, s.authURL, a.redemption(jane.code(a))).tokens(t)
	for _, row := range []struct {
		name string
		of   app
		end  func(v *visitor)
	}{
		{"logout of the browser and its apps", a, func(v *visitor) { v.post("/logout", "apps", "end").location(t) }},
		{"password change", a, func(*visitor) {
			s.admin(t, demoPassword, "user", "set-password", "john.doe", "--bcrypt-cost", "10",
				"--password-min-length", "8")
		}},
		{"deleting the client", gone, func(*visitor) { s.admin(t, "", "client", "delete", "gone") }},
		{"disabling", a, func(*visitor) {
			s.admin(t, "", "user", "disable", "john.doe")
			s.admin(t, "", "user", "enable", "john.doe") // does not restore the tokens
		}},
		{"deleting", a, func(*visitor) { s.admin(t, "", "user", "delete", "john.doe") }},
	} {
		t.Run(row.name, func(t *testing.T) {
			v := s.visit(t, row.of)
			got := send(t, s.authURL, row.of.redemption(v.code(row.of))).tokens(t)
			s.checkActive(t, row.of, "the refresh token", got.refresh, true)
			row.end(v)
			if row.of.id != gone.id { // which is not there to ask
				s.checkActive(t, row.of, "the refresh token", got.refresh, false)
			}
			s.checkActive(t, watcher, "the access token", got.access, false)
			refused := send(t, s.authURL, row.of.refreshing(got.refresh))
			if refused.status/100 != 4 {
				t.Errorf("got %d %s, want a refusal", refused.status, refused.body)
			}
		})
	}
	t.Run("logout of the browser alone does not log out of the apps", func(t *testing.T) {
		jane.post("/logout").location(t)
		jane.authorize(a).checkPage(t, http.StatusOK, "Log in")
		send(t, s.authURL, a.refreshing(janes.refresh)).tokens(t)
	})
}
