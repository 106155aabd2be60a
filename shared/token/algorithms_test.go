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

// halves returns the ring of a new key, and, for one that has it, the ring of its
// public half, as an API has it.
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

// What one half of a key signs, the other accepts, and that of another key does not.
func TestAlgorithms(t *testing.T) {
	for _, algorithm := range keyring.Algorithms {
		t.Run(algorithm, func(t *testing.T) {
			whole, public := halves(t, algorithm)
			raw := sign(t, whole, goodClaims())
			remembered(t, verifier(t, withKeys(public)), raw)
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

// CHECKLIST 45: alg tied to the key. Everybody knows a public key: it must never
// serve as the secret of an HMAC, nor a key as one of another kind.
func TestAlgorithmIsTheKeysOwn(t *testing.T) {
	for _, algorithm := range []string{keyring.EdDSA, keyring.ES256, keyring.RS256} {
		t.Run(algorithm, func(t *testing.T) {
			_, public := halves(t, algorithm)
			v := verifier(t, withKeys(public))
			for _, alg := range append([]string{"none", "HS384", "PS256", "ES384"}, keyring.Algorithms...) {
				for _, known := range knownForms(t, public) {
					header := goodHeader().with("alg", alg).with("kid", idOf(t, public))
					refused(t, v, mint(t, header, goodPayload(), sha256.New, known), token.ErrInvalid)
				}
			}
			raw := minted(t, goodHeader().with("kid", idOf(t, public)), goodPayload())
			if _, err := v.Verify(t.Context(), raw); err == nil || !strings.Contains(err.Error(), "alg is not the algorithm of the key") {
				t.Errorf("the reason is %v: it was not the alg that was looked at first", err)
			}
		})
	}
}

// idOf returns the kid of the one key of the ring.
func idOf(t *testing.T, ring *keyring.Ring) string {
	t.Helper()
	return onlyKey(t, ring)["kid"].(string)
}

// knownForms are the texts in which everybody knows the public key of the ring.
func knownForms(t *testing.T, ring *keyring.Ring) []string {
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

// soon is a source that may still learn of more keys.
type soon struct {
	keyring.Source
	pending bool
	asked   int
}

func (s *soon) Pending() bool {
	s.asked++
	return s.pending
}

// A key that is not known yet is no reason to throw a token away, and what is wrong
// with a token otherwise is no reason to ask for keys.
func TestUnknownKeyWhileKeysAreFetched(t *testing.T) {
	source := &soon{Source: goodRing(t), pending: true}
	v := verifier(t, withKeys(source))
	unknown := minted(t, goodHeader().with("kid", "k2"), goodPayload())
	refused(t, v, unknown, token.ErrUnavailable)
	if source.asked != 1 {
		t.Errorf("asked %d times, want once", source.asked)
	}
	source.pending = false
	refused(t, v, unknown, token.ErrInvalid)
	if _, err := v.Verify(t.Context(), unknown); err.Error() != token.ErrInvalid.Error()+": kid names no key that verifies now" {
		t.Errorf("the log would say %q", err)
	}

	source.pending, source.asked = true, 0
	remembered(t, v, minted(t, goodHeader(), goodPayload()))
	refused(t, v, "hunter2", token.ErrInvalid)
	refused(t, v, minted(t, goodHeader().with("alg", "none").with("kid", "k2"), goodPayload()), token.ErrInvalid)
	refused(t, v, minted(t, goodHeader().with("typ", "JWT").with("kid", "k2"), goodPayload()), token.ErrInvalid)
	refused(t, v, mint(t, goodHeader(), goodPayload(), sha256.New, "forged"), token.ErrInvalid)
	if source.asked != 0 {
		t.Errorf("bad tokens asked for keys %d times", source.asked)
	}
}
