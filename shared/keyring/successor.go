package keyring

import (
	"encoding/json"
	"fmt"
	"io"
	"time"
)

// Successor is a new key that replaces older ones.
type Successor struct {
	// ID is the new key's kid.
	ID string
	// Algorithm is one of Algorithms. Audience is the API that the key is bound to, or empty.
	Algorithm, Audience string
	// SignsFrom is when the key starts to sign. It must leave every verifier time to get the key.
	SignsFrom time.Time
	// Retires is when the older keys stop verifying: when the last token that they have signed
	// expires. It is zero if there are none.
	Retires time.Time

	jwk json.RawMessage
}

// NewSuccessor generates a key for one of Algorithms. Times are truncated to seconds. It is an error
// if retires is before signsFrom. Randomness comes from random, which should be crypto/rand.Reader.
func NewSuccessor(algorithm, audience string, signsFrom, retires time.Time, random io.Reader) (*Successor, error) {
	if retires.Before(signsFrom) {
		return nil, fmt.Errorf("the older keys would retire at %v, before the new key signs from %v", retires, signsFrom)
	}
	jwk, err := newKey(algorithm, audience, signsFrom, random)
	if err != nil {
		return nil, err
	}
	key, err := parseKey(jwk)
	if err != nil {
		return nil, err
	}
	return &Successor{
		ID:        key.ID,
		Algorithm: algorithm,
		Audience:  audience,
		SignsFrom: key.SignsFrom,
		Retires:   retires,
		jwk:       jwk,
	}, nil
}

// ForAPI returns the successor for the keys file of an API: without the private half, if it has one.
func (s *Successor) ForAPI() (*Successor, error) {
	key, err := parseKey(s.jwk)
	if err != nil || key.public == nil {
		return s, err
	}
	half := *s
	half.jwk, err = publicHalf(key)
	return &half, err
}
