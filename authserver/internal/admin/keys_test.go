package admin_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hallpass-auth/hallpass/shared/keyring"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/admin"
	"github.com/hallpass-auth/hallpass/authserver/internal/audit"
	"github.com/hallpass-auth/hallpass/authserver/internal/record"
)

// keys creates a file with the keys of a server, which needs no file of an API.
func keys(t *testing.T) admin.KeyFiles {
	t.Helper()
	set, err := keyring.Generate(keyring.EdDSA, start, strings.NewReader(strings.Repeat("x", 1000)))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "keys.json")
	if err := os.WriteFile(path, set, 0o600); err != nil {
		t.Fatal(err)
	}
	return admin.KeyFiles{Path: path, Lifetime: time.Hour}
}

func TestRotateSigningKeys(t *testing.T) {
	t.Parallel()
	s := newService(t)
	s.Keys = keys(t)
	added, err := s.RotateSigningKeys(t.Context(), admin.RotateKey{})
	if err != nil || len(added) != 2 { // the key for access tokens, and the first for ID tokens
		t.Fatalf("%d new keys (%v)", len(added), err)
	}
	listed, err := s.SigningKeys(t.Context())
	if err != nil || len(listed) != 3 || listed[1].State != keyring.Waiting && listed[0].State != keyring.Waiting {
		t.Errorf("keys are %+v (%v)", listed, err)
	}
}

// Keys are replaced once, whatever happens to the writes of others that the database carries out together with the
// record.
func TestRotateBesideFailingWrites(t *testing.T) {
	t.Parallel()
	s, ctx := newService(t), t.Context()
	s.Keys = keys(t)
	user, err := account.New("ada", "Ada", "hash", start)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Store.CreateUser(ctx, user); err != nil {
		t.Fatal(err)
	}
	var others sync.WaitGroup
	rotated := make(chan struct{})
	for range 8 {
		others.Go(func() {
			for {
				select {
				case <-rotated:
					return
				default:
				}
				if err := s.Store.CreateUser(ctx, user); !errors.Is(err, record.ErrExists) {
					t.Errorf("a user who exists: got error %v", err)
				}
			}
		})
	}
	for range 20 {
		if _, err := s.RotateSigningKeys(ctx, admin.RotateKey{Compromised: true}); err != nil {
			t.Error(err)
		}
	}
	close(rotated)
	others.Wait()
}

// If the file cannot be written, there is a record that says so.
func TestRotateWithoutFile(t *testing.T) {
	t.Parallel()
	s := newService(t)
	s.Keys = keys(t)
	s.Now = func() time.Time {
		_ = os.Remove(s.Keys.Path + ".new") // what the rotation is about to put in the place of the file
		return start
	}
	if _, err := s.RotateSigningKeys(t.Context(), admin.RotateKey{}); err == nil {
		t.Fatal("no error")
	}
	records, err := s.Store.AuditRecords(t.Context(), audit.Filter{Event: "key_rotated"}, audit.Page{Limit: 10})
	if err != nil {
		t.Fatal(err)
	}
	outcomes := map[audit.Outcome]int{}
	for _, r := range records {
		outcomes[r.Outcome]++
	}
	if outcomes[audit.Success] != 2 || outcomes[audit.Failure] != 2 {
		t.Errorf("the records say %v, want the two keys, and that they were not written", outcomes)
	}
}

// A server that must not change its keys says which command does.
func TestKeysElsewhere(t *testing.T) {
	t.Parallel()
	copied, kubernetes := keys(t), keys(t)
	copied.Copied = true
	folder := filepath.Dir(kubernetes.Path)
	if err := os.Symlink(folder, filepath.Join(folder, "..data")); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		files admin.KeyFiles
		asked admin.RotateKey
		want  error
		says  string
	}{
		"copies": {copied, admin.RotateKey{Compromised: true}, admin.ErrKeysElsewhere,
			"'authserver key rotate " + copied.Path + " --compromised'"},
		"Kubernetes": {kubernetes, admin.RotateKey{}, admin.ErrKeysElsewhere, "'authserver key rotate-secret SECRET'"},
		"Kubernetes, ID tokens": {kubernetes, admin.RotateKey{IDTokens: true}, admin.ErrKeysElsewhere,
			"'authserver key rotate-secret SECRET --id-tokens'"},
		"Kubernetes, leaked": {kubernetes, admin.RotateKey{Compromised: true}, admin.ErrKeysElsewhere,
			"'authserver key rotate keys.json --compromised'"},
		"Kubernetes, one API": {kubernetes, admin.RotateKey{API: "https://a.example"}, admin.ErrKeysElsewhere,
			"'authserver key rotate keys.json --api https://a.example'"},
		"no file": {admin.KeyFiles{}, admin.RotateKey{}, admin.ErrNoKeysFile, "HALLPASS_TOKEN_SECRET"},
		"ID tokens of an API": {keys(t), admin.RotateKey{IDTokens: true, API: "https://a.example"}, admin.ErrBadRotation,
			"leave out the API"},
		"ID tokens with a secret": {keys(t), admin.RotateKey{IDTokens: true, Algorithm: keyring.HS256}, admin.ErrBadRotation,
			"choose RS256"},
	} {
		s := newService(t)
		s.Keys = tt.files
		_, err := s.RotateSigningKeys(t.Context(), tt.asked)
		if !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: got error %v, want %v that says %s", name, err, tt.want, tt.says)
		}
	}
}
