package token

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/hallpass-auth/hallpass/shared/keyring"
)

// MaxLength is the length of the longest token that is looked at, in bytes.
const MaxLength = 8 << 10

// DefaultLeeway is how far the clocks of issuer and verifier may be apart.
const DefaultLeeway = 5 * time.Second

// DefaultCacheSize is how many verified tokens are remembered when
// VerifierConfig.CacheSize is zero: about 10 MiB when full of tokens of half a kilobyte, and
// 70 MiB when full of tokens as long as they may be.
const DefaultCacheSize = 8 << 10

// Errors of Verify. What it returns wraps one of them and adds a reason for the
// log; the reason is not for the caller of an API, and never holds the token.
var (
	// ErrInvalid says that the token is not to be accepted, now or ever again.
	ErrInvalid = errors.New("invalid token")
	// ErrUnavailable says that it could not be learned yet whether the token is good: the
	// keys are still being fetched, or whether it is revoked is not known.
	ErrUnavailable = errors.New("token cannot be judged")
)

// Revocations tells whether a token has been revoked; *statuslist.Client does. Revoked
// is asked on every request and must answer from memory. Where it has nothing in memory yet,
// it may block for some seconds (a statuslist.Client for up to 4), but not past the end of
// the context. It must be safe for concurrent use. An error means that it does not know; the token is then neither accepted nor called invalid. Only one that wraps
// ErrInvalid means that it never will be known.
type Revocations interface {
	Revoked(context.Context, *Claims) (bool, error)
}

// VerifierConfig says what a Verifier accepts.
type VerifierConfig struct {
	// Keys gives the ring; required.
	Keys keyring.Source
	// Issuer must be equal to the token's iss; required.
	Issuer string
	// Audience must be one of the token's aud; required.
	Audience string
	// InsecureAnyAudience accepts tokens for any API, as an authorization server does that
	// is asked about them. An API that set it could be fooled with tokens for another one.
	// Audience then is as in Signer: the API that shares the secrets which are tied to
	// none, with which nobody can make tokens for another one.
	InsecureAnyAudience bool
	// Leeway is added to exp and taken from nbf; zero means DefaultLeeway, and a
	// negative one none.
	Leeway time.Duration
	// CacheSize is how many verified tokens are remembered, at the most, rounded up
	// to an even number; zero means DefaultCacheSize, and a negative one none.
	CacheSize int
	// Revocations is asked about every token that is good otherwise: statuslist.Open returns
	// one. Nil means that no token is ever revoked.
	Revocations Revocations
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// Verifier judges access tokens. It is safe for concurrent use.
type Verifier struct {
	cfg    VerifierConfig
	parser *jwt.Parser
	cache  *cache
}

// NewVerifier returns a Verifier, or an error that names the field of cfg that is
// missing.
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
	cfg.Leeway = defaultTo(cfg.Leeway, DefaultLeeway)
	cfg.CacheSize = defaultTo(cfg.CacheSize, DefaultCacheSize)
	v := &Verifier{cfg: cfg, cache: newCache(cfg.CacheSize)}
	options := []jwt.ParserOption{
		jwt.WithValidMethods(keyring.Algorithms),
		jwt.WithIssuer(cfg.Issuer),
		jwt.WithExpirationRequired(),
		jwt.WithLeeway(cfg.Leeway),
		jwt.WithTimeFunc(cfg.Now),
		jwt.WithStrictDecoding(),
	}
	if !cfg.InsecureAnyAudience {
		options = append(options, jwt.WithAudience(cfg.Audience))
	}
	v.parser = jwt.NewParser(options...)
	return v, nil
}

// defaultTo returns value, byDefault in place of zero, and zero in place of a
// negative one.
func defaultTo[T time.Duration | int](value, byDefault T) T {
	if value == 0 {
		return byDefault
	}
	return max(value, 0)
}

// Issuer returns the issuer whose tokens are accepted.
func (v *Verifier) Issuer() string { return v.cfg.Issuer }

// Audience returns the audience that a token must be for.
func (v *Verifier) Audience() string { return v.cfg.Audience }

// Verify returns what the token says if it is to be accepted now. Otherwise the
// error is ErrInvalid, or ErrUnavailable where a later try may succeed. It does no I/O of its
// own; where it must wait for the Revocations, it waits no longer than ctx lasts. The claims are shared: do not change them.
func (v *Verifier) Verify(ctx context.Context, raw string) (*Claims, error) {
	now := v.cfg.Now()
	taken := takeApart(raw)
	found, ok := v.cache.get(taken)
	if !ok || !v.cfg.Keys.Current().Verifies(found.key, now) {
		var err error
		if found, err = v.judge(raw); err != nil {
			return nil, err
		}
		v.cache.put(taken, found)
	}
	return v.inForce(ctx, found.claims, now)
}

// verified is a token whose form, signature and claims were found good, and the
// key that signed it.
type verified struct {
	claims *Claims
	key    *keyring.Key
}

// inForce judges what can change while a token is remembered.
func (v *Verifier) inForce(ctx context.Context, c *Claims, now time.Time) (*Claims, error) {
	if !now.Before(c.ExpiresAt.Add(v.cfg.Leeway)) {
		return nil, fmt.Errorf("%w: it has expired", ErrInvalid)
	}
	if v.cfg.Revocations == nil {
		return c, nil
	}
	revoked, err := v.cfg.Revocations.Revoked(ctx, c)
	if errors.Is(err, ErrInvalid) {
		return nil, err
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	if revoked {
		return nil, fmt.Errorf("%w: it has been revoked", ErrInvalid)
	}
	return c, nil
}

// judge does the whole work once for a token: form, header, signature, claims.
func (v *Verifier) judge(raw string) (verified, error) {
	if err := checkForm(raw); err != nil {
		return verified{}, err
	}
	var w wire
	var key *keyring.Key
	var noKey error
	_, err := v.parser.ParseWithClaims(raw, &w, func(t *jwt.Token) (any, error) {
		if key, noKey = keyring.ForHeader(v.cfg.Keys, t.Header, Type, v.cfg.Now()); noKey != nil {
			return nil, noKey
		}
		return key.VerificationKey(), nil
	})
	if noKey != nil {
		err = noKey // without the library's words for it, which are about its own inside
	}
	if errors.Is(err, jwt.ErrTokenMalformed) {
		err = jwt.ErrTokenMalformed // what it wraps quotes the claims
	}
	if errors.Is(err, keyring.ErrPending) {
		return verified{}, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	if err != nil {
		return verified{}, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if !v.mayBeFor(key, w.Audience) {
		return verified{}, fmt.Errorf("%w: its key is for another API", ErrInvalid)
	}
	if name := w.missing(); name != "" {
		return verified{}, fmt.Errorf("%w: the claim %s is missing", ErrInvalid, name)
	}
	claims, err := w.claims()
	if err != nil {
		return verified{}, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return verified{claims: claims, key: key}, nil
}

// mayBeFor reports whether tokens for this audience can be signed with the key. Whoever
// shares a secret can sign with it, but only for itself.
func (v *Verifier) mayBeFor(key *keyring.Key, audience []string) bool {
	only := key.Audience
	if only == "" && v.cfg.InsecureAnyAudience && key.Algorithm == keyring.HS256 {
		only = v.cfg.Audience
	}
	return only == "" || slices.Equal(audience, []string{only})
}

// checkForm accepts the compact serialization and nothing else: three non-empty
// parts in the alphabet of base64url (RFC 7515 §7.1). The decoder alone would let
// line breaks pass.
func checkForm(raw string) error {
	if len(raw) > MaxLength {
		return fmt.Errorf("%w: it is longer than %d bytes", ErrInvalid, MaxLength)
	}
	parts, length := 1, 0
	for i := range len(raw) {
		switch c := raw[i]; {
		case c == '.':
			if length == 0 {
				return fmt.Errorf("%w: a part of it is empty", ErrInvalid)
			}
			parts, length = parts+1, 0
		case 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_':
			length++
		default:
			return fmt.Errorf("%w: it has a character outside base64url", ErrInvalid)
		}
	}
	if parts != 3 || length == 0 {
		return fmt.Errorf("%w: it has not three parts", ErrInvalid)
	}
	return nil
}
