// Package grant is the domain of the authorization server: a grant is what a login
// gives, and what every token that comes of it stands on.
//
// It exists because tokens are not stored. A grant is one row; its number says
// which bit of which status list revokes the tokens of it.
package grant

import (
	"errors"
	"time"

	"github.com/hallpass-auth/hallpass/shared/oauth"
)

// MaxTokenLifetime is the longest that an access token may live. So long after its end the
// number of a grant has to be known as that of a revoked one.
const MaxTokenLifetime = 24 * time.Hour

// ErrInactive says that the user or the client that a grant is for cannot have one
// any more: disabled or deleted in the meantime.
var ErrInactive = errors.New("user or client not active")

// Grant is what a user (or nobody but the client itself) gave a client.
type Grant struct {
	// Number is the grant's own, given in the order in which grants are made,
	// never reused. Zero means that it has none yet.
	Number int64
	// Type is how it was given.
	Type oauth.GrantType
	// ClientID and UserID say to whom and by whom; UserID is empty where no user is
	// involved.
	ClientID, UserID string
	// Audience is the API that it is for; empty for the one of the server's settings.
	Audience string
	// Scope is what it allows.
	Scope oauth.Scope
	// CreatedAt is when it was given.
	CreatedAt time.Time
	// ExpiresAt is when the last token of it expires; the row is of no use after it.
	ExpiresAt time.Time
	// RevokedAt is when it was revoked; zero means never.
	RevokedAt time.Time
	// PasswordVersion is the version of the password with which the user gave it. Only a
	// new grant has one, and only where a password was asked for.
	PasswordVersion int64
	// Session is the digest of the browser session in which it was given; empty where
	// there was none.
	Session string
	// Refresh is what is kept of its refresh tokens.
	Refresh Refresh
}

// RefreshesAt reports whether the grant is active and its refresh token good at now.
func (g Grant) RefreshesAt(now time.Time) bool {
	return g.ActiveAt(now) && now.Before(g.Refresh.ExpiresAt)
}

// ActiveAt reports whether the grant is neither revoked nor expired at now.
func (g Grant) ActiveAt(now time.Time) bool { return g.RevokedAt.IsZero() && now.Before(g.ExpiresAt) }
