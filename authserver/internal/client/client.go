// Package client holds the registered OAuth clients: what each may request, and the secret
// that a confidential client authenticates with (RFC 6749 section 2).
//
// A secret has 256 random bits. Only its SHA-256 is stored; a secret that cannot be guessed
// needs no slow hash.
package client

import (
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"

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
)

// Client is a registered client.
type Client struct {
	// ID is the client_id. It is public, and chosen at registration.
	ID string
	// Name is the display name.
	Name string
	// SecretDigest is the SHA-256 of the secret in base64url. It is empty for a public
	// client.
	SecretDigest string
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
	// Introspects reports whether the client may introspect tokens (RFC 7662): access tokens
	// for the APIs of IntrospectsFor, and its own refresh tokens.
	Introspects bool
	// IntrospectsFor are the audiences of those APIs; DefaultAPI stands for the default API.
	IntrospectsFor []string
	// WithoutPKCE lets the client, which has a secret, request codes without PKCE (RFC 9700
	// section 2.1.1 advises against that).
	WithoutPKCE bool
	// CreatedAt is when the client was registered.
	CreatedAt time.Time
}

// DefaultAPI stands for the default API in IntrospectsFor, whichever it is.
const DefaultAPI = "default"

// Public reports whether the client has no secret (RFC 6749 section 2.1).
func (c Client) Public() bool { return c.SecretDigest == "" }

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
	case c.Public() && c.WithoutPKCE:
		return fmt.Errorf("%w: a public client has nothing but PKCE to protect its codes, so it may not do without", ErrBad)
	case len(c.Scope) == 0:
		return fmt.Errorf("%w: it has no scope, so its tokens would allow nothing", ErrBad)
	}
	if err := c.checkGrants(); err != nil {
		return err
	}
	for _, audience := range c.IntrospectsFor {
		if err := oauth.ValidateAudience(audience); err != nil && audience != DefaultAPI {
			return fmt.Errorf("%w: %w", ErrBad, err)
		}
	}
	for _, uri := range c.RedirectURIs {
		if err := checkRedirectURI(uri); err != nil {
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

// VerifySecret reports whether the text is the client's secret. It takes constant time, and
// returns false for every secret of a public client.
func (c Client) VerifySecret(text string) bool {
	return subtle.ConstantTimeCompare([]byte(secret.Digest(text)), []byte(c.SecretDigest)) == 1
}
