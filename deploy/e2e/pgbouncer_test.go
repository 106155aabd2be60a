package e2e_test

import (
	"errors"
	"net/http"
	"testing"

	"github.com/hallpass-auth/hallpass/shared/postgrestest"
)

// Two servers start at once through PgBouncer in transaction mode. Logins, concurrent refreshes, revocations and
// commands work as without it.
func TestThroughPgBouncer(t *testing.T) {
	longTest(t)
	t.Parallel()
	direct := newPostgresDatabase(t)
	server, err := sharedPostgres()
	if err != nil {
		t.Fatal(err)
	}
	bouncer, err := server.Bouncer()
	if errors.Is(err, postgrestest.ErrNoBouncer) {
		leftOut(t, "PgBouncer is not installed")
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := bouncer.Close(); err != nil {
			t.Error(err)
		}
	})
	url, err := bouncer.URL(direct)
	if err != nil {
		t.Fatal(err)
	}
	first, second := startTwins(t, url)
	a := first.register(t, "app", "https://app.example/callback", "--public", "--first-party")
	kept, ended := first.loginTo(t, a), second.loginTo(t, a)
	for range 5 {
		var successor string
		for _, got := range race(t, first, second, a.refreshing(kept.refresh)) {
			successor = got.tokens(t).refresh
		}
		kept.refresh = successor
	}
	send(t, second.authURL, revoking(a, ended.refresh))
	first.restart(t, "--demo")
	send(t, first.authURL, a.refreshing(kept.refresh)).tokens(t)
	first.admin(t, "", "user", "disable", "john.doe")
	for _, token := range []string{kept.refresh, ended.refresh} {
		send(t, second.authURL, a.refreshing(token)).checkRefused(t, http.StatusBadRequest, "invalid_grant")
	}
}
