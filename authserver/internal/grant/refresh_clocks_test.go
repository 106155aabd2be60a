package grant_test

import (
	"crypto/rand"
	"testing"
	"time"

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
