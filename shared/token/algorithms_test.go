package token_test

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"strings"
	"testing"

	"github.com/hallpass-auth/hallpass/shared/keyring"
	"github.com/hallpass-auth/hallpass/shared/token"
)

// halves returns the ring of a new key, and the ring that an API has: of the public half, or of the same
// secret.
func halves(t *testing.T, algorithm string) (whole, public *keyring.Ring) {
	t.Helper()
	data, err := keyring.Generate(algorithm, start, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if whole, err = keyring.Parse(data); err != nil {
		t.Fatal(err)
	}
	if algorithm == keyring.HS256 {
		return whole, whole
	}
	if data, err = whole.Public(start); err != nil {
		t.Fatal(err)
	}
	if public, err = keyring.ParsePublic(data); err != nil {
		t.Fatal(err)
	}
	return whole, public
}

func withKeys(source keyring.Source) func(*token.VerifierConfig) {
	return func(cfg *token.VerifierConfig) { cfg.Keys = source }
}

// A token verifies with the public half of its key, and not with another key.
func TestEveryAlgorithm(t *testing.T) {
	for _, algorithm := range keyring.Algorithms {
		t.Run(algorithm, func(t *testing.T) {
			whole, public := halves(t, algorithm)
			raw := sign(t, whole, goodClaims())
			acceptsCached(t, verifier(t, withKeys(public)), raw)
			_, other := halves(t, algorithm)
			refused(t, verifier(t, withKeys(other)), raw, token.ErrInvalid)
			if algorithm == keyring.HS256 {
				return
			}
			if _, err := (&token.Signer{Keys: public}).Sign(goodClaims()); !errors.Is(err, keyring.ErrNoSigner) {
				t.Errorf("the public half signs: %v", err)
			}
		})
	}
}

// Each key is used with one algorithm only (RFC 8725 section 3.1): a public key, which everybody knows,
// is never the secret of an HMAC.
func TestAlgorithmMustMatchTheKey(t *testing.T) {
	for _, algorithm := range []string{keyring.EdDSA, keyring.ES256, keyring.RS256} {
		t.Run(algorithm, func(t *testing.T) {
			_, public := halves(t, algorithm)
			v := verifier(t, withKeys(public))
			for _, alg := range append([]string{"none", "HS384", "PS256", "ES384"}, keyring.Algorithms...) {
				for _, known := range publicEncodings(t, public) {
					header := goodHeader().with("alg", alg).with("kid", idOf(t, public))
					refused(t, v, mint(t, header, goodPayload(), sha256.New, known), token.ErrInvalid)
				}
			}
			raw := minted(t, goodHeader().with("kid", idOf(t, public)), goodPayload())
			if _, err := v.Verify(t.Context(), raw); err == nil ||
				!strings.Contains(err.Error(), "alg is not the algorithm of the key") {
				t.Errorf("the reason is %v: alg was not checked first", err)
			}
		})
	}
}

// idOf returns the kid of the only key of the ring.
func idOf(t *testing.T, ring *keyring.Ring) string {
	t.Helper()
	return onlyKey(t, ring)["kid"].(string)
}

// publicEncodings returns the encodings in which an attacker may know the public key of the ring.
func publicEncodings(t *testing.T, ring *keyring.Ring) []string {
	t.Helper()
	key, ok := ring.Verifier(idOf(t, ring), start)
	if !ok {
		t.Fatal("no key")
	}
	der, err := x509.MarshalPKIXPublicKey(key.VerificationKey())
	if err != nil {
		t.Fatal(err)
	}
	set, err := ring.Public(start)
	if err != nil {
		t.Fatal(err)
	}
	forms := []string{"", string(der), string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})), string(set)}
	for _, member := range onlyKey(t, ring) {
		if text, ok := member.(string); ok {
			forms = append(forms, text, fromBase64(text))
		}
	}
	return forms
}

// fetchingSource is a source that may still fetch more keys.
type fetchingSource struct {
	keyring.Source
	pending bool
	asked   int
}

func (s *fetchingSource) Pending() bool {
	s.asked++
	return s.pending
}

// A token with an unknown key is unavailable while keys are fetched. Other invalid tokens do not request
// a fetch.
func TestUnknownKeyWhileKeysAreFetched(t *testing.T) {
	source := &fetchingSource{Source: goodRing(t), pending: true}
	v := verifier(t, withKeys(source))
	unknown := minted(t, goodHeader().with("kid", "k2"), goodPayload())
	refused(t, v, unknown, token.ErrUnavailable)
	if source.asked != 1 {
		t.Errorf("%d fetches requested, want 1", source.asked)
	}
	source.pending = false
	refused(t, v, unknown, token.ErrInvalid)
	const want = "invalid token: kid names no key that verifies now"
	if _, err := v.Verify(t.Context(), unknown); err == nil || err.Error() != want {
		t.Errorf("the error is %q", err)
	}

	source.pending, source.asked = true, 0
	acceptsCached(t, v, minted(t, goodHeader(), goodPayload()))
	refused(t, v, "hunter2", token.ErrInvalid)
	refused(t, v, minted(t, goodHeader().with("alg", "none").with("kid", "k2"), goodPayload()), token.ErrInvalid)
	refused(t, v, minted(t, goodHeader().with("typ", "JWT").with("kid", "k2"), goodPayload()), token.ErrInvalid)
	refused(t, v, mint(t, goodHeader(), goodPayload(), sha256.New, "forged"), token.ErrInvalid)
	if source.asked != 0 {
		t.Errorf("invalid tokens requested %d fetches", source.asked)
	}
}
