package grant_test

import (
	"crypto/rand"
	"testing"
	"time"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
)

// The clocks of replicas differ. A recent token leads to the current one even if a replica with a
// slow clock did one of the replacements in between.
func TestRecentTokenWithClocksThatDiffer(t *testing.T) {
	const grace = 10 * time.Second
	noon := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	current, r, err := grant.NewRefresh(rand.Reader, noon.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	var replaced []grant.RefreshToken
	for i, at := range []time.Duration{5 * time.Second, 0, 12 * time.Second} { // the second replica is slow
		replaced = append(replaced, current)
		r, current = r.Rotate(current, []byte{byte(i)}, noon.Add(at), grace)
	}
	verdict, got := r.Judge(replaced[0], noon.Add(12*time.Second), grace)
	if verdict != grant.Recent || got != current {
		t.Errorf("got the verdict %v, and the current token: %v; want %v and true", verdict, got == current, grant.Recent)
	}
}

// RFC 9700 section 4.14.2: a token that was replaced while a clock was ahead is not recent when the
// clock is right again, or a stolen one would be valid for as long as the clock was ahead.
func TestReplacedTokenWhoseTimeLiesAhead(t *testing.T) {
	tests := map[time.Duration]grant.Verdict{
		0:                                 grant.Recent,
		account.ClockMargin:               grant.Recent, // the clocks of replicas differ
		account.ClockMargin + time.Second: grant.Reused,
		365 * 24 * time.Hour:              grant.Reused,
	}
	for ahead, want := range tests {
		all, r := chain(t, noon.Add(ahead))
		if got, _ := r.Judge(all[0], noon, grace); got != want {
			t.Errorf("replaced %v ahead: got the verdict %v, want %v", ahead, got, want)
		}
		if got, _ := r.Judge(all[1], noon, grace); got != grant.Current {
			t.Errorf("replaced %v ahead: the current token has the verdict %v", ahead, got)
		}
	}
}

// A grant that was given while a clock was ahead would last for too long.
func TestGrantWhoseTimeLiesAhead(t *testing.T) {
	for ahead, want := range map[time.Duration]bool{0: true, account.ClockMargin: true, time.Minute: false} {
		g := grant.Grant{UserID: "usr_x", CreatedAt: noon.Add(ahead), ExpiresAt: noon.Add(ahead + time.Hour)}
		if got := g.ActiveAt(noon); got != want {
			t.Errorf("given %v ahead: active %v, want %v", ahead, got, want)
		}
	}
}
