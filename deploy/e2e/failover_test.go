package e2e_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hallpass-auth/hallpass/shared/postgrestest"
)

// ledger is what the server has acknowledged to clients that log in, refresh and revoke.
type ledger struct {
	system   *system
	app      app
	stopping atomic.Bool
	running  sync.WaitGroup

	mu             sync.Mutex
	valid, revoked []string       // refresh tokens
	results        map[string]int // status codes of responses
}

// keepLedger starts clients, which go on until stop is called. A client repeats a request that got 503.
func keepLedger(t *testing.T, s *system, clients int) *ledger {
	t.Helper()
	secret := s.admin(t, "", "client", "add", "ledger", "--scope", "profile", "--grant", "password", "--grant",
		"refresh_token")
	l := &ledger{system: s, app: app{id: "ledger", secret: secret[:len(secret)-1]}, results: map[string]int{}}
	for i := range clients {
		user := fmt.Sprintf("ledger%d", i) // of its own: a login without a database counts as failed
		s.admin(t, demoPassword+"\n", "user", "add", user, "--password-min-length", "8")
		l.running.Go(func() {
			for n := i; !l.stopping.Load() && !t.Failed(); n++ {
				l.useOnce(t, user, n%3 == 0)
			}
		})
	}
	return l
}

// useOnce logs a user in, refreshes twice, and perhaps revokes.
func (l *ledger) useOnce(t *testing.T, user string, revoke bool) {
	token := l.refreshToken(t, l.app.tokenForm(url.Values{
		"grant_type": {"password"}, "username": {user}, "password": {demoPassword},
	}, nil))
	for range 2 {
		token = l.refreshToken(t, l.app.refreshing(token))
	}
	if !revoke {
		l.record(&l.valid, token)
		return
	}
	l.untilDone(t, revoking(l.app, token))
	l.record(&l.revoked, token)
}

func (l *ledger) record(list *[]string, token string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	*list = append(*list, token)
}

// refreshToken returns the refresh token of the response to a request.
func (l *ledger) refreshToken(t *testing.T, r request) string {
	var members struct {
		RefreshToken string `json:"refresh_token"`
	}
	body := l.untilDone(t, r)
	if err := json.Unmarshal([]byte(body), &members); err != nil || members.RefreshToken == "" {
		t.Errorf("no refresh token in %q: %v", body, err)
	}
	return members.RefreshToken
}

// untilDone sends a request until it gets 200, and returns the body. Every other response must be 503 with
// Retry-After.
func (l *ledger) untilDone(t *testing.T, r request) string {
	for end := time.Now().Add(timeout); time.Now().Before(end) && t.Context().Err() == nil; {
		got, err := try(t.Context(), l.system.authURL, r)
		if err != nil {
			t.Error(err)
			return ""
		}
		l.mu.Lock()
		l.results[fmt.Sprint(got.status)]++
		l.mu.Unlock()
		switch {
		case got.status == http.StatusOK:
			return got.body
		case got.status != http.StatusServiceUnavailable || got.header.Get("Retry-After") == "":
			t.Errorf("a request got %d %v %s, want 200, or 503 with Retry-After", got.status, got.header, got.body)
			return ""
		}
	}
	t.Errorf("a request got no 200 within %v", timeout)
	return ""
}

// count returns how many responses had a status.
func (l *ledger) count(status int) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.results[fmt.Sprint(status)]
}

// more waits until n more responses have had a status.
func (l *ledger) more(t *testing.T, n, status int) {
	t.Helper()
	before := l.count(status)
	waitFor(t, fmt.Sprintf("%d more responses with %d", n, status), func() bool {
		return t.Failed() || l.count(status) >= before+n
	})
}

// check ends the clients and checks that nothing is lost that was acknowledged.
func (l *ledger) check(t *testing.T) {
	t.Helper()
	l.stopping.Store(true)
	l.running.Wait()
	t.Logf("responses by status: %v; %d tokens valid, %d revoked", l.results, len(l.valid), len(l.revoked))
	l.system.checkLog(t, "event=refresh", 0) // on a busy machine, a login may be refused because too many wait
	for _, token := range l.valid {
		if got := send(t, l.system.authURL, l.app.refreshing(token)); got.status != http.StatusOK {
			t.Errorf("a token that was acknowledged: %d %s", got.status, got.body)
		}
	}
	for _, token := range l.revoked {
		send(t, l.system.authURL, l.app.refreshing(token)).checkRefused(t, http.StatusBadRequest, "invalid_grant")
	}
	if len(l.valid) == 0 || len(l.revoked) == 0 {
		t.Error("the clients have done nothing")
	}
}

// The primary fails under load, and its synchronous standby is promoted. Nothing that was acknowledged is lost,
// requests meanwhile get 503 with Retry-After, API calls go on, and the token endpoint is back without a restart.
func TestDatabaseFailsOver(t *testing.T) {
	longTest(t)
	t.Parallel()
	for name, fail := range map[string]func(*postgrestest.Server) error{
		"killed": (*postgrestest.Server).Kill,
		"frozen": (*postgrestest.Server).Freeze,
	} {
		t.Run(name, func(t *testing.T) {
			s := newSystem(t)
			primary, direct := startPostgres(t)
			standby := startStandby(t, primary)
			var err error
			if s.database, err = postgrestest.Hosts(direct, standby); err != nil {
				t.Fatal(err)
			}
			s.startAuthserver(t, "--demo", "--refresh-grace", "5m",
				"--database-connect-timeout", "1s", "--database-statement-timeout", "1s")
			s.startResourceserver(t)
			calls := &load{results: map[string]map[string]int{"call": {}}, longest: map[string]time.Duration{}}
			call := get("/users/me", "Bearer "+s.login(t, "john.doe", demoPassword))
			calls.repeat(t, "call", s.apiURL, call, 10*time.Millisecond)
			l := keepLedger(t, s, 6)
			l.more(t, 50, http.StatusOK)
			if err := fail(primary); err != nil {
				t.Fatal(err)
			}
			l.more(t, 20, http.StatusServiceUnavailable)
			calls.more(t, "call", 20)
			if err := standby.Promote(); err != nil {
				t.Fatal(err)
			}
			l.more(t, 50, http.StatusOK)
			l.check(t)
			calls.stop(t, nil)
		})
	}
}

// startStandby starts a synchronous standby of a server until the end of the test.
func startStandby(t *testing.T, primary *postgrestest.Server) *postgrestest.Server {
	t.Helper()
	standby, err := primary.Standby()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := standby.Close(); err != nil {
			t.Error(err)
		}
	})
	return standby
}
