package web

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
)

// sessionLifetime is how long a browser stays logged in.
const sessionLifetime = 12 * time.Hour

// Sessions keeps browser sessions and what users have allowed in them. A session is
// known by a digest of its cookie.
type Sessions interface {
	// CreateSession logs the user in, ReplaceSession does and ends the old session. Both are
	// grant.ErrInactive for a user who is disabled or deleted, or whose password was changed
	// since the user was read.
	CreateSession(ctx context.Context, digest string, user account.User, now, expiresAt time.Time) error
	ReplaceSession(ctx context.Context, old, digest string, user account.User, now, expiresAt time.Time) error
	// SessionUser returns who is logged in and since when, or account.ErrNotFound.
	SessionUser(ctx context.Context, digest string, now time.Time) (account.User, time.Time, error)
	DeleteSession(ctx context.Context, digest string, grantsToo bool, now time.Time) error
	ConsentedScope(ctx context.Context, userID, clientID, audience string) (oauth.Scope, error)
	SetConsent(ctx context.Context, userID, clientID, audience string, scope oauth.Scope, now time.Time) error
}

// session is who is logged in in a browser; the zero session is nobody.
type session struct {
	digest string
	user   account.User
	since  time.Time
}

// cookieName is the name of the session's cookie. With https it has the prefix that
// makes browsers refuse one that a neighbouring host has set.
func (e *endpoints) cookieName() string {
	if e.secure() {
		return "__Host-hallpass"
	}
	return "hallpass"
}

func (e *endpoints) secure() bool { return strings.HasPrefix(e.cfg.IssuerURL, "https:") }

// session finds out who is logged in.
func (e *endpoints) session(r *http.Request) (session, error) {
	cookie, err := r.Cookie(e.cookieName())
	if errors.Is(err, http.ErrNoCookie) {
		return session{}, nil
	}
	if err != nil {
		return session{}, err
	}
	digest := grant.Digest(cookie.Value)
	user, since, err := e.cfg.Sessions.SessionUser(r.Context(), digest, e.cfg.Now())
	if errors.Is(err, account.ErrNotFound) {
		return session{}, nil
	}
	return session{digest: digest, user: user, since: since}, err
}

// startSession logs a browser in. The session is always a new one, and an old one ends:
// a cookie that somebody has planted is worth nothing after a login. A user whose password
// was changed since it was checked is account.ErrIncorrect.
func (e *endpoints) startSession(w http.ResponseWriter, r *http.Request, user account.User) error {
	raw := make([]byte, 32)
	if _, err := rand.Read(raw); err != nil {
		return err
	}
	value := base64.RawURLEncoding.EncodeToString(raw)
	digest, now := grant.Digest(value), e.cfg.Now()
	// The session before may be over by now; what was given in it goes on all the same.
	old, err := r.Cookie(e.cookieName())
	if err != nil {
		err = e.cfg.Sessions.CreateSession(r.Context(), digest, user, now, now.Add(sessionLifetime))
	} else {
		err = e.cfg.Sessions.ReplaceSession(r.Context(), grant.Digest(old.Value), digest, user, now, now.Add(sessionLifetime))
	}
	if errors.Is(err, grant.ErrInactive) {
		return account.ErrIncorrect
	}
	if err != nil {
		return err
	}
	http.SetCookie(w, e.cookie(value, int(sessionLifetime/time.Second)))
	return nil
}

// cookie makes the session's cookie; a negative age removes it. Lax, because a client
// sends the browser here by a link.
func (e *endpoints) cookie(value string, maxAge int) *http.Cookie {
	return &http.Cookie{ //nolint:gosec // Secure follows the issuer: browsers drop a secure cookie on plain http
		Name: e.cookieName(), Value: value, Path: "/", MaxAge: maxAge,
		HttpOnly: true, Secure: e.secure(), SameSite: http.SameSiteLaxMode,
	}
}
