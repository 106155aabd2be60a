package keyring

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/hallpass-auth/hallpass/shared/oauth"
)

// idTokenAudience begins the audience of the keys that sign ID tokens. The algorithm follows. No API can
// have such an audience, so an access token that is signed with such a key is never valid.
const idTokenAudience = oauth.ReservedAudience + "id-token:"

// IDTokenAlgorithms lists the algorithms of ID tokens. RS256 is the default of OpenID Connect Core section
// 3.1.3.7. HS256 is missing: it would need the client's secret, of which only a digest is stored.
var IDTokenAlgorithms = []string{RS256, ES256, EdDSA}

// IDTokenAudience returns the audience of the keys that sign ID tokens with an algorithm.
func IDTokenAudience(algorithm string) string { return idTokenAudience + algorithm }

// IDTokenAlgorithm is the inverse of IDTokenAudience. It returns "" for the audience of an API.
func IDTokenAlgorithm(audience string) string {
	algorithm, ok := strings.CutPrefix(audience, idTokenAudience)
	if !ok {
		return ""
	}
	return algorithm
}

// ForIDTokens reports whether the key is for ID tokens, and not for access tokens.
func (s *Successor) ForIDTokens() bool { return IDTokenAlgorithm(s.Audience) != "" }

// ForIDTokens reports whether the key is for ID tokens, and not for access tokens.
func (k *Key) ForIDTokens() bool { return strings.HasPrefix(k.Audience, idTokenAudience) }

// IDTokenSigner returns the key that signs ID tokens with an algorithm at now, or ErrNoSigner.
func (r *Ring) IDTokenSigner(algorithm string, now time.Time) (*Key, error) {
	audience := IDTokenAudience(algorithm)
	return r.latest(now, func(k *Key) bool { return k.Audience == audience && k.Algorithm == algorithm })
}

// IDTokenAlgorithms returns the algorithms that IDTokenSigner has a key for at now, RS256 first.
func (r *Ring) IDTokenAlgorithms(now time.Time) (algorithms []string) {
	for _, algorithm := range IDTokenAlgorithms {
		if _, err := r.IDTokenSigner(algorithm, now); err == nil {
			algorithms = append(algorithms, algorithm)
		}
	}
	return algorithms
}

// IDTokenKey returns the key for ID tokens with the given id, whatever its schedule.
func (r *Ring) IDTokenKey(id string) (*Key, bool) {
	k, ok := r.byID[id]
	return k, ok && k.ForIDTokens()
}

// HasIDTokenKey reports whether the ring has a key that signs ID tokens with the algorithm, now or later,
// and has no end.
func (r *Ring) HasIDTokenKey(algorithm string) bool { return r.hasKeyFor(IDTokenAudience(algorithm)) }

// withoutIDTokenKeys returns the ring without the keys for ID tokens. The error is errEmpty if it has no
// other key.
func (r *Ring) withoutIDTokenKeys() (*Ring, error) {
	var keys []*Key
	for _, k := range r.keys {
		if !k.ForIDTokens() {
			keys = append(keys, k)
		}
	}
	if len(keys) == len(r.keys) {
		return r, nil
	}
	return newRing(keys)
}

// AddIDTokenKey generates a key for ID tokens that signs from signsFrom, and returns the set with it. The
// error is ErrBadRing if the set is not valid or has such a key of the algorithm already.
func AddIDTokenKey(set []byte, algorithm string, signsFrom time.Time, random io.Reader) ([]byte, *Successor, error) {
	if algorithm == HS256 {
		return nil, nil, errors.New("an ID token is not signed with a shared secret")
	}
	ring, doc, keys, err := openSet(set)
	if err != nil {
		return nil, nil, err
	}
	if ring.HasIDTokenKey(algorithm) {
		return nil, nil, fmt.Errorf("%w: it has a key for %s ID tokens already", ErrBadRing, algorithm)
	}
	next, err := NewSuccessor(algorithm, IDTokenAudience(algorithm), signsFrom, signsFrom, random)
	if err != nil {
		return nil, nil, err
	}
	next.Retires = time.Time{} // it replaces none
	added, err := writeSet(doc, append(keys, next.jwk)...)
	return added, next, err
}
