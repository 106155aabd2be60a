package keyring_test

import (
	"testing"
	"time"

	"github.com/hallpass-auth/hallpass/shared/keyring"
)

// A published key is known to every verifier before it signs: the caches of JWK Sets that others wrote fetch
// every 15 minutes, and no response may be cached for longer than that leaves.
func TestSigningDelay(t *testing.T) {
	for _, algorithm := range keyring.Algorithms {
		want := 20 * time.Minute
		if algorithm == keyring.HS256 {
			want = 5 * time.Minute
		}
		if got := keyring.SigningDelay(algorithm); got != want {
			t.Errorf("%s: %v, want %v", algorithm, got, want)
		}
	}
}

// HasPublicKeys is true if and only if Public publishes a key (RFC 8414 section 2).
func TestHasPublicKeys(t *testing.T) {
	for _, algorithm := range keyring.Algorithms {
		ring, _ := generated(t, algorithm)
		if got, want := ring.HasPublicKeys(start), algorithm != keyring.HS256; got != want {
			t.Errorf("%s: %v", algorithm, got)
		}
	}
	if new(keyring.Ring).HasPublicKeys(start) {
		t.Error("a ring without keys has a public one")
	}
}
