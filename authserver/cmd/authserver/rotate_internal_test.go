package main

import (
	"crypto/rand"
	"testing"
	"time"

	"github.com/hallpass-auth/hallpass/shared/keyring"
)

// The delay belongs to the new key, whatever the previous one is: 5 minutes for a secret, 20 for a key pair,
// which libraries cache for 15 minutes. --signs-after replaces it, 0 as well.
func TestNewKeySignsAfterItsDelay(t *testing.T) {
	now := time.Now().Truncate(time.Second)
	none := time.Duration(0)
	for _, tt := range []struct {
		previous string
		command  keyRotateCommand
		want     time.Duration
	}{
		{keyring.HS256, keyRotateCommand{}, 5 * time.Minute},
		{keyring.ES256, keyRotateCommand{}, 20 * time.Minute},
		{keyring.HS256, keyRotateCommand{Algorithm: keyring.EdDSA}, 20 * time.Minute},
		{keyring.EdDSA, keyRotateCommand{Algorithm: keyring.HS256}, 5 * time.Minute},
		{keyring.EdDSA, keyRotateCommand{SignsAfter: &none}, 0},
		{keyring.EdDSA, keyRotateCommand{Compromised: true}, 0},
	} {
		set, err := keyring.Generate(tt.previous, now, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		ring, err := keyring.Parse(set)
		if err != nil {
			t.Fatal(err)
		}
		next, err := tt.command.successor(ring, now)
		if err != nil {
			t.Fatal(err)
		}
		if got := next.SignsFrom.Sub(now); got != tt.want {
			t.Errorf("%s, then %+v: signs after %v, want %v", tt.previous, tt.command, got, tt.want)
		}
	}
}
