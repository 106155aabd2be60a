package keyfile_test

import (
	"crypto/rand"
	"path/filepath"
	"testing"
	"time"

	"github.com/hallpass-auth/hallpass/shared/keyring"

	"github.com/hallpass-auth/hallpass/authserver/internal/keyfile"
)

// The delay belongs to the new key, whatever the previous one is: 5 minutes for a secret, 20 for a key pair,
// which libraries cache for 15 minutes. SignsAfter replaces it, 0 as well.
func TestNewKeySignsAfterItsDelay(t *testing.T) {
	now := time.Now().Truncate(time.Second)
	none := time.Duration(0)
	for _, tt := range []struct {
		previous string
		rotation keyfile.Rotation
		want     time.Duration
	}{
		{keyring.HS256, keyfile.Rotation{}, 5 * time.Minute},
		{keyring.ES256, keyfile.Rotation{}, 20 * time.Minute},
		{keyring.HS256, keyfile.Rotation{Algorithm: keyring.EdDSA}, 20 * time.Minute},
		{keyring.EdDSA, keyfile.Rotation{Algorithm: keyring.HS256}, 5 * time.Minute},
		{keyring.EdDSA, keyfile.Rotation{SignsAfter: &none}, 0},
		{keyring.EdDSA, keyfile.Rotation{Compromised: true}, 0},
	} {
		set, err := keyring.Generate(tt.previous, now, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		tt.rotation.Path = filepath.Join(t.TempDir(), "keys.json")
		if err := keyfile.Create(tt.rotation.Path, set); err != nil {
			t.Fatal(err)
		}
		prepared, err := tt.rotation.Prepare(now)
		if err != nil {
			t.Fatal(err)
		}
		prepared.Discard()
		if got := prepared.Keys()[0].SignsFrom.Sub(now); got != tt.want {
			t.Errorf("%s, then %+v: signs after %v, want %v", tt.previous, tt.rotation, got, tt.want)
		}
	}
}
