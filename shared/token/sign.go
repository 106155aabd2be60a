package token

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/hallpass-auth/hallpass/shared/keyring"
)

// Signer signs tokens with the current signing key of a ring. It is safe for concurrent use.
type Signer struct {
	// Keys returns the ring; required.
	Keys keyring.Source
	// Audience is the API that holds the shared secrets bound to no API. Tokens for any other API are
	// signed with a key bound to that API or with a key pair. Empty means that there is only one API.
	Audience string
	// OwnAudience is an API that the authorization server itself serves, such as its admin API, or empty. Where no other
	// key may sign its tokens, a key for ID tokens does, which no other API has.
	OwnAudience string
	// Now is the clock that selects the key; nil means time.Now.
	Now func() time.Time
}

// Sign returns a token with the claims, in compact serialization. It is an error if a Verifier would
// refuse the token: a claim that RFC 9068 section 2.2 requires is missing, the scope is invalid, or the
// token is longer than MaxLength. The error is keyring.ErrNoSigner if no key may sign now.
func (s *Signer) Sign(c *Claims) (string, error) {
	w := c.wire()
	if _, err := w.claims(); err != nil {
		return "", fmt.Errorf("no verifier would accept the token: %w", err)
	}
	key, err := s.Key(c.Audience)
	if err != nil {
		return "", err
	}
	payload, err := json.Marshal(w)
	if err != nil {
		return "", err
	}
	signed, err := key.Sign(Type, payload)
	if err != nil {
		return "", fmt.Errorf("signing a token: %w", err)
	}
	if len(signed) > MaxLength {
		return "", fmt.Errorf("no verifier would accept the token: it has %d bytes, more than %d", len(signed), MaxLength)
	}
	return signed, nil
}

// CanSign reports whether there is a key that signs tokens for the audience now.
func (s *Signer) CanSign(audience string) bool {
	_, err := s.Key([]string{audience})
	return err == nil
}

// Key returns the key that signs tokens for the audience now, or keyring.ErrNoSigner. It should also
// sign the status list of those tokens, so that every verifier of the tokens can verify the list.
func (s *Signer) Key(audience []string) (*keyring.Key, error) {
	ring, now := s.Keys.Current(), s.now()
	switch {
	case s.Audience == "" || slices.Equal(audience, []string{s.Audience}):
		return ring.Signer(now)
	case len(audience) != 1: // an API that shares a secret could forge tokens for the others
		return nil, keyring.ErrNoSigner
	}
	key, err := ring.SignerFor(audience[0], now)
	if err == nil || audience[0] != s.OwnAudience {
		return key, err
	}
	for _, algorithm := range ring.IDTokenAlgorithms(now) {
		return ring.IDTokenSigner(algorithm, now)
	}
	return nil, err
}

func (s *Signer) now() time.Time {
	if s.Now == nil {
		return time.Now()
	}
	return s.Now()
}
