package grant

import (
	"time"

	"github.com/hallpass-auth/hallpass/authserver/internal/secret"
)

// MethodPassword is the authentication method of a password (RFC 8176 section 2).
const MethodPassword = "pwd"

// Authentication is how and when a user has logged in, as ID tokens say it (OpenID Connect Core section 2).
type Authentication struct {
	// At is when (auth_time). It is zero in codes and grants that have no ID token.
	At time.Time
	// Methods are how (amr).
	Methods []string
	// SessionID identifies the browser session (sid). It is empty if the user did not log in by a browser.
	SessionID string
}

// SessionID returns the public identifier of a session, given the digest of its cookie. The digest cannot be
// computed from it.
func SessionID(digest string) string { return secret.Digest("sid of " + digest) }
