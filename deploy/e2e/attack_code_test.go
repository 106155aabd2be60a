package e2e_test

import (
	"net/http"
	"strings"
	"testing"
)

// Only the app that a code was issued to can redeem it, with the matching verifier and
// redirect URI (RFC 6749 section 4.1.3, RFC 7636 section 4.6). A refused request does not
// use the code up: an attacker who guesses must not prevent the app's login.
func TestAttackCodeInWrongHands(t *testing.T) {
	t.Parallel()
	s := startDemo(t)
	a := s.register(t, "app", "https://app.example/callback", "--public", "--first-party")
	other := s.register(t, "other", "https://app.example/callback", "--public", "--first-party")
	confidential := s.register(t, "confidential", "https://app.example/callback", "--first-party")
	john := s.visit(t, a)
	other43 := strings.Repeat("x", 43) // another verifier, of the least length
	for _, row := range []struct {
		name   string
		by     app
		change []string
		status int
		code   string
	}{
		{"no verifier: PKCE downgrade", a, []string{"code_verifier", "-"}, 400, "invalid_request"},
		{"empty verifier", a, []string{"code_verifier", ""}, 400, "invalid_request"},
		{"another verifier: code injection", a, []string{"code_verifier", other43}, 400, "invalid_grant"},
		{"the challenge as verifier: method plain", a, []string{"code_verifier", challenge}, 400, "invalid_grant"},
		{"verifier in another letter case", a, []string{"code_verifier", strings.ToUpper(verifier)}, 400, "invalid_grant"},
		{"verifier too short", a, []string{"code_verifier", verifier[:42]}, 400, "invalid_request"},
		{"verifier too long", a, []string{"code_verifier", strings.Repeat("x", 129)}, 400, "invalid_request"},
		{"verifier with one more character", a, []string{"code_verifier", verifier + "+"}, 400, "invalid_grant"},
		{"verifier with a line break", a, []string{"code_verifier", verifier + "\n"}, 400, "invalid_request"},
		{"another redirect URI", a, []string{"redirect_uri", "https://evil.example/callback"}, 400, "invalid_grant"},
		{"redirect URI with a slash added", a, []string{"redirect_uri", a.redirectURI + "/"}, 400, "invalid_grant"},
		{"another client", other, nil, 400, "invalid_grant"},
		{"another client, no redirect URI", other, []string{"redirect_uri", "-"}, 400, "invalid_grant"},
		{"no redirect URI, no verifier", a, []string{"redirect_uri", "-", "code_verifier", "-"}, 400, "invalid_request"},
		{"no redirect URI, another verifier", a, []string{"redirect_uri", "-", "code_verifier", other43}, 400, "invalid_grant"},
		{"another client, with its secret", confidential, nil, 400, "invalid_grant"},
		{"a client without the authorization code grant", a, []string{"client_id", "demo"}, 400, "unauthorized_client"},
		{"an unknown client", a, []string{"client_id", "nobody"}, 401, "invalid_client"},
		{"no code", a, []string{"code", "-"}, 400, "invalid_request"},
		{"another code", a, []string{"code", "hpc_" + strings.Repeat("A", 43)}, 400, "invalid_grant"},
		{"code with a NUL", a, []string{"code", "hpc_\x00"}, 400, "invalid_request"},
		{"code in a refresh request", a, []string{"grant_type", "refresh_token", "refresh_token", "x"}, 400, "invalid_grant"},
	} {
		t.Run(row.name, func(t *testing.T) {
			code := john.code(a)
			send(t, s.authURL, row.by.redemption(code, row.change...)).checkRefused(t, row.status, row.code)
			send(t, s.authURL, a.redemption(code)).tokens(t)
		})
	}
	for _, row := range []struct{ name, more, code string }{
		{"two verifiers", "&code_verifier=" + verifier, "invalid_request"},
		{"two codes", "&code=hpc_x", "invalid_request"},
		{"two redirect URIs", "&redirect_uri=https%3A%2F%2Fapp.example%2Fcallback", "invalid_request"},
	} {
		t.Run(row.name, func(t *testing.T) {
			r := a.redemption(john.code(a))
			r.body += row.more
			send(t, s.authURL, r).checkRefused(t, http.StatusBadRequest, row.code)
		})
	}
	t.Run("the redirect URI may be omitted, as in OAuth 2.1", func(t *testing.T) {
		send(t, s.authURL, a.redemption(john.code(a), "redirect_uri", "-")).tokens(t)
		send(t, s.authURL, a.redemption(john.code(a), "redirect_uri", "")).tokens(t)
	})
	t.Run("the code of a confidential client, without its secret", func(t *testing.T) {
		code := john.code(confidential)
		for _, secret := range []string{"-", "hps_wrong"} {
			got := send(t, s.authURL, confidential.redemption(code, "client_secret", secret))
			got.checkRefused(t, http.StatusUnauthorized, "invalid_client")
		}
		send(t, s.authURL, confidential.redemption(code)).tokens(t)
	})
	t.Run("a scope at redemption does not widen the consent", func(t *testing.T) {
		code := john.code(a, "scope", "profile")
		got := send(t, s.authURL, a.redemption(code, "scope", appScope))
		if got.status == http.StatusOK && got.text(t, "scope") != "profile" {
			t.Errorf("got %s, want the scope profile", got.body)
		}
	})
}

// Using a code a second time revokes the tokens of the first use and logs a warning (OAuth
// 2.1 section 4.1.3).
func TestAttackCodeUsedTwice(t *testing.T) {
	t.Parallel()
	s := startDemo(t)
	a := s.register(t, "app", "https://app.example/callback", "--introspects", "--first-party")
	watcher := a // refresh tokens are shown to their own client only (RFC 7662 section 4)
	code := s.visit(t, a).code(a)
	got := send(t, s.authURL, a.redemption(code)).tokens(t)
	s.checkActive(t, watcher, "the access token", got.access, true)
	send(t, s.authURL, a.redemption(code)).checkRefused(t, http.StatusBadRequest, "invalid_grant")
	s.checkActive(t, watcher, "the access token", got.access, false)
	s.checkActive(t, watcher, "the refresh token", got.refresh, false)
	send(t, s.authURL, a.refreshing(got.refresh)).checkRefused(t, http.StatusBadRequest, "invalid_grant")
	s.checkLog(t, "event=code_reuse", 1)
}

// checkLog checks how many warnings of the authorization server contain this text.
func (s *system) checkLog(t *testing.T, text string, want int) {
	t.Helper()
	got := 0
	for line := range strings.Lines(s.authserver.output.String()) {
		if strings.Contains(line, "level=WARN") && strings.Contains(line, text) {
			got++
		}
	}
	if got != want {
		t.Errorf("the log has %d warnings with %q, want %d", got, text, want)
	}
}

// Ending a user's sessions ends the codes that were issued in them. Keeping a code for later
// does not get around that (RFC 9700 section 4.14.2).
func TestAttackCodeKeptBack(t *testing.T) {
	t.Parallel()
	s := startDemo(t)
	a := s.register(t, "app", "https://app.example/callback", "--public", "--first-party")
	third := s.register(t, "third", "https://third.example/callback", "--public")
	for name, end := range map[string]func(v *visitor){
		"logout":         func(v *visitor) { v.post("/logout").location(t) },
		"logout of apps": func(v *visitor) { v.post("/logout", "apps", "end").location(t) },
		"password change": func(*visitor) {
			s.admin(t, demoPassword, "user", "set-password", "john.doe", "--bcrypt-cost", "10",
				"--password-min-length", "8")
		},
		"disabling": func(*visitor) {
			s.admin(t, "", "user", "disable", "john.doe")
			s.admin(t, "", "user", "enable", "john.doe")
		},
	} {
		t.Run(name, func(t *testing.T) {
			v := s.visit(t, a)
			code := v.code(third)
			end(v)
			send(t, s.authURL, third.redemption(code)).checkRefused(t, http.StatusBadRequest, "invalid_grant")
		})
	}
	t.Run("a second login in the same browser does not end them", func(t *testing.T) {
		v := s.visit(t, a)
		code := v.code(a)
		v.login(a.query()).location(t)
		got := send(t, s.authURL, a.redemption(code)).tokens(t)
		v.post("/logout", "apps", "end").location(t)
		send(t, s.authURL, a.refreshing(got.refresh)).checkRefused(t, http.StatusBadRequest, "invalid_grant")
	})
}
