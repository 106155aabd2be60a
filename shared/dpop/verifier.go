package dpop

import (
	"context"
	"crypto/sha256"
	"errors"
	"net/http"
	"time"
)

// How far iat may be from the server's clock.
const (
	// maxAge is how old a proof may be at a server that needs no nonce.
	maxAge = NonceLifetime
	// maxDifference is how wrong the client's clock may be if a nonce shows how old the proof is (RFC 9449 section
	// 4.3, check 11).
	maxDifference = 5 * time.Minute
)

// validity is how long after its first use a proof may still be accepted.
const validity = NonceLifetime + skew

// Replays remembers which proofs were used. It must be safe for concurrent use.
type Replays interface {
	// Use records that a proof was used at now, and keeps the record until it expires. It returns ErrReplayed if the
	// proof was used before, and another error if the use cannot be recorded now.
	Use(ctx context.Context, id [sha256.Size]byte, expires, now time.Time) error
}

// Config configures a Verifier. All fields but Now are required.
type Config struct {
	// Base is where clients reach the server.
	Base Base
	// Nonces makes and checks nonces.
	Nonces *Nonces
	// Replays remembers which proofs were used.
	Replays Replays
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// Verifier verifies the proofs of requests (RFC 9449 section 4.3). It is safe for concurrent use.
type Verifier struct {
	cfg Config
}

// NewVerifier returns a Verifier.
func NewVerifier(cfg Config) *Verifier {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Verifier{cfg: cfg}
}

// Sent reports whether a request has a proof, whether valid or not.
func Sent(r *http.Request) bool { return len(r.Header.Values(Header)) > 0 }

// Nonce returns a nonce for a response; empty if none is needed.
func (v *Verifier) Nonce() string { return v.cfg.Nonces.New(v.cfg.Now()) }

// Check returns the proof of a request. access is the access token of the request, and empty at an endpoint that takes
// none. The error is an *oauth.Error: invalid_dpop_proof, or use_dpop_nonce if the nonce is missing or too old. With
// use_dpop_nonce, the returned proof has a new nonce. The caller must call Use before it accepts the request.
func (v *Verifier) Check(r *http.Request, access string) (Proof, error) {
	p, err := parse(r.Header.Values(Header))
	if err != nil {
		return Proof{}, err
	}
	if p.Method != methodOf(r) {
		return Proof{}, errInvalid.Describe("htm is not the method of the request")
	}
	if url, ok := normalize(p.URL); !ok || url != v.cfg.Base.of(r) {
		return Proof{}, errInvalid.Describe("htu is not the URL of the request as this server knows it, " + v.cfg.Base.of(r))
	}
	if access != "" {
		if err := p.checkToken(access); err != nil {
			return Proof{}, err
		}
	}
	now := v.cfg.Now()
	next, needed, err := v.cfg.Nonces.check(p.claims.Nonce, now)
	if err != nil {
		return Proof{Nonce: next}, err
	}
	old, ahead := maxAge, skew
	if needed {
		old, ahead = maxDifference, maxDifference
	}
	if err := p.checkTime(now, old, ahead); err != nil {
		return Proof{}, err
	}
	proof, err := p.verify()
	proof.Nonce = next
	return proof, err
}

// Use records that a proof was used. The error is invalid_dpop_proof if it was used before, or an error of
// Config.Replays.
func (v *Verifier) Use(ctx context.Context, p Proof) error {
	now := v.cfg.Now()
	// Remember it for longer than it is valid: a server whose clock is behind may still accept it.
	err := v.cfg.Replays.Use(ctx, p.ID, now.Add(2*validity), now)
	if errors.Is(err, ErrReplayed) {
		return errReplayed
	}
	return err
}
