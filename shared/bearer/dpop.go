package bearer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/hallpass-auth/hallpass/shared/dpop"
	"github.com/hallpass-auth/hallpass/shared/keyring"
	"github.com/hallpass-auth/hallpass/shared/oauth"
	"github.com/hallpass-auth/hallpass/shared/token"
)

// Details of refusals that are about DPoP (RFC 9449). Refusals of proofs have the description of package dpop.
const (
	detailBound    = "The access token is bound to a key: send it with the scheme DPoP and a proof"
	detailUnbound  = "The access token is not bound to a key: send it with the scheme Bearer"
	detailRequired = "This API accepts only access tokens that are bound to a key (DPoP)"
	detailOtherKey = "The proof is not of the key that the access token is bound to"
	// detailBearerOnly is also for a request with the scheme DPoP.
	detailBearerOnly = "This API accepts bearer tokens only: get an access token that is not bound to a key (DPoP)"
)

// AcceptDPoP makes a Guard of New accept access tokens that are bound to a key, with the proofs that the verifier
// accepts. Without it, such tokens are refused. Call it before the guard is used. Open does it by its configuration.
func (g *Guard) AcceptDPoP(proofs *dpop.Verifier) { g.proofs = proofs }

// BearerOnly returns a guard that differs from g only in that it refuses tokens that are bound to a key, as with
// Config.BearerOnly. It is for what cannot check proofs. If g requires bound tokens, the other guard refuses all.
func (g *Guard) BearerOnly() *Guard {
	if g.proofs == nil {
		return g
	}
	only := *g
	only.proofs = nil
	return &only
}

var (
	// errBearerOnly reports a RequireDPoP that would refuse every token.
	errBearerOnly = errors.New("it cannot be combined with BearerOnly")
	// errNoURL reports a RequireDPoP that would refuse every token.
	errNoURL = errors.New("it needs the public URL of the API, since the audience is not an http or https URL")
	// errShortNonceSecret reports a DPoPNonceSecret that can be guessed.
	errShortNonceSecret = fmt.Errorf("it needs %d bytes or more: make one with 'openssl rand -hex 32'",
		keyring.MinSecret)
)

// openProofs returns what verifies proofs for cfg. It returns nil with BearerOnly, and if the URL of the API is not
// known: then the API cannot tell which requests a proof is for, and bound tokens are refused.
func openProofs(cfg Config, keys keyring.Source) (*dpop.Verifier, error) {
	switch {
	case cfg.BearerOnly && cfg.RequireDPoP:
		return nil, &ConfigError{"RequireDPoP", errBearerOnly}
	case cfg.BearerOnly:
		return nil, nil // bound tokens are not accepted
	}
	base, err := dpop.ParseBase(cmp.Or(cfg.PublicURL, cfg.Audience))
	switch {
	case err == nil:
	case cfg.PublicURL != "":
		return nil, &ConfigError{"PublicURL", err}
	case cfg.RequireDPoP:
		return nil, &ConfigError{"RequireDPoP", errNoURL}
	default:
		return nil, nil // bound tokens are not accepted
	}
	nonces := dpop.NoncesOf(keys, cfg.Audience)
	if cfg.DPoPNonceSecret != "" {
		if len(cfg.DPoPNonceSecret) < keyring.MinSecret {
			return nil, &ConfigError{"DPoPNonceSecret", errShortNonceSecret}
		}
		nonces = dpop.NewNonces([]byte(cfg.DPoPNonceSecret))
	}
	return dpop.NewVerifier(dpop.Config{
		Base:    base,
		Nonces:  nonces,
		Replays: dpop.NewMemory(dpop.DefaultMemory),
		Now:     cfg.Now,
	}), nil
}

// prove checks that the token was sent as it must be: with a proof of the key that it is bound to, or as a bearer
// token if it is bound to none (RFC 9449 section 7). It returns a nonce for the response if the client should use
// another one from now on.
func (g *Guard) prove(r *http.Request, sent credentials, claims *token.Claims) (nonce string, refusal *Refusal) {
	bound := claims.KeyThumbprint != ""
	switch {
	case bound && g.proofs == nil:
		return "", g.refuse(r.Context(), detailBearerOnly)
	case bound && sent.scheme != dpop.Scheme:
		refusal := g.refuse(r.Context(), detailBound)
		refusal.Algorithms = dpop.Algorithms
		return "", refusal
	case !bound && sent.scheme == dpop.Scheme:
		return "", g.refuse(r.Context(), detailUnbound)
	case !bound && g.requireDPoP:
		return "", g.refuse(r.Context(), detailRequired)
	case !bound:
		return "", nil
	}
	if done, ok := r.Context().Value(provenKey{g}).(proven); ok && done == provenBy(r) {
		return "", nil
	}
	proof, err := g.proofs.Check(r, sent.token)
	if err == nil && proof.Thumbprint != claims.KeyThumbprint {
		return "", g.refuse(r.Context(), detailOtherKey)
	}
	if err == nil {
		err = g.proofs.Use(r.Context(), proof)
	}
	if err != nil {
		return "", g.refuseProof(r.Context(), proof, err)
	}
	return proof.Nonce, nil
}

// schemeOf returns the scheme that a valid token must have been sent with.
func schemeOf(claims *token.Claims) string {
	if claims.KeyThumbprint != "" {
		return dpop.Scheme
	}
	return bearerScheme
}

// refuse returns and logs the refusal of a valid token that was not sent as it must be.
func (g *Guard) refuse(ctx context.Context, detail string) *Refusal {
	g.logRefused(ctx, errors.New(detail))
	return &Refusal{Status: http.StatusUnauthorized, Code: oauth.CodeInvalidToken, Detail: detail}
}

// refuseProof returns the refusal for an error of dpop.Verifier, and logs the error.
func (g *Guard) refuseProof(ctx context.Context, proof dpop.Proof, err error) *Refusal {
	var protocol *oauth.Error
	if !errors.As(err, &protocol) {
		level, attributes := g.unproven.Next(err, time.Now())
		g.log.Log(ctx, level, "DPoP proof not checked", attributes...)
		return &Refusal{Status: http.StatusServiceUnavailable, Detail: detailUnavailable}
	}
	if protocol.Code != oauth.CodeUseDPoPNonce { // every client gets that now and then
		g.logRefused(ctx, err)
	}
	return &Refusal{
		Status: http.StatusUnauthorized,
		Code:   protocol.Code,
		Detail: protocol.Description,
		Nonce:  proof.Nonce,
	}
}

// addDPoP adds to a refusal what the client should know about DPoP. Without credentials, the client may use both
// schemes.
func (g *Guard) addDPoP(refusal *Refusal, scheme string) {
	if g.proofs == nil {
		return
	}
	if scheme == dpop.Scheme || g.requireDPoP {
		refusal.Scheme, refusal.Algorithms = dpop.Scheme, dpop.Algorithms
	} else if refusal.Status == http.StatusUnauthorized && refusal.Code == "" {
		refusal.Algorithms = dpop.Algorithms
	}
}

// setNonce tells the client a new nonce. The response must not be cached: it would tell an old one later (RFC 9449
// section 8.2).
func setNonce(w http.ResponseWriter, nonce string) {
	if nonce != "" {
		w.Header().Set(dpop.NonceHeader, nonce)
		w.Header().Set("Cache-Control", "no-store")
	}
}

// provenKey is the context key of the proof that a guard has accepted for a request. Middleware of the same guard
// further in must not take that proof for a replay.
type provenKey struct{ guard *Guard }

// proven is a token, as it was sent, with its proof.
type proven struct{ authorization, proof string }

// provenBy returns the token and the proof that a request has.
func provenBy(r *http.Request) proven {
	return proven{r.Header.Get("Authorization"), r.Header.Get(dpop.Header)}
}
