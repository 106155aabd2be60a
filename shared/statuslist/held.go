package statuslist

import (
	"bytes"
	"crypto"
	"time"

	"github.com/hallpass-auth/hallpass/shared/keyring"
	"github.com/hallpass-auth/hallpass/shared/token"
)

// held is a copy of a list.
type held struct {
	Token
	key       *keyring.Key // that it was verified with
	etag      string
	confirmed time.Time // when it was fetched, or last found to be unchanged
}

// pause is how long to wait before the next fetch. A copy is to be neither older than its
// ttl nor past its exp, and fetching takes a while, so half of either has to do.
func (h *held) pause(now time.Time) time.Duration {
	pause := fetchPause
	if h.TTL > 0 {
		pause = h.TTL / 2
	}
	return max(min(pause, h.ExpiresAt.Sub(now)/2), fetchAtLeast)
}

// inForce returns why a copy does not answer: errExpired, errEnded, or nil if it does.
func (c *Client) inForce(h *held, now time.Time) error {
	if !now.Before(h.ExpiresAt.Add(token.DefaultLeeway)) {
		return errExpired
	}
	if !c.keyAlive(h.key, now) {
		return errEnded
	}
	return nil
}

// keyAlive reports whether a key is in the current ring and still verifies. Unlike a token,
// which is just verified again, a list would have to be fetched again; so it is enough that
// the key is the same to look at, as it is when others were added to the file beside it.
func (c *Client) keyAlive(key *keyring.Key, now time.Time) bool {
	current, ok := c.cfg.Keys.Current().Verifier(key.ID, now)
	return ok && (current == key || sameKey(current, key))
}

// sameKey reports whether both keys verify the same.
func sameKey(a, b *keyring.Key) bool {
	if a.Algorithm != b.Algorithm || a.Audience != b.Audience {
		return false
	}
	if a.Algorithm == keyring.HS256 {
		return bytes.Equal(a.Secret(), b.Secret())
	}
	public, ok := a.VerificationKey().(interface{ Equal(crypto.PublicKey) bool })
	return ok && public.Equal(b.VerificationKey())
}
