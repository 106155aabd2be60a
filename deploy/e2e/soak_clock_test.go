package e2e_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// buildSteppedClock builds the authorization server whose clock SIGUSR1 sets 30 seconds ahead and SIGUSR2 30 seconds
// back, and returns its path.
func buildSteppedClock(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "steppedclock")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-o", path, "./authserver/internal/server/steppedclock")
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("building steppedclock: %v\n%s", err, out)
	}
	return path
}

// stepClock sets the clock of a server 30 seconds wrong, and then right again. With the wrong clock, the server revokes
// a login of another server, and every API refuses its token. It also begins two logins and revokes one. When the clock
// is right, the other one works at all servers: an acknowledged login is not lost. stepClock returns how long the APIs
// took.
//
// While the clock is wrong, other servers may refuse what this one gives: they do not trust a time that is more than
// five seconds ahead.
func (c *clients) stepClock(t *testing.T, m *member, ahead bool) string {
	t.Helper()
	server := "http://" + m.address + ":9000"
	there, back, sign := syscall.SIGUSR1, syscall.SIGUSR2, "+30 s"
	if !ahead {
		there, back, sign = back, there, "-30 s"
	}
	m.process.signal(t, there)
	kept := c.awaitClock(t, server, func(off time.Duration) bool {
		return off.Abs() > 15*time.Second && (off > 0) == ahead
	})
	slowest := c.revokeInCalm(t, server)
	revoked := c.passwordLogin(t, server)
	c.revokeAt(t, server, revoked)
	m.process.signal(t, back)
	c.awaitClock(t, server, func(off time.Duration) bool { return off.Abs() < 15*time.Second })
	for i, base := range append([]string{server}, c.auth...) {
		waitFor(t, "a login of the wrong clock to be refreshed", func() bool {
			got, err := try(t.Context(), base, c.app.refreshing(kept.refresh))
			if err == nil && got.status == http.StatusOK {
				kept = got.tokens(t)
				return true
			}
			time.Sleep(100 * time.Millisecond)
			return false
		})
		r := untilServed(t, "a refusal", func() (response, error) {
			return try(t.Context(), base, c.app.refreshing(revoked.refresh))
		})
		if r.status != http.StatusBadRequest {
			t.Errorf("server %d refreshed a revoked login of the wrong clock: %d %s", i, r.status, r.body)
		}
	}
	for _, api := range c.api {
		c.awaitLists(t, api, kept.access)
	}
	return fmt.Sprintf("%s: %v", sign, slowest.Round(time.Millisecond))
}

// awaitClock logs in at a server until its clock is as it should be, and returns that login. The signal that steps the
// clock takes effect a little later.
func (c *clients) awaitClock(t *testing.T, server string, right func(off time.Duration) bool) (login tokens) {
	t.Helper()
	waitFor(t, "the clock to be stepped", func() bool {
		before := time.Now()
		login = c.passwordLogin(t, server)
		return right(issuedAt(t, login.access).Sub(before))
	})
	return login
}

// issuedAt returns the iat of an access token (RFC 9068 section 2.2).
func issuedAt(t *testing.T, access string) time.Time {
	t.Helper()
	parts := strings.Split(access, ".")
	var claims struct {
		IssuedAt int64 `json:"iat"`
	}
	if len(parts) != 3 {
		t.Fatal("an access token is no JWT")
	}
	text, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err == nil {
		err = json.Unmarshal(text, &claims)
	}
	if err != nil {
		t.Fatal(err)
	}
	return time.Unix(claims.IssuedAt, 0)
}
