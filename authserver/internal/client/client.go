// Package client holds the registered OAuth clients: what each may request, and the secret
// that a confidential client authenticates with (RFC 6749 section 2).
//
// A secret has 256 random bits. Only its SHA-256 is stored; a secret that cannot be guessed
// needs no slow hash.
package client

import (
	"cmp"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/hallpass-auth/hallpass/shared/keyring"
	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/record"
	"github.com/hallpass-auth/hallpass/authserver/internal/secret"
)

// SecretPrefix is the prefix of every client secret. Secret scanners can search for it.
const SecretPrefix = "hps_"

// MaxID is the maximum length of a client id, in bytes.
const MaxID = 64

// maxName is the maximum length of a client's display name, in bytes.
const maxName = 128

// Errors about clients.
var (
	// ErrBad is returned for an invalid client. The text says why.
	ErrBad = errors.New("client not usable")
	// ErrTooMany is returned if there are too many clients that nobody has registered by hand.
	ErrTooMany = errors.New("too many clients are registered at once")
)

// Bounds of the clients of each source but SourceAdministrator, without those that are kept (Client.Kept).
const (
	// MaxUnregistered is how many there are at most.
	MaxUnregistered = 10_000
	// MaxUnused is how long a client without a login is kept after it was last used.
	MaxUnused = 7 * 24 * time.Hour
	// MinUnused is how long it is kept even if there are too many.
	MinUnused = 10 * time.Minute
)

// Client is a registered client.
type Client struct {
	// ID is the client_id. It is public, and chosen at registration.
	ID string
	// Name is the display name.
	Name string
	// SecretDigest is the SHA-256 of the secret in base64url. It is empty for a public
	// client, and NoSecret for one that authenticates by assertions only.
	SecretDigest string
	// OldSecret is the secret before the current one, while it is still accepted.
	OldSecret OldSecret
	// Assertion says what the client's assertions must be, if it may authenticate by them.
	Assertion Assertion
	// Grants are the grant types that the client may use.
	Grants []oauth.GrantType
	// Scope is the widest scope of the client's tokens, and their scope when a request
	// has no scope parameter.
	Scope oauth.Scope
	// FirstParty marks a client of the organization that runs this server. Its users are
	// asked for consent only if it sends prompt=consent.
	FirstParty bool
	// RedirectURIs are the URIs that authorization responses may be sent to.
	RedirectURIs []string
	// PostLogoutRedirectURIs are the URIs that the browser may be sent to after a logout that the client has
	// started (OpenID Connect RP-Initiated Logout 1.0 section 3.1).
	PostLogoutRedirectURIs []string
	// BackchannelLogoutURI is where the client is told that a session has ended (OpenID Connect Back-Channel
	// Logout 1.0 section 2.2). Empty means that it is not told.
	BackchannelLogoutURI string
	// Introspects reports whether the client may introspect tokens (RFC 7662): access tokens
	// for the APIs of IntrospectsFor, and its own refresh tokens.
	Introspects bool
	// IntrospectsFor are the audiences of those APIs; DefaultAPI stands for the default API.
	IntrospectsFor []string
	// ExchangeFrom and ExchangeTo are the audiences of the APIs whose access tokens the client may exchange, and of
	// those that it may exchange them for (RFC 8693); DefaultAPI stands for the default API.
	ExchangeFrom, ExchangeTo []string
	// WithoutPKCE lets the client, which has a secret, request codes without PKCE (RFC 9700
	// section 2.1.1 advises against that).
	WithoutPKCE bool
	// RequirePAR says that the client must push its authorization requests (RFC 9126 section 6).
	RequirePAR bool
	// RequireDPoP says that all token requests of the client must have a DPoP proof, so that it has no bearer tokens
	// (dpop_bound_access_tokens, RFC 9449 section 5.2).
	RequireDPoP bool
	// RequireSecondFactor says that users must log in to the client with a second factor. It may not use the password
	// grant then.
	RequireSecondFactor bool
	// Admin lets the client, a service, have tokens of the admin API for itself.
	Admin bool
	// IDTokenAlgorithm is the JWS algorithm of the client's ID tokens, one of keyring.IDTokenAlgorithms. Empty
	// means RS256: see SignsIDTokensWith.
	IDTokenAlgorithm string
	// CreatedAt is when the client was registered.
	CreatedAt time.Time
	// Source says where the client comes from.
	Source Source
	// LastUsedAt is when a client of another source than SourceAdministrator was registered, or a user last
	// allowed it something.
	LastUsedAt time.Time
	// RegistrationDigest is the SHA-256, in base64url, of the token by which a client of SourceRegistration
	// is managed (RFC 7592).
	RegistrationDigest string
	// Kept says that an administrator has changed a client of another source than SourceAdministrator. It is not
	// deleted when it is unused, since what the administrator requires of it would be lost.
	Kept bool
}

// Source is where a client comes from.
type Source string

// The sources of clients.
const (
	SourceAdministrator Source = ""             // a command
	SourceDocument      Source = "document"     // a client ID metadata document; the ID is its URL
	SourceRegistration  Source = "registration" // dynamic registration (RFC 7591)
)

// OldSecret is a replaced secret that is still accepted. With the zero value there is no such secret.
type OldSecret struct {
	// Digest is its SHA-256 in base64url.
	Digest string
	// Until is when it ends.
	Until time.Time
}

// DefaultAPI stands for the default API in IntrospectsFor, ExchangeFrom and ExchangeTo, whichever it is.
const DefaultAPI = "default"

// Public reports whether the client has no secret (RFC 6749 section 2.1).
func (c Client) Public() bool { return c.SecretDigest == "" }

// RequiringAlso returns the client with the requirements of another version of it added. What an administrator requires
// stays in force whatever the client says about itself.
func (c Client) RequiringAlso(other Client) Client {
	c.RequirePAR = c.RequirePAR || other.RequirePAR
	c.RequireDPoP = c.RequireDPoP || other.RequireDPoP
	c.RequireSecondFactor = c.RequireSecondFactor || other.RequireSecondFactor
	return c
}

// SignsIDTokensWith returns the algorithm of the client's ID tokens. The default is RS256 (OpenID Connect
// Dynamic Client Registration section 2).
func (c Client) SignsIDTokensWith() string { return cmp.Or(c.IDTokenAlgorithm, keyring.RS256) }

// HasSecret reports whether the client can authenticate by a secret.
func (c Client) HasSecret() bool { return c.SecretDigest != "" && c.SecretDigest != NoSecret }

// KeepsOldSecret reports whether the secret before the current one is still accepted.
func (c Client) KeepsOldSecret(now time.Time) bool {
	return c.OldSecret.Digest != "" && now.Before(c.OldSecret.Until)
}

// Allows reports whether the client may use the grant type.
func (c Client) Allows(name oauth.GrantType) bool { return slices.Contains(c.Grants, name) }

// validID matches valid client ids. They need no escaping in URLs, forms, logs and file
// names.
var validID = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// Validate returns an error that wraps ErrBad if the client is invalid.
func (c Client) Validate() error {
	badName := record.CheckName("name", c.Name, maxName)
	switch {
	case !validID.MatchString(c.ID):
		return fmt.Errorf("%w: the id must be 1 to %d letters, digits, dots, dashes and underscores, "+
			"and begin with a letter or digit", ErrBad, MaxID)
	case strings.HasPrefix(c.ID, account.IDPrefix):
		return fmt.Errorf("%w: ids that begin with %s are reserved for users", ErrBad, account.IDPrefix)
	case badName != nil:
		return fmt.Errorf("%w: %w", ErrBad, badName)
	case len(c.Grants) == 0:
		return fmt.Errorf("%w: it has no grant type, so it could never get a token", ErrBad)
	case c.Public() && c.Introspects:
		return fmt.Errorf("%w: a public client cannot prove who it is, so it may not introspect", ErrBad)
	case c.Public() && c.Assertion.Enabled():
		return fmt.Errorf("%w: a public client does not authenticate, so it cannot have keys or a trusted issuer", ErrBad)
	case c.SecretDigest == NoSecret && !c.Assertion.Enabled():
		return fmt.Errorf("%w: it has neither a secret, nor keys, nor a trusted issuer, so it could not authenticate", ErrBad)
	case c.Public() && c.WithoutPKCE:
		return fmt.Errorf("%w: a public client must use PKCE, because nothing else protects its codes", ErrBad)
	case !slices.Contains(keyring.IDTokenAlgorithms, c.SignsIDTokensWith()):
		return fmt.Errorf("%w: ID tokens are signed with %s", ErrBad, strings.Join(keyring.IDTokenAlgorithms, ", "))
	case len(c.Scope) == 0:
		return fmt.Errorf("%w: it has no scope, so its tokens would allow nothing", ErrBad)
	case c.Admin && (c.Public() || !c.Allows(oauth.GrantClientCredentials)):
		return fmt.Errorf("%w: only a service, which has a secret or keys and the grant type client_credentials, may "+
			"administer the server", ErrBad)
	}
	return c.checkDetails()
}

// ValidateUnregistered is Validate for a client that has described itself. Its ID is not checked, and it may
// have no scope as long as the server has none for such clients.
func (c Client) ValidateUnregistered() error {
	if err := record.CheckName("client_name", c.Name, maxName); err != nil {
		return fmt.Errorf("%w: %w", ErrBad, err)
	}
	return c.checkDetails()
}

// checkDetails checks what depends on more than one field, and lists.
func (c Client) checkDetails() error {
	if err := c.checkGrants(); err != nil {
		return err
	}
	if err := c.Assertion.check(); err != nil {
		return err
	}
	if err := c.checkLogout(); err != nil {
		return err
	}
	for _, audience := range slices.Concat(c.IntrospectsFor, c.ExchangeFrom, c.ExchangeTo) {
		if err := oauth.ValidateAudience(audience); err != nil && audience != DefaultAPI {
			return fmt.Errorf("%w: %w", ErrBad, err)
		}
	}
	for _, uri := range c.RedirectURIs {
		if err := CheckRedirectURI(uri); err != nil {
			return err
		}
	}
	return nil
}

// GenerateSecret returns a new secret and the digest to store. It reads from random, which
// should be crypto/rand.Reader, and fails if that fails.
func GenerateSecret(random io.Reader) (text, digest string, err error) {
	if text, err = secret.New(random, SecretPrefix); err != nil {
		return "", "", err
	}
	return text, secret.Digest(text), nil
}

// VerifySecret reports whether the text is the client's secret, or an old one that is accepted
// until later than now. It takes constant time, and returns false for every secret of a client
// that has none.
func (c Client) VerifySecret(text string, now time.Time) bool {
	digest := []byte(secret.Digest(text))
	current := subtle.ConstantTimeCompare(digest, []byte(c.SecretDigest))
	old := subtle.ConstantTimeCompare(digest, []byte(c.OldSecret.Digest))
	return current == 1 || (old == 1 && c.KeepsOldSecret(now))
}

// Bounds of a secret that somebody else than this server has made.
const (
	minSecret  = 32
	maxSecret  = 256
	minLetters = 8 // different ones
)

// CheckSecret returns ErrBad unless a secret that this server has not made is long, and looks random: only its SHA-256
// is stored, so it must not be guessable. The error does not contain it.
func CheckSecret(text string) error {
	different := map[rune]bool{}
	for _, r := range text {
		if r <= ' ' || r > '~' {
			return fmt.Errorf("%w: a secret has ASCII characters only, and no spaces", ErrBad)
		}
		different[r] = true
	}
	if len(text) < minSecret || len(text) > maxSecret || len(different) < minLetters {
		return fmt.Errorf("%w: a secret has %d to %d random characters, as 'openssl rand -hex 32' makes them",
			ErrBad, minSecret, maxSecret)
	}
	return nil
}
