package grant

import (
	"errors"
	"io"
	"time"

	"github.com/hallpass-auth/hallpass/authserver/internal/secret"
	"github.com/hallpass-auth/hallpass/shared/oauth"
)

// CodeLifetime is how long an authorization code can be redeemed (RFC 6749 §4.1.2
// wants it short).
const CodeLifetime = time.Minute

// CodePrefix begins every authorization code.
const CodePrefix = "hpc_"

// Errors of redeeming a code.
var (
	// ErrCodeUnknown says that there is no such code, or none any more.
	ErrCodeUnknown = errors.New("no such authorization code")
	// ErrCodeUsed says that the code has been redeemed before.
	ErrCodeUsed = errors.New("authorization code used before")
)

// Code is what an authorization code stands for (RFC 6749 §4.1.2, RFC 7636 §4.4).
type Code struct {
	// Digest is all that is kept of the code itself.
	Digest string
	// ClientID, UserID and Session say to whom, by whom and where it was given.
	ClientID, UserID, Session string
	// Audience is the API that it is for; empty for the one of the server's settings.
	Audience string
	// RedirectURI is where it was sent. Whoever redeems it may leave the URI out, but not
	// name another one.
	RedirectURI string
	// Scope is what the user allowed.
	Scope oauth.Scope
	// Challenge is the S256 code challenge.
	Challenge string
	// CreatedAt and ExpiresAt bound its life.
	CreatedAt, ExpiresAt time.Time
}

// NewCode returns the text of a new code. Randomness comes from random.
func NewCode(random io.Reader) (string, error) {
	return secret.New(random, CodePrefix)
}
