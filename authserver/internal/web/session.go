package web

import (
	"crypto/rand"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
	"github.com/hallpass-auth/hallpass/authserver/internal/record"
	"github.com/hallpass-auth/hallpass/authserver/internal/secret"
)

// sessionLifetime is how long a browser stays logged in.
const sessionLifetime = 12 * time.Hour

// session is the login of a browser. The zero session means that nobody is logged in.
type session struct {
	digest string // of the cookie
	user   account.User
	since  time.Time // of the login
}

// cookieName returns the name of the session cookie. With https it has the __Host- prefix,
// so that browsers reject a cookie set by another host of the domain.
func (e *endpoints) cookieName() string {
	if e.secure() {
		return "__Host-hallpass"
	}
	return "hallpass"
}

// secure reports whether the server is reached by https.
func (e *endpoints) secure() bool { return strings.HasPrefix(e.cfg.IssuerURL, "https:") }

// session returns the session of the request.
func (e *endpoints) session(r *http.Request) (session, error) {
	cookie, err := r.Cookie(e.cookieName())
	if errors.Is(err, http.ErrNoCookie) {
		return session{}, nil
	}
	if err != nil {
		return session{}, err
	}
	digest := secret.Digest(cookie.Value)
	user, since, err := e.cfg.Sessions.SessionUser(r.Context(), digest, e.cfg.Now())
	if errors.Is(err, record.ErrNotFound) {
		return session{}, nil
	}
	return session{digest: digest, user: user, since: since}, err
}

// startSession logs the browser in. It always creates a new session, to prevent session
// fixation, and ends the previous one. It returns account.ErrIncorrect if the user's
// password was changed since it was checked.
func (e *endpoints) startSession(w http.ResponseWriter, r *http.Request, user account.User) error {
	value, err := secret.New(rand.Reader, "")
	if err != nil {
		return err
	}
	digest, now := secret.Digest(value), e.cfg.Now()
	// The new session takes over the grants of the previous one, even if that has expired.
	old, err := r.Cookie(e.cookieName())
	if err != nil {
		err = e.cfg.Sessions.CreateSession(r.Context(), digest, user, now, now.Add(sessionLifetime))
	} else {
		oldDigest := secret.Digest(old.Value)
		err = e.cfg.Sessions.ReplaceSession(r.Context(), oldDigest, digest, user, now, now.Add(sessionLifetime))
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

// cookie returns the session cookie. A negative maxAge deletes it. SameSite is Lax, because
// clients send the browser here by a link.
func (e *endpoints) cookie(value string, maxAge int) *http.Cookie {
	return &http.Cookie{ //nolint:gosec // over http, browsers would drop a Secure cookie
		Name: e.cookieName(), Value: value, Path: "/", MaxAge: maxAge,
		HttpOnly: true, Secure: e.secure(), SameSite: http.SameSiteLaxMode,
	}
}
