package secondfactor

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/hallpass-auth/hallpass/shared/keyring"
)

// sealInfo separates the keys that encrypt the vault's key from other uses of the keys of the keys file.
const sealInfo = "hallpass second factors"

// SealedKey is the key of a Vault, encrypted with a key of the keys file.
type SealedKey struct {
	// KeyID is the kid of that key.
	KeyID string
	// Sealed is the encrypted key.
	Sealed string
}

// VaultStore keeps the sealed keys of a Vault. It is safe for concurrent use.
type VaultStore interface {
	// SealedKeys returns all sealed keys. If there are none, or replace says so and no secret of a second factor is
	// stored, it stores the given ones first, in place of all others. Of calls at once, one stores.
	SealedKeys(ctx context.Context, fresh []SealedKey, replace bool, now time.Time) ([]SealedKey, error)
	// AddSealedKeys stores more sealed keys of the same key.
	AddSealedKeys(ctx context.Context, keys []SealedKey, now time.Time) error
}

// Vault encrypts the secrets of second factors, with AES-256-GCM.
//
// Its key is random and never changes, and the database has it only encrypted: once with each key of the keys file
// that signs or will sign, by a key that HKDF derives from it. So a copy of the database alone reveals no secret, and
// after a rotation of the keys, even an immediate one, the next key opens the vault: a server that runs seals the key
// again whenever its keys change. Keys that an API has a copy of are not used, and shared secrets only if there is no
// key pair.
//
// It is safe for concurrent use.
type Vault struct {
	store VaultStore
	keys  keyring.Source
	now   func() time.Time
	log   *slog.Logger

	mu       sync.Mutex
	ring     *keyring.Ring // that the key is sealed with
	aead     cipher.AEAD   // nil while the key cannot be read
	key      []byte
	reported *keyring.Ring // for which the log says that the key cannot be read
}

// NewVault returns a vault whose key is in the store, and is read at the first use.
func NewVault(store VaultStore, keys keyring.Source, now func() time.Time, log *slog.Logger) *Vault {
	return &Vault{store: store, keys: keys, now: now, log: log}
}

// Refresh reads the key, and seals it with keys that are new in the keys file. Every use of the vault does the same;
// call it periodically, so that an unused vault follows a rotation. It returns ErrSealed or an error of
// ctx or the store.
func (v *Vault) Refresh(ctx context.Context) error {
	_, err := v.open(ctx)
	return err
}

// open returns what encrypts, after the work of Refresh.
func (v *Vault) open(ctx context.Context) (cipher.AEAD, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	ring := v.keys.Current()
	if v.aead != nil && v.ring == ring {
		return v.aead, nil
	}
	if v.key != nil {
		return v.aead, v.sealAgain(ctx, ring)
	}
	fresh := make([]byte, 32)
	_, _ = rand.Read(fresh) // never fails
	sealed, err := sealWith(ring, fresh)
	if err != nil {
		return nil, err
	}
	stored, err := v.store.SealedKeys(ctx, sealed, false, v.now())
	if err != nil {
		return nil, err
	}
	key := unsealWith(ring, stored)
	if key == nil { // perhaps there is nothing that needs the key
		if stored, err = v.store.SealedKeys(ctx, sealed, true, v.now()); err != nil {
			return nil, err
		}
		key = unsealWith(ring, stored)
	}
	if key == nil {
		v.report(ctx, ring)
		return nil, ErrSealed
	}
	if v.aead, err = newAEAD(key); err != nil {
		return nil, err
	}
	v.key = key
	return v.aead, v.sealAgain(ctx, ring)
}

// sealAgain stores the key for a ring. v.mu is locked.
func (v *Vault) sealAgain(ctx context.Context, ring *keyring.Ring) error {
	sealed, err := sealWith(ring, v.key)
	if err == nil {
		err = v.store.AddSealedKeys(ctx, sealed, v.now())
	}
	if err != nil {
		return err
	}
	v.ring = ring
	return nil
}

// report logs once for each ring that the key cannot be read. v.mu is locked.
func (v *Vault) report(ctx context.Context, ring *keyring.Ring) {
	if v.reported == ring {
		return
	}
	v.reported = ring
	v.log.ErrorContext(ctx, "the codes of apps cannot be checked: none of the keys in HALLPASS_KEYS_FILE, or "+
		"HALLPASS_TOKEN_SECRET, can read the secrets of second factors; put the keys back that were in use, or remove "+
		"second factors with 'authserver user set USERNAME --remove-second-factors'; recovery codes work",
		"event", "second_factors_sealed")
}

// Seal encrypts a text for one purpose, which Open must name. It returns ErrSealed or an error of ctx or the store.
func (v *Vault) Seal(ctx context.Context, text, purpose string) (string, error) {
	aead, err := v.open(ctx)
	if err != nil {
		return "", err
	}
	return seal(aead, []byte(text), purpose), nil
}

// errForged is returned for a text that is not one of Seal's, or has another purpose.
var errForged = errors.New("not sealed here for this purpose")

// Open is the inverse of Seal. It returns ErrSealed, an error for a text that Seal has not returned for the purpose, or
// an error of ctx or the store.
func (v *Vault) Open(ctx context.Context, sealed, purpose string) (string, error) {
	aead, err := v.open(ctx)
	if err != nil {
		return "", err
	}
	text, err := unseal(aead, sealed, purpose)
	return string(text), err
}

// seal returns a random nonce and the encrypted text in base64url.
func seal(aead cipher.AEAD, text []byte, purpose string) string {
	sealed := aead.Seal(nil, nil, text, []byte(purpose)) //nolint:gosec // it makes the nonce
	return base64.RawURLEncoding.EncodeToString(sealed)
}

func unseal(aead cipher.AEAD, sealed, purpose string) ([]byte, error) {
	raw, err := base64.RawURLEncoding.DecodeString(sealed)
	if err != nil {
		return nil, errForged
	}
	text, err := aead.Open(nil, nil, raw, []byte(purpose))
	if err != nil {
		return nil, errForged
	}
	return text, nil
}

// newAEAD returns AES-256-GCM with random nonces, which are part of what it seals. A key of it encrypts few texts.
func newAEAD(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// sealWith returns a key sealed with the keys of a ring. It returns an error for a ring without a key that may do so.
func sealWith(ring *keyring.Ring, key []byte) ([]SealedKey, error) {
	var sealed []SealedKey
	for _, k := range sealers(ring) {
		aead, err := sealerOf(k)
		if err != nil {
			return nil, err
		}
		sealed = append(sealed, SealedKey{KeyID: k.ID, Sealed: seal(aead, key, k.ID)})
	}
	if len(sealed) == 0 {
		return nil, fmt.Errorf("%w: there is no key that could", ErrSealed)
	}
	return sealed, nil
}

// unsealWith returns the key that one of the sealed keys has; nil if the ring has the key of none of them.
func unsealWith(ring *keyring.Ring, sealed []SealedKey) []byte {
	for _, k := range ring.Keys() {
		for _, s := range sealed {
			if s.KeyID != k.ID || k.SigningKey() == nil {
				continue
			}
			aead, err := sealerOf(k)
			if err != nil {
				continue
			}
			if key, err := unseal(aead, s.Sealed, k.ID); err == nil {
				return key
			}
		}
	}
	return nil
}

func sealerOf(k *keyring.Key) (cipher.AEAD, error) {
	key, err := k.Derive(sealInfo)
	if err != nil {
		return nil, err
	}
	return newAEAD(key)
}

// sealers returns the keys of a ring that the vault's key is sealed with: the key pairs whose private half no API has,
// or if there are none the shared secrets that are bound to no API.
func sealers(ring *keyring.Ring) []*keyring.Key {
	var pairs, secrets []*keyring.Key
	for _, k := range ring.Keys() {
		switch {
		case k.SigningKey() == nil || k.Audience != "" && !k.ForIDTokens():
		case k.Secret() == nil:
			pairs = append(pairs, k)
		default:
			secrets = append(secrets, k)
		}
	}
	if len(pairs) > 0 {
		return pairs
	}
	return secrets
}

// Reseal opens the vault with one ring and seals its key with another one, for a command that replaces the keys at
// once. It does nothing if there is no vault yet. It returns ErrSealed or an error of ctx or the store.
func Reseal(ctx context.Context, store VaultStore, from, to *keyring.Ring, now time.Time) error {
	stored, err := store.SealedKeys(ctx, nil, false, now)
	if err != nil || len(stored) == 0 {
		return err
	}
	key := unsealWith(from, stored)
	if key == nil {
		return ErrSealed
	}
	sealed, err := sealWith(to, key)
	if err != nil {
		return err
	}
	return store.AddSealedKeys(ctx, sealed, now)
}
