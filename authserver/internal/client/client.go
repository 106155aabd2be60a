// Package client is about the programs that ask for tokens: what they may ask
// for, and how they prove who they are (RFC 6749 §2).
//
// It exists so that a client's secret is handled in one place. Secrets are made
// here, 256 random bits each, and only their SHA-256 is kept: what nobody can guess
// needs no slow hash.
package client

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/label"
)

// SecretPrefix begins every secret, so that tools that look for leaked secrets
// can tell one.
const SecretPrefix = "hps_"

// secretSize is the number of random bytes in a secret.
const secretSize = 32

// MaxID is the length of the longest client id, in bytes.
const MaxID = 64

// maxName bounds a client's display name, in bytes.
const maxName = 128

// Errors about clients.
var (
	// ErrNotFound says that there is no such client.
	ErrNotFound = errors.New("no such client")
	// ErrExists says that the client id is taken.
	ErrExists = errors.New("a client of this id exists already")
	// ErrBad says that a client cannot be registered like this; the text says why.
	ErrBad = errors.New("client not usable")
)

// Client is a registered client.
type Client struct {
	// ID is the client_id: public, chosen by whoever registers it.
	ID string
	// Name is what a person calls it.
	Name string
	// SecretDigest is the SHA-256 of its secret in base64url; empty for a public
	// client, which has none.
	SecretDigest string
	// Grants are the grant types that it may use.
	Grants []oauth.GrantType
	// Scope is what its tokens may allow at the most, and what they allow when it
	// asks for nothing.
	Scope oauth.Scope
	// FirstParty says that it is an app of whoever runs this server, who has answered
	// for its users: they are asked for consent only if it wants that (prompt=consent).
	FirstParty bool
	// RedirectURIs are where it may be sent back to with an authorization code.
	RedirectURIs []string
	// Introspects says that it may ask about tokens (RFC 7662).
	Introspects bool
	// CreatedAt is when it was registered.
	CreatedAt time.Time
}

// Public reports whether the client has no secret (RFC 6749 §2.1).
func (c Client) Public() bool { return c.SecretDigest == "" }

// Allows reports whether the client may use the grant type.
func (c Client) Allows(grant oauth.GrantType) bool { return slices.Contains(c.Grants, grant) }

// idForm is what a client id may be: short, and the same in a URL, a form, a log
// line and a file name.
var idForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// Validate checks what must hold for every client. The error is ErrBad.
func (c Client) Validate() error {
	badName := label.Check("name", c.Name, maxName)
	switch {
	case !idForm.MatchString(c.ID):
		return fmt.Errorf("%w: the id must be 1 to 64 letters, digits, dots, dashes and underscores, and begin with a letter or digit", ErrBad)
	case strings.HasPrefix(c.ID, account.IDPrefix):
		return fmt.Errorf("%w: ids that begin with %s are those of users", ErrBad, account.IDPrefix)
	case badName != nil:
		return fmt.Errorf("%w: %w", ErrBad, badName)
	case len(c.Grants) == 0:
		return fmt.Errorf("%w: it has no grant type, so it could never get a token", ErrBad)
	case c.Public() && (c.Introspects || c.Allows(oauth.GrantClientCredentials)):
		return fmt.Errorf("%w: a public client cannot prove who it is, so it may neither use client_credentials nor introspect", ErrBad)
	case c.Allows(oauth.GrantRefreshToken) && !c.Allows(oauth.GrantPassword) && !c.Allows(oauth.GrantAuthorizationCode):
		return fmt.Errorf("%w: refresh_token needs a grant type that gives a refresh token: password or authorization_code", ErrBad)
	case c.Allows(oauth.GrantAuthorizationCode) != (len(c.RedirectURIs) > 0):
		return fmt.Errorf("%w: authorization_code needs a redirect URI, and nothing else does", ErrBad)
	case len(c.Scope) == 0:
		return fmt.Errorf("%w: it has no scope, so its tokens would allow nothing", ErrBad)
	}
	for _, uri := range c.RedirectURIs {
		if err := checkRedirectURI(uri); err != nil {
			return err
		}
	}
	return nil
}

// GenerateSecret returns a new secret and the digest to keep of it. Randomness
// comes from random, which should be crypto/rand.Reader.
func GenerateSecret(random io.Reader) (secret, digest string, err error) {
	raw := make([]byte, secretSize)
	if _, err := io.ReadFull(random, raw); err != nil {
		return "", "", fmt.Errorf("making a client secret: %w", err)
	}
	secret = SecretPrefix + base64.RawURLEncoding.EncodeToString(raw)
	return secret, digestOf(secret), nil
}

func digestOf(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// VerifySecret reports, in constant time, whether the secret is the client's. A
// public client has none: no secret is the right one.
func (c Client) VerifySecret(secret string) bool {
	return subtle.ConstantTimeCompare([]byte(digestOf(secret)), []byte(c.SecretDigest)) == 1
}
