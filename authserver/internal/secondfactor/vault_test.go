package secondfactor_test

import (
	"crypto/rand"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/hallpass-auth/hallpass/shared/database/databasetest"
	"github.com/hallpass-auth/hallpass/shared/keyring"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/secondfactor"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
)

var noon = time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)

func clock() time.Time { return noon }

// keys is a source of keys that a test replaces, as a command replaces a keys file.
type keys struct{ ring *keyring.Ring }

func (k *keys) Current() *keyring.Ring { return k.ring }

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newRing(t testing.TB, algorithm string) *keyring.Ring {
	t.Helper()
	set, err := keyring.Generate(algorithm, noon, rand.Reader)
	must(t, err)
	ring, err := keyring.Parse(set)
	must(t, err)
	return ring
}

func newStore(t testing.TB) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), "sqlite:"+t.TempDir()+"/hallpass.db", databasetest.Pool)
	must(t, err)
	t.Cleanup(func() { must(t, s.Close()) })
	_, err = s.Migrate(t.Context())
	must(t, err)
	return s
}

func newVault(s *store.Store, k keyring.Source) *secondfactor.Vault {
	return secondfactor.NewVault(s, k, clock, slog.New(slog.DiscardHandler))
}

// use stores a factor with a secret, so that the key of the vault is needed.
func use(t testing.TB, s *store.Store, sealed string) {
	t.Helper()
	u, err := account.New("ada", "Ada", "$2a$04$x", noon)
	must(t, err)
	must(t, s.CreateUser(t.Context(), u))
	f := secondfactor.Factor{
		ID: "phone", UserID: u.ID, Kind: secondfactor.KindTOTP, Name: "Phone", Secret: sealed, CreatedAt: noon,
	}
	must(t, s.StartSession(t.Context(), store.NewSession{
		Digest: "session", User: u, CreatedAt: noon, ExpiresAt: noon.Add(time.Hour),
	}))
	must(t, s.AddSecondFactor(t.Context(), u, secondfactor.Completion{NewFactor: &f},
		account.Renewal{From: "session", To: "session"}, noon))
}

// Servers of one database share the key, and what is sealed for one purpose does not open for another.
func TestVault(t *testing.T) {
	t.Parallel()
	s, k := newStore(t), &keys{newRing(t, keyring.EdDSA)}
	sealed, err := newVault(s, k).Seal(t.Context(), "the secret", "a purpose")
	must(t, err)
	if strings.Contains(sealed, "secret") {
		t.Errorf("sealed: %s", sealed)
	}
	other := newVault(s, k)
	if text, err := other.Open(t.Context(), sealed, "a purpose"); err != nil || text != "the secret" {
		t.Errorf("opened %q, %v", text, err)
	}
	for what, bad := range map[string]string{"cut off": sealed[:len(sealed)-4], "nothing": "", "no base64": "?"} {
		if _, err := other.Open(t.Context(), bad, "a purpose"); err == nil || errors.Is(err, secondfactor.ErrSealed) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := other.Open(t.Context(), sealed, "another purpose"); err == nil {
		t.Error("it opens for another purpose")
	}
}

// The key survives every rotation that a running server sees, also one that replaces all keys at once, and a restart
// after it.
func TestVaultFollowsRotations(t *testing.T) {
	t.Parallel()
	s, k := newStore(t), &keys{newRing(t, keyring.HS256)}
	running := newVault(s, k)
	sealed, err := running.Seal(t.Context(), "the secret", "p")
	must(t, err)
	use(t, s, sealed)
	for _, algorithm := range []string{keyring.ES256, keyring.HS256, keyring.RS256} {
		k.ring = newRing(t, algorithm)
		must(t, running.Refresh(t.Context()))
		if text, err := newVault(s, k).Open(t.Context(), sealed, "p"); err != nil || text != "the secret" {
			t.Errorf("after a rotation to %s: %q, %v", algorithm, text, err)
		}
	}

	// A command that replaces the keys while no server runs.
	from, to := k.ring, newRing(t, keyring.EdDSA)
	must(t, secondfactor.Reseal(t.Context(), s, from, to, noon))
	for name, ring := range map[string]*keyring.Ring{"previous": from, "new": to} { // the files may not be written yet
		if text, err := newVault(s, &keys{ring}).Open(t.Context(), sealed, "p"); err != nil || text != "the secret" {
			t.Errorf("after Reseal, with the %s keys: %q, %v", name, text, err)
		}
	}
	must(t, secondfactor.Reseal(t.Context(), s, from, newRing(t, keyring.EdDSA), noon)) // for keys that are never used
	must(t, secondfactor.Forget(t.Context(), s, to, noon))
	if stored, err := s.SealedKeys(t.Context(), nil, false, noon); err != nil || len(stored) != 1 {
		t.Errorf("keys that were removed still open the vault: %v, %v", stored, err)
	}
	k.ring = to
	if text, err := newVault(s, k).Open(t.Context(), sealed, "p"); err != nil || text != "the secret" {
		t.Errorf("after Forget: %q, %v", text, err)
	}
	if err := secondfactor.Forget(t.Context(), s, from, noon); !errors.Is(err, secondfactor.ErrSealed) {
		t.Errorf("Forget for keys that do not open the vault: %v", err)
	}
	err = secondfactor.Reseal(t.Context(), s, newRing(t, keyring.EdDSA), to, noon)
	if !errors.Is(err, secondfactor.ErrSealed) {
		t.Errorf("Reseal from other keys: %v", err)
	}
}

// A server takes the key of another server that has replaced its own, before it seals something.
func TestVaultsHaveOneKey(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	first, second := &keys{newRing(t, keyring.EdDSA)}, &keys{newRing(t, keyring.EdDSA)}
	one, two := newVault(s, first), newVault(s, second)
	must(t, one.Refresh(t.Context()))
	must(t, two.Refresh(t.Context())) // nothing needs the first key
	first.ring = second.ring
	sealed, err := one.Seal(t.Context(), "the secret", "p")
	must(t, err)
	if text, err := two.Open(t.Context(), sealed, "p"); err != nil || text != "the secret" {
		t.Errorf("the other server opens %q, %v", text, err)
	}
}

// With other keys, nothing opens and nothing is replaced, until no secret needs the key any longer.
func TestVaultWithOtherKeys(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	first := &keys{newRing(t, keyring.EdDSA)}
	sealed, err := newVault(s, first).Seal(t.Context(), "the secret", "p")
	must(t, err)
	use(t, s, sealed)
	other := &keys{newRing(t, keyring.EdDSA)}
	vault := newVault(s, other)
	for range 2 {
		if _, err := vault.Open(t.Context(), sealed, "p"); !errors.Is(err, secondfactor.ErrSealed) {
			t.Errorf("with other keys: %v", err)
		}
	}
	if text, err := newVault(s, first).Open(t.Context(), sealed, "p"); err != nil || text != "the secret" {
		t.Errorf("with the first keys again: %q, %v", text, err)
	}
	_, err = s.RemoveSecondFactors(t.Context(), "ada", noon)
	must(t, err)
	if _, err := vault.Seal(t.Context(), "new", "p"); err != nil {
		t.Errorf("after the last secret is removed: %v", err)
	}
}

// An API has the shared secrets, so they are not used beside a key pair; and never those of single APIs.
func TestVaultPrefersKeyPairs(t *testing.T) {
	t.Parallel()
	set, err := keyring.Generate(keyring.HS256, noon, rand.Reader)
	must(t, err)
	set, pair, err := keyring.AddIDTokenKey(set, keyring.EdDSA, noon, rand.Reader)
	must(t, err)
	set, _, err = keyring.Add(set, keyring.HS256, "https://items.example", noon, rand.Reader)
	must(t, err)
	ring, err := keyring.Parse(set)
	must(t, err)
	s := newStore(t)
	must(t, newVault(s, ring).Refresh(t.Context()))
	stored, err := s.SealedKeys(t.Context(), nil, false, noon)
	must(t, err)
	if len(stored) != 1 || stored[0].KeyID != pair.ID {
		t.Errorf("sealed with %v, want %s only", stored, pair.ID)
	}
}
