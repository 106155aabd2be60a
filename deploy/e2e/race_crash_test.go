package e2e_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"sync"
	"syscall"
	"testing"
	"time"
)

// sendAndLeave sends a request and closes the connection without waiting for the answer.
func sendAndLeave(t *testing.T, address string, r request) {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, err = fmt.Fprintf(conn, "%s %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n%s",
		r.method, r.path, address, len(r.body), r.body)
	if err != nil {
		t.Fatal(err)
	}
}

// A client that never hears the answer, because its connection breaks after it has asked,
// asks again with the token it has, and goes on.
func TestRaceLostAnswer(t *testing.T) {
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

// session is a client that refreshes as fast as it can and tries again with the token
// that it has whenever a server does not answer. What a server refuses ends it.
type session struct {
	app     app
	servers []string
	refresh string
	done    int // refreshed so often
	failed  int // times that no server answered
}

func (s *session) run(ctx context.Context) error {
	for i := 0; ctx.Err() == nil; i++ {
		got, err := try(ctx, s.servers[i%len(s.servers)], s.app.refreshing(s.refresh))
		switch {
		case err != nil || got.status == http.StatusServiceUnavailable: // down, or starting
			s.failed++
			continue
		case got.status != http.StatusOK:
			return fmt.Errorf("logged out after %d refreshes and %d failures: %d %s", s.done, s.failed, got.status, got.body)
		}
		var members struct {
			RefreshToken string `json:"refresh_token"`
		}
		if err := json.Unmarshal([]byte(got.body), &members); err != nil || members.RefreshToken == "" {
			return fmt.Errorf("no refresh token in %s", got.body)
		}
		s.refresh, s.done = members.RefreshToken, s.done+1
	}
	return nil
}

// A server is killed under load, five times, between whatever steps it just is: every
// client goes on with the token it has, at the other server and at the one that comes
// back.
func TestRaceKilledServer(t *testing.T) {
	const kills = 5
	onEveryEngine(t, []string{"--refresh-grace", "1m"}, func(t *testing.T, first, second *system) {
		a := first.register(t, "app", "https://app.example/callback", "--public", "--first-party")
		sessions, errs := make([]*session, 8), make([]error, 8)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var running sync.WaitGroup
		for i := range sessions {
			sessions[i] = &session{app: a, servers: []string{first.authURL, second.authURL}, refresh: first.loginTo(t, a).refresh}
			running.Go(func() { errs[i] = sessions[i].run(ctx) })
		}
		for i := range kills {
			time.Sleep(time.Duration(100+37*i) * time.Millisecond) // under load, and at no chosen moment
			first.authserver.signal(t, syscall.SIGKILL)
			first.authserver.wait(t)
			first.startAuthserver(t, "--refresh-grace", "1m")
		}
		cancel()
		running.Wait()
		for i, s := range sessions {
			if errs[i] != nil {
				t.Errorf("client %d: %v", i, errs[i])
				continue
			}
			if s.done == 0 || s.failed == 0 {
				t.Errorf("client %d refreshed %d times and failed %d times: the test has not tested", i, s.done, s.failed)
			}
			send(t, second.authURL, a.refreshing(s.refresh)).tokens(t)
		}
		second.checkLog(t, "event=", 0)
	})
}
