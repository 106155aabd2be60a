package keyring_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"testing"
	"time"

	"github.com/hallpass-auth/hallpass/shared/keyring"
)

// RFC 5869: what is derived differs by key and purpose, stays the same, and needs the private half.
func TestDerive(t *testing.T) {
	now := time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)
	seen := map[string]bool{}
	for _, algorithm := range keyring.Algorithms {
		set, err := keyring.Generate(algorithm, now, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		ring, again := parsed(t, set), parsed(t, set)
		for _, info := range []string{"one", "other"} {
			key, err := ring.Keys()[0].Derive(info)
			same, _ := again.Keys()[0].Derive(info)
			if err != nil || len(key) != 32 || !bytes.Equal(key, same) || seen[string(key)] {
				t.Errorf("%s: %d bytes for %s, %v", algorithm, len(key), info, err)
			}
			seen[string(key)] = true
		}
		if algorithm == keyring.HS256 {
			continue
		}
		public, err := ring.Public(now)
		if err != nil {
			t.Fatal(err)
		}
		if key, err := parsed(t, public).Keys()[0].Derive("one"); !errors.Is(err, keyring.ErrNoKey) || key != nil {
			t.Errorf("%s: the public half derives a key, %v", algorithm, err)
		}
	}
}

func parsed(t *testing.T, set []byte) *keyring.Ring {
	t.Helper()
	ring, err := keyring.Parse(set)
	if err != nil {
		t.Fatal(err)
	}
	return ring
}
