// Package grant is about grants, authorization codes and refresh tokens.
//
// A grant is what a login, a consent or a service's first token request gives a client.
// Access tokens are not stored: every token belongs to a grant, which is one row, and the
// grant's number says which bit of which status list revokes the tokens.
package grant

import (
	"errors"
	"time"

	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
)

// MaxTokenLifetime is the longest lifetime of an access token. A revoked grant is kept for
// that long.
const MaxTokenLifetime = 24 * time.Hour

// MaxActors is how often a token can be exchanged.
const MaxActors = 4

// Errors about grants whose user or client changes while they are being made.
var (
	// ErrInactive says that the user was disabled or deleted, or has another password, or that the session or grant
	// that a new grant comes from has ended.
	ErrInactive = errors.New("user, session or grant not active")
	// ErrClientChanged says that the client was deleted, or given another secret, since it was authenticated.
	ErrClientChanged = errors.New("client deleted or given another secret")
)

// Grant is what a user gave a client, or what a client has for itself.
type Grant struct {
	// Number identifies the grant. Numbers ascend and are never reused. Zero means that the
	// grant is not stored yet.
	Number int64
	// Type is the grant type that started it.
	Type oauth.GrantType
	// ClientID is the client that has the grant, UserID the user who gave it. UserID is
	// empty for the grant of a service.
	ClientID, UserID string
	// Audience is the API that the grant is for; empty for the grant of a service, which is
	// for every API.
	Audience string
	// Scope is what the grant allows.
	Scope oauth.Scope
	// CreatedAt is when the grant was given.
	CreatedAt time.Time
	// ExpiresAt is when the row can be deleted: by then its last token has expired, however often it is refreshed, and
	// so has the session whose end the client must be told of. The row may be deleted before if its refresh token has
	// expired unused.
	ExpiresAt time.Time
	// RevokedAt is when it was revoked; zero means never.
	RevokedAt time.Time
	// SecretDigest is the digest of the secret that the client was authenticated with; empty for a
	// public client. It is set only in a new grant.
	SecretDigest string
	// PasswordVersion is the version of the password that the user logged in with. It is
	// set only in a new grant of the type password.
	PasswordVersion int64
	// Login is what the login was counted under until it succeeded. It is set only in a new
	// grant of the type password.
	Login account.FailureKey
	// Place is where the request for the grant came from. It is set only in a new grant; a grant of a session has the
	// place of the session.
	Place account.Place
	// Attempt names the redemption of the code that starts the grant, until that is confirmed. It is set only in a new
	// grant; empty means that the redemption is final at once.
	Attempt string
	// Session is the digest of the browser session in which the grant was given; empty if
	// there was none.
	Session string
	// Authentication is how the user had logged in, for ID tokens.
	Authentication Authentication
	// Parent is the number of the grant that a token exchange came from. This grant ends with that one. It is zero
	// unless Type is oauth.GrantTokenExchange.
	Parent int64
	// Actors are the clients that act for the user by token exchange, the latest first: ClientID, then the actors of
	// the parent.
	Actors []string
	// Refresh is what is stored of its refresh tokens.
	Refresh Refresh
	// KeyThumbprint identifies the key that its refresh tokens are bound to (RFC 9449 section 5); empty if they are not.
	// Those of confidential clients never are: the client authenticates whenever it uses one.
	KeyThumbprint string
}

// RefreshesAt reports whether the grant can be refreshed at now: it is active, and its
// refresh token has not expired.
func (g Grant) RefreshesAt(now time.Time) bool {
	return g.ActiveAt(now) && now.Before(g.Refresh.ExpiresAt)
}

// ActiveAt reports whether the grant is neither revoked nor expired at now. A grant that a user
// gave at a time ahead of now was given while a clock was wrong, and would last for too long.
func (g Grant) ActiveAt(now time.Time) bool {
	ahead := g.UserID != "" && g.CreatedAt.After(now.Add(account.ClockMargin))
	return g.RevokedAt.IsZero() && now.Before(g.ExpiresAt) && !ahead
}

// LastIssue returns when access tokens of a user's grant were last issued, at the latest: when it was given or last
// refreshed. A refresh token that was replaced is accepted for the grace period.
func (g Grant) LastIssue(grace time.Duration) time.Time {
	last := g.CreatedAt
	if g.Type == oauth.GrantDeviceCode { // given when the user approved it, fetched later
		last = last.Add(DeviceLifetime)
	}
	if n := len(g.Refresh.Replaced); n > 0 {
		refreshed := time.UnixMilli(g.Refresh.Replaced[n-1].At).Add(grace)
		if refreshed.After(last) {
			last = refreshed
		}
	}
	return last
}
