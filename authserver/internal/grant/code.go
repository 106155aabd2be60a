package grant

import (
	"errors"
	"io"
	"time"

	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/secret"
)

// CodeLifetime is how long an authorization code can be redeemed (RFC 6749 section 4.1.2
// wants it short).
const CodeLifetime = time.Minute

// codePrefix begins every authorization code.
const codePrefix = "hpc_"

// Errors of redeeming a code.
var (
	// ErrCodeUnknown says that the code does not exist, has expired or was ended.
	ErrCodeUnknown = errors.New("no such authorization code")
	// ErrCodeUsed says that the code has been redeemed before.
	ErrCodeUsed = errors.New("authorization code used before")
	// ErrCodeUndecided says that the code has been redeemed, and that the server that did so does not know yet
	// whether this was stored. The code then counts as used, or can be redeemed again.
	ErrCodeUndecided = errors.New("another redemption of the code is not decided")
)

// Code is what an authorization code stands for (RFC 6749 section 4.1.2, RFC 7636 section
// 4.4).
type Code struct {
	// Digest identifies the code. The code itself is not stored.
	Digest string
	// ClientID is the client that the code was issued to, UserID the user who allowed it,
	// and Session the digest of the browser session in which that was.
	ClientID, UserID, Session string
	// Audience is the API that the code is for.
	Audience string
	// RedirectURI is where the code was sent. A token request may leave it out, but not name
	// another one.
	RedirectURI string
	// Scope is what the user allowed.
	Scope oauth.Scope
	// Challenge is the S256 code challenge; empty for a client that need not use PKCE and
	// did not.
	Challenge string
	// KeyThumbprint identifies the key that the code can be redeemed with (dpop_jkt, RFC 9449 section 10); empty for
	// any, or none.
	KeyThumbprint string
	// Nonce is what the ID token repeats from the authorization request; empty if there was none.
	Nonce string
	// Authentication is how the user had logged in.
	Authentication Authentication
	// Pushed is the digest of the pushed request that the code is for; empty if there was none. It is set only
	// in a new code, and creating the code uses the request up.
	Pushed string
	// ConsentRevocations is how often the user's consents to the client had been revoked when
	// the authorization request was checked. Once they are revoked again, the code is void.
	ConsentRevocations int64
	// CreatedAt and ExpiresAt bound the code's life.
	CreatedAt, ExpiresAt time.Time
}

// NewCode returns a new authorization code made of bytes from random. The error is that of
// random.
func NewCode(random io.Reader) (string, error) {
	return secret.New(random, codePrefix)
}
