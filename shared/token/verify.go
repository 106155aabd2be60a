package token

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/hallpass-auth/hallpass/shared/internal/strictjson"
	"github.com/hallpass-auth/hallpass/shared/keyring"
)

// MaxLength is the length of the longest token that a Verifier accepts, in bytes.
const MaxLength = 8 << 10

// DefaultLeeway is the clock difference between issuer and verifier that is tolerated, for tokens and
// for status lists.
const DefaultLeeway = 5 * time.Second

// maxAhead is how far in the future iat may be. If the issuer's clock was ahead, the token stays valid for
// that much longer than intended, so a token from more than an hour ahead is refused. Smaller differences
// are accepted, because iat is not a start time (RFC 7519 section 4.1.6).
const maxAhead = time.Hour

// DefaultCacheSize is how many verified tokens are cached if VerifierConfig.CacheSize is zero. That
// takes about 10 MiB for tokens of 500 bytes, and 70 MiB for tokens of MaxLength.
const DefaultCacheSize = 8 << 10

// Errors of Verify. A returned error wraps one of them and adds a reason for the log. The reason never
// quotes the token. Do not show it to the client.
var (
	// ErrInvalid reports a token that must not be accepted, now or later.
	ErrInvalid = errors.New("invalid token")
	// ErrUnavailable reports a token that cannot be verified yet: its key is still being fetched, or
	// it is not known whether the token is revoked.
	ErrUnavailable = errors.New("token cannot be verified now")
)

// Revocations reports whether a token is revoked. *statuslist.Client implements it.
//
// Revoked is called for every request and must use only what is in memory. If it has nothing in
// memory yet, it may block until the context ends (a statuslist.Client for up to 4 seconds). It must
// be safe for concurrent use. An error that wraps ErrInvalid makes the token invalid; with any other
// error, Verify returns ErrUnavailable.
type Revocations interface {
	Revoked(context.Context, *Claims) (bool, error)
}

// VerifierConfig configures a Verifier.
type VerifierConfig struct {
	// Keys returns the ring; required.
	Keys keyring.Source
	// Issuer must equal the token's iss; required.
	Issuer string
	// Audience must be one of the token's aud; required.
	Audience string
	// InsecureAnyAudience accepts tokens for every API. Only an authorization server should set it, for
	// introspection: an API would accept tokens meant for others. With it, Audience has the meaning of
	// Signer.Audience.
	InsecureAnyAudience bool
	// OwnAudience is that of the Signer, in the verifiers of the authorization server: see Signer.OwnAudience. A shared
	// secret bound to no API, which another API has, may not sign its tokens.
	OwnAudience string
	// Leeway is added to exp and subtracted from nbf; zero means DefaultLeeway, a negative value none.
	Leeway time.Duration
	// CacheSize is how many verified tokens are cached, rounded up to an even number; zero means
	// DefaultCacheSize, a negative value none.
	CacheSize int
	// Revocations is asked about every token that is otherwise valid. Nil means that no token is
	// revoked. See statuslist.Open.
	Revocations Revocations
	// RequireStatus refuses a token without a reference to a status list. Such a token cannot be revoked:
	// an attacker who has stolen a key could make one that stays valid until the key is retired. Tokens
	// of Hallpass always have one. Set it together with Revocations.
	RequireStatus bool
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// Verifier verifies access tokens. It is safe for concurrent use.
type Verifier struct {
	cfg       VerifierConfig
	validator *jwt.Validator
	cache     *cache
}

// NewVerifier returns a Verifier, or an error that names a missing field of cfg.
func NewVerifier(cfg VerifierConfig) (*Verifier, error) {
	switch {
	case cfg.Keys == nil:
		return nil, errors.New("token.VerifierConfig.Keys is not set")
	case cfg.Issuer == "":
		return nil, errors.New("token.VerifierConfig.Issuer is not set")
	case cfg.Audience == "" && !cfg.InsecureAnyAudience:
		return nil, errors.New("token.VerifierConfig.Audience is not set")
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	cfg.Leeway = orDefault(cfg.Leeway, DefaultLeeway)
	cfg.CacheSize = orDefault(cfg.CacheSize, DefaultCacheSize)
	v := &Verifier{cfg: cfg, cache: newCache(cfg.CacheSize)}
	options := []jwt.ParserOption{
		jwt.WithIssuer(cfg.Issuer),
		jwt.WithExpirationRequired(),
		jwt.WithLeeway(cfg.Leeway),
		jwt.WithTimeFunc(cfg.Now),
	}
	if !cfg.InsecureAnyAudience {
		options = append(options, jwt.WithAudience(cfg.Audience))
	}
	v.validator = jwt.NewValidator(options...)
	return v, nil
}

// orDefault returns value, or fallback if value is zero, or zero if value is negative.
func orDefault[T time.Duration | int](value, fallback T) T {
	if value == 0 {
		return fallback
	}
	return max(value, 0)
}

// Issuer returns the issuer whose tokens are accepted.
func (v *Verifier) Issuer() string { return v.cfg.Issuer }

// Audience returns the audience that a token must have.
func (v *Verifier) Audience() string { return v.cfg.Audience }

// Keys returns the source of the keys, for metrics.
func (v *Verifier) Keys() keyring.Source { return v.cfg.Keys }

// Ready returns an error while there is no key to verify tokens with, and when the keys are about to run
// out and new ones cannot be read: see keyring.Health.Check.
func (v *Verifier) Ready() error {
	ring := v.cfg.Keys.Current()
	if ring == nil || ring.Len() == 0 {
		return errors.New("there are no keys to verify tokens with")
	}
	health, _ := keyring.HealthOf(v.cfg.Keys)
	return health.Check(v.cfg.Now())
}

// Verify returns the claims of a valid token. Otherwise the error is ErrInvalid, or ErrUnavailable if
// a later try may succeed. It does no I/O, but may wait for Revocations until ctx ends. The claims are
// shared: do not change them.
func (v *Verifier) Verify(ctx context.Context, raw string) (*Claims, error) {
	now := v.cfg.Now()
	cacheKey := newTokenKey(raw)
	found, ok := v.cache.get(cacheKey)
	if !ok || !v.cfg.Keys.Current().Verifies(found.key, now) {
		var err error
		if found, err = v.verify(raw, now); err != nil {
			return nil, err
		}
		v.cache.put(cacheKey, found)
	}
	if err := v.checkNow(ctx, found.claims, now); err != nil {
		return nil, err
	}
	return found.claims, nil
}

// verified is a token whose syntax, signature and claims are valid, and the key that signed it.
type verified struct {
	claims *Claims
	key    *keyring.Key
}

// Now returns the time at which tokens are verified.
func (v *Verifier) Now() time.Time { return v.cfg.Now() }

// checkNow checks what can change while a token is cached: that it has not expired or been revoked.
func (v *Verifier) checkNow(ctx context.Context, c *Claims, now time.Time) error {
	if !now.Before(c.ExpiresAt.Add(v.cfg.Leeway)) {
		return fmt.Errorf("%w: it has expired", ErrInvalid)
	}
	if v.cfg.Revocations == nil {
		return nil
	}
	revoked, err := v.cfg.Revocations.Revoked(ctx, c)
	switch {
	case errors.Is(err, ErrInvalid):
		return err
	case err != nil:
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	case revoked:
		return fmt.Errorf("%w: it has been revoked", ErrInvalid)
	}
	return nil
}

// verify checks what cannot change: syntax, header, signature and claims.
func (v *Verifier) verify(raw string, now time.Time) (verified, error) {
	if len(raw) > MaxLength {
		return verified{}, fmt.Errorf("%w: it is longer than %d bytes", ErrInvalid, MaxLength)
	}
	payload, key, err := keyring.Verify(v.cfg.Keys, raw, Type, now)
	if errors.Is(err, keyring.ErrPending) {
		return verified{}, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	if err != nil {
		return verified{}, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	var w wire
	if err := strictjson.Unmarshal(payload, &w); err != nil {
		return verified{}, fmt.Errorf("%w: its claims: %w", ErrInvalid, err)
	}
	claims, err := w.claims()
	if err != nil {
		return verified{}, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if err := v.validator.Validate(claims.registered()); err != nil {
		return verified{}, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if !v.keyMaySign(key, claims.Audience) {
		return verified{}, fmt.Errorf("%w: its key is for another API", ErrInvalid)
	}
	if claims.IssuedAt.After(now.Add(maxAhead)) {
		return verified{}, fmt.Errorf("%w: its iat is more than %v ahead: a clock is wrong", ErrInvalid, maxAhead)
	}
	if v.cfg.RequireStatus && claims.Status == nil {
		return verified{}, fmt.Errorf("%w: it refers to no status list, so it cannot be revoked", ErrInvalid)
	}
	return verified{claims: claims, key: key}, nil
}

// keyMaySign reports whether the key may sign tokens for the audience. An API that has a secret can sign
// with it, so the secret is accepted only in tokens for that API.
func (v *Verifier) keyMaySign(key *keyring.Key, audience []string) bool {
	if v.cfg.OwnAudience != "" && slices.Equal(audience, []string{v.cfg.OwnAudience}) {
		return key.Audience == v.cfg.OwnAudience || key.ForIDTokens() ||
			key.Audience == "" && key.Algorithm != keyring.HS256
	}
	only := key.Audience
	if only == "" && v.cfg.InsecureAnyAudience && key.Algorithm == keyring.HS256 {
		only = v.cfg.Audience
	}
	return only == "" || slices.Equal(audience, []string{only})
}
