// Package assertion verifies the JWTs by which clients authenticate (RFC 7521 section 4.2, RFC
// 7523): those that a client signs itself (private_key_jwt), and tokens of a trusted issuer that a
// platform gives to its workloads.
//
// Both take the same path. They differ in the claims that are expected, in how far ahead the
// expiry may be, and in that only the client's own assertions have a jti and are used once: a
// platform gives a workload one token for minutes or hours, to be used again.
package assertion

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/json" // compares names exactly, and refuses repeated members

	"github.com/hallpass-auth/hallpass/authserver/internal/client"
	"github.com/hallpass-auth/hallpass/authserver/internal/jwkset"
	"github.com/hallpass-auth/hallpass/authserver/internal/outbound"
	"github.com/hallpass-auth/hallpass/authserver/internal/record"
	"github.com/hallpass-auth/hallpass/authserver/internal/secret"
)

// Type is the client_assertion_type of a JWT (RFC 7523 section 2.2).
const Type = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// ErrInvalid is returned for an assertion that does not authenticate the client. The text says
// why, for the log; it has nothing of the assertion.
var ErrInvalid = errors.New("assertion not valid")

// Bounds of assertions.
const (
	leeway        = 30 * time.Second // between the clocks of the client and this server
	maxOwn        = 5 * time.Minute  // how far ahead the expiry of a client's own assertion may be
	maxOfIssuer   = 24 * time.Hour   // and that of a trusted issuer's token
	maxTokenID    = 255              // bytes of a jti
	maxAssertion  = 8 << 10          // bytes
	maxKeyIDBytes = 255
)

// types are the accepted values of typ, which may be missing: assertions are older than the rule
// that types differ. An access token (at+jwt) or a logout token has another type.
var types = []string{"", "jwt", "client-authentication+jwt"}

// Store remembers which assertions were used. It is safe for concurrent use.
type Store interface {
	// UseAssertion records the use of an assertion until it expires. It returns record.ErrExists
	// if it is recorded already.
	UseAssertion(ctx context.Context, digest string, expires, now time.Time) error
}

// Config configures a Verifier. All fields are required.
type Config struct {
	// Audiences are the values of aud that mean this server: its identifier, and the URLs of its token endpoint and
	// of its endpoint for pushed requests (RFC 9126 section 2).
	Audiences []string
	// Guard fetches keys.
	Guard *outbound.Guard
	// Store remembers which assertions were used.
	Store Store
	// Now is the clock.
	Now func() time.Time
}

// Verifier verifies assertions. It is safe for concurrent use.
type Verifier struct {
	cfg Config
}

// New returns a verifier.
func New(cfg Config) *Verifier { return &Verifier{cfg: cfg} }

// claims are the claims of an assertion (RFC 7523 section 3).
type claims struct {
	Issuer    string   `json:"iss"`
	Subject   string   `json:"sub"`
	Audience  audience `json:"aud"`
	ID        string   `json:"jti"`
	ExpiresAt *seconds `json:"exp"`
	IssuedAt  *seconds `json:"iat"`
	NotBefore *seconds `json:"nbf"`
}

// ClientID returns the client that an assertion is about, before it is verified: a client that
// signs its own is its issuer and subject. It returns an empty string for others.
func ClientID(assertion string) string {
	_, payload, err := parse(assertion)
	if err != nil {
		return ""
	}
	var c claims
	if json.Unmarshal(payload, &c) != nil || c.Issuer != c.Subject {
		return ""
	}
	return c.Issuer
}

// Verify returns ErrInvalid unless the assertion authenticates the client, and another error if
// that cannot be decided now. An assertion that the client signed itself is used up.
func (v *Verifier) Verify(ctx context.Context, c client.Client, assertion string) error {
	if !c.Assertion.Enabled() {
		return invalid("the client has no keys and trusts no issuer")
	}
	signed, _, err := parse(assertion)
	if err != nil {
		return err
	}
	key, err := v.key(ctx, c, signed.Signatures[0].Protected)
	if err != nil {
		return err
	}
	payload, err := signed.Verify(key)
	if err != nil {
		return invalid("the signature is wrong")
	}
	var said claims
	if json.Unmarshal(payload, &said) != nil {
		return invalid("the claims are not a JSON object, or one has the wrong type")
	}
	if c.Assertion.Issuer != "" {
		return v.checkIssuers(c.Assertion, said)
	}
	return v.checkOwn(ctx, c, said)
}

// parse parses an assertion and checks its header. The payload is not verified.
func parse(assertion string) (signed *jose.JSONWebSignature, payload []byte, err error) {
	if len(assertion) > maxAssertion {
		return nil, nil, invalid("it is longer than %d bytes", maxAssertion)
	}
	signed, err = jose.ParseSignedCompact(assertion, jwkset.Algorithms)
	var algorithm *jose.ErrUnexpectedSignatureAlgorithm
	switch {
	case errors.As(err, &algorithm):
		return nil, nil, invalid("alg is not one of %s", strings.Join(jwkset.AlgorithmNames(), ", "))
	case err != nil:
		return nil, nil, invalid("it is not a signed JWT")
	}
	header := signed.Signatures[0].Protected
	typ, ok := header.ExtraHeaders[jose.HeaderType].(string)
	if header.ExtraHeaders[jose.HeaderType] != nil && !ok {
		return nil, nil, invalid("typ is not a text")
	}
	typ = strings.TrimPrefix(strings.ToLower(typ), "application/")
	_, critical := header.ExtraHeaders["crit"]
	_, unencoded := header.ExtraHeaders["b64"]
	switch {
	case !slices.Contains(types, typ):
		return nil, nil, invalid("typ is not JWT: it is a token for another purpose")
	case critical || unencoded:
		return nil, nil, invalid("the header has an extension (crit)")
	case len(header.KeyID) > maxKeyIDBytes:
		return nil, nil, invalid("kid is too long")
	}
	return signed, signed.UnsafePayloadWithoutVerification(), nil
}

// checkOwn checks the claims of an assertion that the client signed itself, and uses it up.
func (v *Verifier) checkOwn(ctx context.Context, c client.Client, said claims) error {
	switch {
	case said.Issuer != c.ID:
		return invalid("iss is not the client")
	case said.Subject != c.ID:
		return invalid("sub is not the client")
	case said.ID == "":
		return invalid("jti is missing")
	case len(said.ID) > maxTokenID:
		return invalid("jti is longer than %d bytes", maxTokenID)
	}
	if err := said.Audience.check(v.cfg.Audiences...); err != nil {
		return err
	}
	now := v.cfg.Now()
	if err := said.checkTimes(now, maxOwn); err != nil {
		return err
	}
	digest := secret.Digest(c.ID + "\n" + said.ID)
	// It is remembered for longer than it is valid: a server whose clock is behind may still accept it.
	err := v.cfg.Store.UseAssertion(ctx, digest, said.ExpiresAt.time().Add(2*leeway), now)
	if errors.Is(err, record.ErrExists) {
		return invalid("it was used before (jti)")
	}
	return err
}

// checkIssuers checks the claims of a token of a trusted issuer.
func (v *Verifier) checkIssuers(trusted client.Assertion, said claims) error {
	switch {
	case said.Issuer != trusted.Issuer:
		return invalid("iss is not the trusted issuer")
	case said.Subject != trusted.Subject:
		return invalid("sub is not the trusted subject")
	}
	expected := v.cfg.Audiences[:1]
	if trusted.Audience != "" {
		expected = []string{trusted.Audience}
	}
	if err := said.Audience.check(expected...); err != nil {
		return err
	}
	return said.checkTimes(v.cfg.Now(), maxOfIssuer)
}

// invalid returns ErrInvalid with a reason.
func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrInvalid, fmt.Sprintf(format, args...))
}
