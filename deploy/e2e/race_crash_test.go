package e2e_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
)

// sendAndLeave sends a form and closes the connection without waiting for the response.
func sendAndLeave(t *testing.T, address string, r request) {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, err = fmt.Fprintf(conn, rawPost, r.path, address, len(r.body), r.body)
	if err != nil {
		t.Fatal(err)
	}
}

// A client whose connection breaks before the response refreshes again with the token that it
// has, and stays logged in.
func TestRaceLostResponse(t *testing.T) {
	longTest(t)
	t.Parallel()
	onEveryEngine(t, []string{"--refresh-grace", "1m"}, func(t *testing.T, first, second *system) {
		a := first.register(t, "app", "https://app.example/callback", "--public", "--first-party")
		token := first.loginTo(t, a).refresh
		for range rounds {
			sendAndLeave(t, first.authAddress, a.refreshing(token))
			token = send(t, second.authURL, a.refreshing(token)).tokens(t).refresh
			sendAndLeave(t, second.authAddress, a.refreshing(token))
			sendAndLeave(t, first.authAddress, a.refreshing(token))
			token = send(t, second.authURL, a.refreshing(token)).tokens(t).refresh
		}
		first.checkLog(t, "event=", 0)
		second.checkLog(t, "event=", 0)
	})
}

// session is a client that refreshes as fast as it can. If a server is down, it tries again
// with the same token. A refusal ends it.
type session struct {
	app     app
	servers []string
	refresh string
	ended   atomic.Bool
	done    atomic.Int64 // refreshes that succeeded
	failed  atomic.Int64 // requests that no server answered
}

func (s *session) run(ctx context.Context) error {
	for i := 0; ctx.Err() == nil; i++ {
		got, err := try(ctx, s.servers[i%len(s.servers)], s.app.refreshing(s.refresh))
		switch {
		case err != nil || got.status == http.StatusServiceUnavailable: // down, or starting
			s.failed.Add(1)
			continue
		case got.status != http.StatusOK:
			return fmt.Errorf("logged out after %d refreshes and %d failures: %d %s",
				s.done.Load(), s.failed.Load(), got.status, got.body)
		}
		var members struct {
			RefreshToken string `json:"refresh_token"`
		}
		if err := json.Unmarshal([]byte(got.body), &members); err != nil || members.RefreshToken == "" {
			return fmt.Errorf("no refresh token in %s", got.body)
		}
		s.refresh = members.RefreshToken
		s.done.Add(1)
	}
	return nil
}

// waitForEach waits until a count of every session is higher than it was, or the session
// has ended.
func waitForEach(t *testing.T, what string, sessions []*session, count func(*session) int64) {
	t.Helper()
	before := make([]int64, len(sessions))
	for i, s := range sessions {
		before[i] = count(s)
	}
	for i, s := range sessions {
		waitFor(t, fmt.Sprintf("client %d %s", i, what), func() bool { return count(s) > before[i] || s.ended.Load() })
	}
}

// A server is killed five times under load, at whatever point it has reached. Every client
// stays logged in: it goes on with its token at the other server and at the restarted one.
func TestRaceKilledServer(t *testing.T) {
	longTest(t)
	t.Parallel()
	const kills, clients = 5, 64
	onEveryEngine(t, []string{"--refresh-grace", "1m"}, func(t *testing.T, first, second *system) {
		a := first.register(t, "app", "https://app.example/callback", "--public", "--first-party")
		sessions, errs := make([]*session, clients), make([]error, clients)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var running sync.WaitGroup
		for i := range sessions {
			sessions[i] = &session{
				app: a, servers: []string{first.authURL, second.authURL}, refresh: first.loginTo(t, a).refresh,
			}
			running.Go(func() {
				errs[i] = sessions[i].run(ctx)
				sessions[i].ended.Store(true)
			})
		}
		for range kills {
			waitForEach(t, "to refresh", sessions, func(s *session) int64 { return s.done.Load() })
			first.authserver.signal(t, syscall.SIGKILL)
			first.authserver.wait(t)
			waitForEach(t, "to notice the killed server", sessions, func(s *session) int64 { return s.failed.Load() })
			first.startAuthserver(t, "--demo", "--refresh-grace", "1m")
		}
		cancel()
		running.Wait()
		for i, s := range sessions {
			if errs[i] != nil {
				t.Errorf("client %d: %v", i, errs[i])
				continue
			}
			send(t, second.authURL, a.refreshing(s.refresh)).tokens(t)
		}
		second.checkLog(t, "event=", 0)
	})
}
