package e2e_test

import (
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// expectEverywhere calls GET /users/me at every API; all must respond with the status.
func (c *cluster) expectEverywhere(t *testing.T, what, accessToken string, status int) {
	t.Helper()
	for _, m := range c.api {
		if got := send(t, "http://"+m.address+":9000", get("/users/me", "Bearer "+accessToken)); got.status != status {
			t.Errorf("%s at %s: %d %s, want %d", what, m.address, got.status, got.body, status)
		}
	}
}

// isInvalidToken reports whether the response refuses a token as invalid.
func (r response) isInvalidToken() bool {
	return r.status == http.StatusUnauthorized &&
		strings.Contains(r.header.Get("WWW-Authenticate"), `error="invalid_token"`)
}

// refusedEverywhere waits until every API refuses a token as invalid, and returns how long
// that took: about a second on an idle machine. Until then the APIs must accept it.
func (c *cluster) refusedEverywhere(t *testing.T, accessToken string) time.Duration {
	t.Helper()
	began := time.Now()
	var asking sync.WaitGroup
	for _, m := range c.api {
		asking.Go(func() {
			for {
				got, err := try(t.Context(), "http://"+m.address+":9000", get("/users/me", "Bearer "+accessToken))
				switch {
				case err == nil && got.isInvalidToken():
					return
				case err != nil || got.status != http.StatusOK:
					t.Errorf("%s: %d %s %v", m.address, got.status, got.body, err)
					return
				case time.Since(began) > timeout:
					t.Errorf("%s still accepts the token after %v", m.address, timeout)
					return
				}
				time.Sleep(5 * time.Millisecond)
			}
		})
	}
	asking.Wait()
	return time.Since(began)
}

// ending is a way to end a login. It logs in, and returns the access token and a function that
// ends the login.
type ending func(t *testing.T, c *cluster) (accessToken string, end func())

// byCommand logs a new user in. The login ends with a command for this user.
func byCommand(name, input string, args ...string) ending {
	return func(t *testing.T, c *cluster) (string, func()) {
		c.admin(t, "correct horse battery\n", "user", "add", name)
		return c.login(t, name, "correct horse battery"), func() { c.admin(t, input, append(args, name)...) }
	}
}

// byRequest logs John in to a new app. The login ends with a request that is sent to one
// authorization server, not through the proxy.
func byRequest(id string, request func(a app, code string, got tokens) request) ending {
	return func(t *testing.T, c *cluster) (string, func()) {
		a := c.register(t, id, "https://app.example/callback", "--public", "--first-party")
		code := c.visit(t, a).code(a)
		got := send(t, c.authURL, a.redemption(code)).tokens(t)
		return got.access, func() { send(t, "http://"+c.auth[0].address+":9000", request(a, code, got)) }
	}
}

func revoking(a app, token string) request {
	r := a.tokenForm(url.Values{"token": {token}}, nil)
	r.path = "/revoke"
	return r
}

var endings = map[string]ending{
	"user disable":      byCommand("ada", "", "user", "disable"),
	"user delete":       byCommand("bea", "", "user", "delete"),
	"user set-password": byCommand("cleo", "battery staple horse\n", "user", "set-password"),
	"POST /revoke of the access token": byRequest("app1", func(a app, _ string, got tokens) request {
		return revoking(a, got.access)
	}),
	"POST /revoke of the refresh token": byRequest("app2", func(a app, _ string, got tokens) request {
		return revoking(a, got.refresh)
	}),
	"a code used twice": byRequest("app3", func(a app, code string, _ tokens) request { return a.redemption(code) }),
	"a refresh token used after its successors": func(t *testing.T, c *cluster) (string, func()) {
		a := c.register(t, "app4", "https://app.example/callback", "--public", "--first-party")
		first := c.loginTo(t, a)
		last := first
		for range 70 { // more than the server remembers
			last = send(t, c.authURL, a.refreshing(last.refresh)).tokens(t)
		}
		return last.access, func() { send(t, "http://"+c.auth[1].address+":9000", a.refreshing(first.refresh)) }
	},
	"client delete": func(t *testing.T, c *cluster) (string, func()) {
		a := c.register(t, "app5", "https://app.example/callback", "--public", "--first-party")
		return c.loginTo(t, a).access, func() { c.admin(t, "", "client", "delete", a.id) }
	},
	"consent revoke": func(t *testing.T, c *cluster) (string, func()) {
		a := c.register(t, "app6", "https://app.example/callback", "--public")
		return c.loginTo(t, a).access, func() { c.admin(t, "", "consent", "revoke", "john.doe", a.id) }
	},
	"a logout from everything": func(t *testing.T, c *cluster) (string, func()) {
		a := c.register(t, "app7", "https://app.example/callback", "--public", "--first-party")
		john := c.visit(t, a)
		got := send(t, c.authURL, a.redemption(john.code(a))).tokens(t)
		return got.access, func() { john.post("/logout", "apps", "end").location(t) }
	},
}

// However a login ends, and at either authorization server, every API refuses its access
// token, and accepts those of other logins.
func TestClusterRevocation(t *testing.T) {
	longTest(t)
	c := startCluster(t)
	other := c.login(t, "jane.smith", "anothersecurepass")
	for what, begin := range endings {
		t.Run(what, func(t *testing.T) {
			token, end := begin(t, c)
			c.expectEverywhere(t, "a new token", token, http.StatusOK)
			end()
			t.Logf("refused everywhere after %v", c.refusedEverywhere(t, token).Round(time.Millisecond))
			c.expectEverywhere(t, "the token of another login", other, http.StatusOK)
		})
	}
}

// An API that starts while all authorization servers are down responds with 503. It accepts
// tokens when one of them runs again.
func TestClusterAPIStartsDuringAnOutage(t *testing.T) {
	longTest(t)
	c := startCluster(t)
	token := c.login(t, "john.doe", demoPassword)
	c.expectEverywhere(t, "a token", token, http.StatusOK)
	for _, m := range c.auth {
		m.process.signal(t, syscall.SIGINT)
		m.process.wait(t)
	}
	late := c.api[0]
	late.process.stop(t)
	late.start(t)
	call := get("/users/me", "Bearer "+token)
	for range 3 {
		got := send(t, "http://"+late.address+":9000", call)
		challenge := got.header.Get("WWW-Authenticate")
		if got.status != http.StatusServiceUnavailable || got.header.Get("Retry-After") == "" || challenge != "" {
			t.Errorf("without a status list: %d %v %s, want 503 with Retry-After", got.status, got.header, got.body)
		}
	}
	c.auth[0].start(t)
	waitFor(t, "the API to accept the token", func() bool {
		return send(t, "http://"+late.address+":9000", call).status == http.StatusOK
	}, late.process)
}

// Each of several APIs verifies the status list with the keys that it has: its own secret, or
// public keys.
func TestRevocationAtSeveralAPIs(t *testing.T) {
	longTest(t)
	t.Parallel()
	for algorithm, keys := range map[string]func(s *system, ownSecret string) (first, second []string){
		"HS256": func(s *system, ownSecret string) (first, second []string) {
			mustCommand(t, "", "authserver", "key", "export", s.keysFile, ownSecret+".first")
			return []string{"--keys-file", ownSecret + ".first"}, []string{"--keys-file", ownSecret}
		},
		"EdDSA": func(s *system, _ string) (first, second []string) {
			public := []string{"--keys-url", s.authURL + "/jwks.json"}
			return public, public
		},
	} {
		t.Run(algorithm, func(t *testing.T) {
			s := newSystem(t)
			s.keysFile = filepath.Join(t.TempDir(), "keys.json")
			mustCommand(t, "", "authserver", "key", "init", "--algorithm", algorithm, s.keysFile)
			const bank = "https://bank.example"
			s.admin(t, "", "migrate")
			register := []string{"api", "add", bank, "--scope", appScope}
			ownSecret := s.keysFile + ".bank"
			if algorithm == "HS256" {
				register = append(register, "--keys-file", s.keysFile, "--secret-to", ownSecret)
			}
			s.admin(t, "", register...)
			s.startAuthserver(t, "--demo")
			first, second := keys(s, ownSecret)
			addresses := freeAddresses(t, 4)
			at := map[string]string{s.apiURL: "http://" + addresses[0], bank: "http://" + addresses[2]}
			for i, api := range []string{s.apiURL, bank} {
				args := []string{"serve", "--issuer", s.authURL, "--audience", api,
					"--listen", addresses[2*i], "--admin-listen", addresses[2*i+1]}
				serve(t, "resourceserver", addresses[2*i+1], append(args, [][]string{first, second}[i]...)...)
			}
			call := func(api, token string) int { return send(t, at[api], get("/users/me", "Bearer "+token)).status }

			login := func(username, password string) map[string]string {
				tokens := map[string]string{}
				for api := range at {
					got := send(t, s.authURL, form("username", username, "password", password, "resource", api))
					tokens[api] = got.text(t, "access_token")
					if status := call(api, tokens[api]); status != http.StatusOK {
						t.Errorf("%s responds with %d", api, status)
					}
				}
				return tokens
			}
			johns, janes := login("john.doe", demoPassword), login("jane.smith", "anothersecurepass")
			s.admin(t, "", "user", "disable", "john.doe")
			for api, token := range johns {
				refused := func() bool { return call(api, token) == http.StatusUnauthorized }
				waitFor(t, api+" to refuse the token", refused, s.authserver)
			}
			s.admin(t, "", "api", "delete", bank, "--keys-file", s.keysFile)
			refused := func() bool { return call(bank, janes[bank]) == http.StatusUnauthorized }
			waitFor(t, "the deleted API to refuse its tokens", refused, s.authserver)
			if status := call(s.apiURL, janes[s.apiURL]); status != http.StatusOK {
				t.Errorf("the other API responds with %d", status)
			}
			s.authserver.stop(t)
		})
	}
}
