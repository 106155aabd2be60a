package token

import (
	"fmt"
	"slices"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/hallpass-auth/hallpass/shared/keyring"
)

// Signer signs tokens with whichever key of its source signs now. It is safe for
// concurrent use.
type Signer struct {
	// Keys gives the ring; required.
	Keys keyring.Source
	// Audience is the API that shares the secrets of the ring which are tied to none.
	// Tokens for another one are signed with a key of its own, or with one that is not
	// shared. Empty means that there is no other one.
	Audience string
	// Now is the clock that picks the key; nil means time.Now.
	Now func() time.Time
}

// Sign returns the token that says c, in compact form. Claims that RFC 9068 §2.2
// requires must all be there: an incomplete token is an error, never signed. The
// error is keyring.ErrNoSigner when no key may sign now.
func (s *Signer) Sign(c *Claims) (string, error) {
	w := c.wire()
	if name := w.missing(); name != "" {
		return "", fmt.Errorf("token without the claim %s is not signed", name)
	}
	key, err := s.Key(c.Audience)
	if err != nil {
		return "", err
	}
	t := jwt.NewWithClaims(jwt.GetSigningMethod(key.Algorithm), w)
	t.Header["typ"] = Type
	t.Header["kid"] = key.ID
	signed, err := t.SignedString(key.SigningKey())
	if err != nil {
		return "", fmt.Errorf("signing a token: %w", err)
	}
	return signed, nil
}

// CanSign reports whether there is a key for tokens of this audience now.
func (s *Signer) CanSign(audience string) bool {
	_, err := s.Key([]string{audience})
	return err == nil
}

func (s *Signer) now() time.Time {
	if s.Now == nil {
		return time.Now()
	}
	return s.Now()
}

// Key returns the key that signs tokens for this audience now, or keyring.ErrNoSigner. A
// status list that such tokens point at is to be signed with it too: whoever can verify
// the one can then verify the other.
func (s *Signer) Key(audience []string) (*keyring.Key, error) {
	ring, now := s.Keys.Current(), s.now()
	switch {
	case s.Audience == "" || slices.Equal(audience, []string{s.Audience}):
		return ring.Signer(now)
	case len(audience) != 1: // whoever shares the secret of one could forge for the others
		return nil, keyring.ErrNoSigner
	}
	return ring.SignerFor(audience[0], now)
}
