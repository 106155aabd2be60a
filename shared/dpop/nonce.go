package dpop

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"time"

	"github.com/hallpass-auth/hallpass/shared/keyring"
)

// NonceLifetime is how long a nonce can be used.
const NonceLifetime = time.Minute

// skew is how much the clocks of two servers that share a secret may differ, and how far the clock of a client may be
// ahead of a server that needs no nonce.
const skew = 5 * time.Second

// A nonce is the time when it was made, in milliseconds since 1970, and a MAC of that.
const (
	nonceTime = 8
	nonceMAC  = 16
)

// nonceInfo separates the keys of nonces from other uses of a secret.
const nonceInfo = "hallpass DPoP nonce "

// Nonces makes and checks nonces (RFC 9449 section 8). All servers with the same secret accept them, and nothing is
// stored. It is safe for concurrent use.
type Nonces struct {
	// secrets returns the MAC keys. The first one makes nonces, and all are accepted. Without keys, no nonce is
	// needed.
	secrets func(now time.Time) [][]byte
}

// NewNonces returns Nonces with a secret that all servers for the same clients share.
func NewNonces(secret []byte) *Nonces {
	key := nonceKey(secret, "")
	return &Nonces{secrets: func(time.Time) [][]byte { return [][]byte{key} }}
}

// NoncesOf returns Nonces with the shared secrets of a ring, which all replicas of an API have. While the ring has only
// public keys, no nonce is needed. One API does not accept the nonces of another.
func NoncesOf(keys keyring.Source, audience string) *Nonces {
	return &Nonces{secrets: func(now time.Time) (secrets [][]byte) {
		ring := keys.Current()
		if ring == nil {
			return nil
		}
		for _, key := range ring.Keys() {
			state := ring.StateOf(key, now)
			if key.Secret() == nil || state == keyring.Over {
				continue
			}
			secrets = append(secrets, nonceKey(key.Secret(), audience))
			if last := len(secrets) - 1; state == keyring.Signing {
				secrets[0], secrets[last] = secrets[last], secrets[0]
			}
		}
		return secrets
	}}
}

// nonceKey derives the MAC key from a secret.
func nonceKey(secret []byte, audience string) []byte {
	key, err := hkdf.Key(sha256.New, secret, nil, nonceInfo+audience, sha256.Size)
	if err != nil {
		panic(err) // only for a key that is too long
	}
	return key
}

// New returns a nonce; empty if none is needed.
func (n *Nonces) New(now time.Time) string {
	secrets := n.secrets(now)
	if len(secrets) == 0 {
		return ""
	}
	return newNonce(secrets[0], now)
}

func newNonce(key []byte, now time.Time) string {
	raw := binary.BigEndian.AppendUint64(nil, uint64(now.UnixMilli()))
	return base64url.EncodeToString(append(raw, macOf(key, raw)...))
}

func macOf(key, message []byte) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write(message)
	return mac.Sum(nil)[:nonceMAC]
}

// check checks the nonce of a proof. If the nonce is not valid, or in the second half of its lifetime, check returns
// another one for the next proofs. It also returns whether a nonce is needed at all.
func (n *Nonces) check(nonce string, now time.Time) (next string, needed bool, err error) {
	secrets := n.secrets(now)
	if len(secrets) == 0 {
		return "", false, nil
	}
	made, ok := timeOfNonce(nonce, secrets)
	age := now.Sub(made)
	if !ok || age >= NonceLifetime || age < -skew {
		return newNonce(secrets[0], now), true, errNonce
	}
	if age >= NonceLifetime/2 {
		next = newNonce(secrets[0], now)
	}
	return next, true, nil
}

// timeOfNonce returns when a nonce was made, and whether it was made with one of the keys.
func timeOfNonce(nonce string, keys [][]byte) (made time.Time, ok bool) {
	raw, err := decode(nonce)
	if err != nil || len(raw) != nonceTime+nonceMAC {
		return time.Time{}, false
	}
	for _, key := range keys {
		if subtle.ConstantTimeCompare(raw[nonceTime:], macOf(key, raw[:nonceTime])) == 1 {
			milliseconds := binary.BigEndian.Uint64(raw)
			return time.UnixMilli(int64(milliseconds)), true //nolint:gosec // newNonce has made it
		}
	}
	return time.Time{}, false
}
