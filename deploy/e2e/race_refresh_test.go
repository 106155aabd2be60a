package e2e_test

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// Each race has as many clients, and is repeated as many times.
const (
	racers = 16
	rounds = 50
)

// startTwins starts two authorization servers on one database. They differ only in their
// addresses.
func startTwins(t *testing.T, database string, flags ...string) (first, second *system) {
	t.Helper()
	first = newSystem(t)
	if database != "" {
		first.database = database
	}
	first.startAuthserver(t, append(flags, "--demo")...)
	twin := *first
	addresses := freeAddresses(t, 2)
	twin.authAddress, twin.authAdmin = addresses[0], addresses[1]
	twin.startAuthserver(t, append(flags, "--demo")...) // before authURL changes: the issuer is the same
	twin.authURL = "http://" + twin.authAddress
	return first, &twin
}

// onEveryEngine runs a test with two servers on each database engine.
func onEveryEngine(t *testing.T, flags []string, test func(t *testing.T, first, second *system)) {
	t.Run("SQLite", func(t *testing.T) {
		first, second := startTwins(t, "", flags...)
		test(t, first, second)
	})
	t.Run("PostgreSQL", func(t *testing.T) {
		first, second := startTwins(t, newPostgresDatabase(t), flags...)
		test(t, first, second)
	})
}

// race sends the same request from all racers at the same time, half of them to each server.
func race(t *testing.T, first, second *system, r request) []response {
	t.Helper()
	responses, errs := make([]response, racers), make([]error, racers)
	start := make(chan struct{})
	var running sync.WaitGroup
	for i := range racers {
		base := first.authURL
		if i%2 == 1 {
			base = second.authURL
		}
		running.Go(func() {
			<-start
			responses[i], errs[i] = try(t.Context(), base, r)
		})
	}
	close(start)
	running.Wait()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
	return responses
}

// Sixteen tabs refresh with one token at two servers, again and again. All get the same
// successor, none is logged out, and one valid token is left (RFC 9700 section 4.14.2).
func TestRaceRefreshing(t *testing.T) {
	longTest(t)
	t.Parallel()
	onEveryEngine(t, nil, func(t *testing.T, first, second *system) {
		a := first.register(t, "app", "https://app.example/callback", "--introspects", "--first-party")
		watcher := a // refresh tokens are shown to their own client only (RFC 7662 section 4)
		login := first.loginTo(t, a)
		used := []string{login.refresh}
		for round := range rounds {
			current := used[len(used)-1]
			var successor string
			for i, got := range race(t, first, second, a.refreshing(current)) {
				if got.status != http.StatusOK {
					t.Fatalf("round %d: client %d got %d %s", round, i, got.status, got.body)
				}
				refresh := got.tokens(t).refresh
				if successor == "" {
					successor = refresh
				}
				if refresh != successor || refresh == current {
					t.Fatalf("round %d: client %d did not get the successor that client 0 got", round, i)
				}
			}
			used = append(used, successor)
		}
		last := used[len(used)-1]
		for i, token := range used {
			first.checkActive(t, watcher, "a refresh token", token, i == len(used)-1)
		}
		second.checkActive(t, watcher, "the first access token", login.access, true)
		send(t, second.authURL, a.refreshing(last)).tokens(t)
		first.checkLog(t, "event=", 0)
		second.checkLog(t, "event=", 0)
	})
}

// Tabs that have missed a few refreshes get the current token within the grace period, at
// either server.
func TestRaceRefreshingFromBehind(t *testing.T) {
	longTest(t)
	t.Parallel()
	onEveryEngine(t, nil, func(t *testing.T, first, second *system) {
		a := first.register(t, "app", "https://app.example/callback", "--public", "--first-party")
		used := []string{first.loginTo(t, a).refresh}
		for i := range 5 {
			base := []string{first.authURL, second.authURL}[i%2]
			used = append(used, send(t, base, a.refreshing(used[i])).tokens(t).refresh)
		}
		for i, token := range used[:5] {
			for _, base := range []string{first.authURL, second.authURL} {
				if got := send(t, base, a.refreshing(token)).tokens(t); got.refresh != used[5] {
					t.Errorf("token %d does not lead to the current token", i)
				}
			}
		}
	})
}

// Of sixteen clients that redeem one code at two servers, one succeeds. The other requests are
// replays, so its tokens are revoked (OAuth 2.1 section 4.1.3).
func TestRaceRedeeming(t *testing.T) {
	longTest(t)
	t.Parallel()
	onEveryEngine(t, nil, func(t *testing.T, first, second *system) {
		watcher := first.watcher(t)
		a := first.register(t, "app", "https://app.example/callback", "--public", "--first-party")
		john := first.visit(t, a)
		for round := range rounds {
			var won []tokens
			for _, got := range race(t, first, second, a.redemption(john.code(a))) {
				if got.status == http.StatusOK {
					won = append(won, got.tokens(t))
				} else {
					got.checkRefused(t, http.StatusBadRequest, "invalid_grant")
				}
			}
			if len(won) != 1 {
				t.Fatalf("round %d: %d clients redeemed the code, want 1", round, len(won))
			}
			second.checkActive(t, watcher, "the winner's access token", won[0].access, false)
			send(t, first.authURL, a.refreshing(won[0].refresh)).checkRefused(t, http.StatusBadRequest, "invalid_grant")
		}
		warnings := strings.Count(first.authserver.output.String()+second.authserver.output.String(), "event=code_reuse")
		if warnings != rounds {
			t.Errorf("the logs have %d warnings, want one a round: %d", warnings, rounds)
		}
	})
}

// A password change wins against concurrent refreshes: no token is valid after it.
func TestRaceRefreshingAndPasswordChange(t *testing.T) {
	longTest(t)
	t.Parallel()
	onEveryEngine(t, nil, func(t *testing.T, first, second *system) {
		a := first.register(t, "app", "https://app.example/callback", "--introspects", "--first-party")
		watcher := a // refresh tokens are shown to their own client only (RFC 7662 section 4)
		login := first.loginTo(t, a)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var got []tokens
		var refreshed atomic.Int64
		var running sync.WaitGroup
		running.Go(func() {
			refresh := login.refresh
			for i := 0; ctx.Err() == nil; i++ {
				resp, err := try(ctx, []string{first.authURL, second.authURL}[i%2], a.refreshing(refresh))
				if err != nil || resp.status != http.StatusOK {
					return // logged out, or the end of the test
				}
				got = append(got, resp.tokens(t))
				refresh = got[len(got)-1].refresh
				refreshed.Add(1)
			}
		})
		waitFor(t, "the first refresh", func() bool { return refreshed.Load() > 0 })
		first.admin(t, "another good password", "user", "set-password", "john.doe", "--bcrypt-cost", "10")
		running.Wait()
		last := got[len(got)-1]
		second.checkActive(t, watcher, "the last refresh token", last.refresh, false)
		second.checkActive(t, watcher, "the last access token", last.access, false)
	})
}
