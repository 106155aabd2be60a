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
	"slices"
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
	// AddSealedKeys stores more sealed keys of the key that known has, and deletes those with the kids that are gone. It
	// replaces none, and does nothing unless known is still stored. It reports whether it is.
	AddSealedKeys(ctx context.Context, known SealedKey, more []SealedKey, gone []string, now time.Time) (bool, error)
}

// Vault encrypts the secrets of second factors, with AES-256-GCM.
//
// Its key is random and never changes, and the database has it only encrypted: once with each key of the keys file
// that signs or will sign, by a key that HKDF derives from it. So a copy of the database alone reveals no secret, and
// after a rotation of the keys, even an immediate one, the next key opens the vault: a server that runs seals the key
// again whenever its keys change, and deletes what removed keys open. Keys that an API has a copy of are not used, and
// shared secrets only if there is no key pair.
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
	return v.read(ctx, ring)
}

// read reads the key from the store, where another server may have replaced the one that was read before, and seals it
// with a ring. v.mu is locked.
func (v *Vault) read(ctx context.Context, ring *keyring.Ring) (cipher.AEAD, error) {
	known, key, err := v.find(ctx, ring)
	if err != nil {
		return nil, err
	}
	if key == nil {
		v.report(ctx, ring)
		return nil, ErrSealed
	}
	sealed, err := sealWith(ring, key)
	if err != nil {
		return nil, err
	}
	added, err := v.store.AddSealedKeys(ctx, known, sealed, gone(v.ring, ring), v.now())
	if err != nil {
		return nil, err
	}
	if !added {
		return nil, errors.New("another server is changing the key of second factors: try again")
	}
	aead, err := newAEAD(key)
	if err != nil {
		return nil, err
	}
	v.key, v.aead, v.ring = key, aead, ring
	return aead, nil
}

// find returns the key and what is stored of it; nil if neither the ring nor the one before opens it. Without one,
// or no secret needs the one that is stored, it stores one first. v.mu is locked.
func (v *Vault) find(ctx context.Context, ring *keyring.Ring) (known SealedKey, key []byte, err error) {
	first := v.key
	if first == nil {
		first = make([]byte, 32)
		_, _ = rand.Read(first) // never fails
	}
	sealed, err := sealWith(ring, first)
	if err != nil {
		return known, nil, err
	}
	for _, replace := range []bool{false, true} {
		stored, err := v.store.SealedKeys(ctx, sealed, replace, v.now())
		if err != nil {
			return known, nil, err
		}
		if known, key = unsealWith(ring, stored); key == nil && v.ring != nil {
			known, key = unsealWith(v.ring, stored)
		}
		if key != nil {
			break
		}
	}
	return known, key, nil
}

// gone returns the kids that are in a ring, if there is one, and not in the next one. Other kids that are not in a ring
// may be those of other servers, whose keys files are newer.
func gone(from, to *keyring.Ring) (kids []string) {
	if from == nil {
		return nil
	}
	kept := to.Keys()
	for _, k := range from.Keys() {
		if !slices.ContainsFunc(kept, func(other *keyring.Key) bool { return other.ID == k.ID }) {
			kids = append(kids, k.ID)
		}
	}
	return kids
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
	v.mu.Lock()
	defer v.mu.Unlock()
	aead, err := v.read(ctx, v.keys.Current()) // a new secret must not need a key that was replaced
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

// unsealWith returns one of the sealed keys, and the key that it has; nil if the ring has the key of none of them.
func unsealWith(ring *keyring.Ring, sealed []SealedKey) (known SealedKey, key []byte) {
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
				return s, key
			}
		}
	}
	return SealedKey{}, nil
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

// Reseal opens the vault with one ring and seals its key with another one too, for a command that replaces the keys at
// once. Both rings open it until Forget is called, which is after the new keys are in their file. It does nothing if
// there is no vault yet. It returns ErrSealed or an error of ctx or the store.
func Reseal(ctx context.Context, store VaultStore, from, to *keyring.Ring, now time.Time) error {
	return reseal(ctx, store, from, to, nil, now)
}

// Forget deletes what only other rings open, after Reseal. No server may run meanwhile whose keys are newer. It returns
// ErrSealed if the ring does not open the vault, or an error of ctx or the store.
func Forget(ctx context.Context, store VaultStore, ring *keyring.Ring, now time.Time) error {
	stored, err := store.SealedKeys(ctx, nil, false, now)
	if err != nil {
		return err
	}
	var others []string
	for _, s := range stored {
		if !slices.ContainsFunc(sealers(ring), func(k *keyring.Key) bool { return k.ID == s.KeyID }) {
			others = append(others, s.KeyID)
		}
	}
	return reseal(ctx, store, ring, ring, others, now)
}

// reseal opens the vault with one ring, seals its key with another one, and deletes the copies for the given kids.
func reseal(ctx context.Context, store VaultStore, from, to *keyring.Ring, gone []string, now time.Time) error {
	stored, err := store.SealedKeys(ctx, nil, false, now)
	if err != nil || len(stored) == 0 {
		return err
	}
	known, key := unsealWith(from, stored)
	if key == nil {
		return ErrSealed
	}
	sealed, err := sealWith(to, key)
	if err != nil {
		return err
	}
	added, err := store.AddSealedKeys(ctx, known, sealed, gone, now)
	if err == nil && !added {
		err = errors.New("a server is changing the key of second factors: stop it")
	}
	return err
}
