package web

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"time"

	"github.com/hallpass-auth/hallpass/shared/dpop"
	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/record"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
)

// Proofs remembers in the database which DPoP proofs were used, so that no server accepts one again.
type Proofs struct{ Store *store.Store }

// Use implements dpop.Replays.
func (p Proofs) Use(ctx context.Context, id [sha256.Size]byte, expires, now time.Time) error {
	err := p.Store.UseAssertion(ctx, base64.RawURLEncoding.EncodeToString(id[:]), expires, now)
	if errors.Is(err, record.ErrExists) {
		return dpop.ErrReplayed
	}
	return err
}

// keyThumbprint matches a JWK SHA-256 thumbprint (RFC 9449 section 10).
var keyThumbprint = regexp.MustCompile(`^[A-Za-z0-9_-]{43}$`)

// errKeyThumbprint is the response to a dpop_jkt that no proof could match.
var errKeyThumbprint = oauth.ErrInvalidRequest.Describe(
	"dpop_jkt must be the JWK SHA-256 thumbprint of a key: 43 characters of base64url")

// errOtherKey is the response to a pushed request that names another key than that of its proof (RFC 9449 section
// 10.1).
var errOtherKey = oauth.ErrInvalidRequest.Describe("dpop_jkt is not the thumbprint of the key in the DPoP proof")

// checkProof checks the DPoP proof of a request, if it has one (RFC 9449 section 5). It sets the header with the nonce
// for the next request, also when it returns an error. The proof is not used up yet: a client that must come again
// with a nonce can do so with the same assertion and code.
func (e *endpoints) checkProof(w http.ResponseWriter, r *http.Request) (dpop.Proof, error) {
	if !dpop.Sent(r) {
		return dpop.Proof{}, nil
	}
	w.Header().Set(dpop.NonceHeader, e.cfg.Proofs.Nonce())
	return e.cfg.Proofs.Check(r, "")
}

// useProof uses up the proof that checkProof has returned.
func (e *endpoints) useProof(ctx context.Context, proof dpop.Proof) error {
	if proof.Thumbprint == "" {
		return nil
	}
	return e.cfg.Proofs.Use(ctx, proof)
}

// pushKey binds a pushed request to the key of its proof, by the parameter dpop_jkt (RFC 9449 section 10.1).
func pushKey(form url.Values, proof dpop.Proof) error {
	switch {
	case proof.Thumbprint == "":
		return nil
	case form.Has("dpop_jkt") && form.Get("dpop_jkt") != proof.Thumbprint:
		return errOtherKey
	}
	form.Set("dpop_jkt", proof.Thumbprint)
	return nil
}
