package keyring_test

import (
	"context"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hallpass-auth/hallpass/shared/keyring"
)

// Errors name the setting and hold no secret.
func TestSettingsErrors(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "keys.json")
	readable := filepath.Join(t.TempDir(), "keys.json")
	writeFile(t, readable, set(oct("a")), 0o644)
	const secretSetting, fileSetting = "--token-secret (HALLPASS_TOKEN_SECRET)", "--keys-file (HALLPASS_KEYS_FILE)"
	tests := []struct {
		name     string
		settings keyring.Settings
		says     []string
	}{
		{"neither", keyring.Settings{}, []string{fileSetting, "HALLPASS_TOKEN_SECRET", "authserver key init"}},
		{"both", keyring.Settings{TokenSecret: material, KeysFile: missing}, []string{secretSetting, fileSetting, "both"}},
		{"31 bytes", keyring.Settings{TokenSecret: material[:31]}, []string{secretSetting, "31 bytes", "openssl rand"}},
		{"missing file", keyring.Settings{KeysFile: missing}, []string{fileSetting, missing, "no such file", "authserver key init " + missing}},
		{"readable by all", keyring.Settings{KeysFile: readable}, []string{fileSetting, readable, "chmod 600"}},
	}
	for _, tt := range tests {
		source, err := tt.settings.Open(t.Context(), slog.New(slog.DiscardHandler))
		if err == nil || source != nil {
			t.Errorf("%s: %v, %v", tt.name, source, err)
			continue
		}
		for _, s := range tt.says {
			if !strings.Contains(err.Error(), s) {
				t.Errorf("%s: the error %q does not contain %q", tt.name, err, s)
			}
		}
		holdsNoMaterial(t, err)
	}
}

// The error for an existing file does not suggest a new one, which would invalidate every token.
func TestSettingsDoNotSuggestANewFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys.json")
	writeFile(t, path, set(oct("a")), 0o644)
	_, err := keyring.Settings{KeysFile: path}.Open(t.Context(), slog.New(slog.DiscardHandler))
	if err == nil || strings.Contains(err.Error(), "key init") {
		t.Errorf("the error is %v", err)
	}
}

func TestSettingsWithASecret(t *testing.T) {
	source, err := keyring.Settings{TokenSecret: material}.Open(t.Context(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if key, err := source.Current().Signer(start); err != nil || string(key.Secret()) != material {
		t.Errorf("the secret is not the key (%v)", err)
	}
}

func TestSettingsWithAFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys.json")
	writeFile(t, path, set(oct("first")), 0o600)
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		source, err := keyring.Settings{KeysFile: path}.Open(ctx, slog.New(slog.DiscardHandler))
		mustNot(t, err)
		has := func(kid string) bool {
			time.Sleep(5 * time.Second)
			synctest.Wait()
			_, ok := source.Current().Verifier(kid, start)
			return ok
		}
		writeFile(t, path, set(oct("second")), 0o600)
		if !has("second") {
			t.Error("the changed file is not read")
		}
		cancel()
		writeFile(t, path, set(oct("third")), 0o600)
		if has("third") {
			t.Error("the file is read after the context has ended")
		}
	})
}
