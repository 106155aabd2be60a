package web

import (
	"crypto/rand"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/hallpass-auth/hallpass/shared/httpserver"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
	"github.com/hallpass-auth/hallpass/authserver/internal/record"
	"github.com/hallpass-auth/hallpass/authserver/internal/secondfactor"
	"github.com/hallpass-auth/hallpass/authserver/internal/secret"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
)

// session is the login of a browser. The zero session means that nobody is logged in.
type session struct {
	digest string // of the cookie
	user   account.User
	login  grant.Authentication
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
	user, login, err := e.cfg.Store.SessionUser(r.Context(), digest, e.cfg.Now())
	if errors.Is(err, record.ErrNotFound) {
		return session{}, nil
	}
	return session{digest: digest, user: user, login: login}, err
}

// startSession logs the browser in. It always creates a new session, to prevent session
// fixation, and ends the previous one. It returns account.ErrIncorrect if the user's
// password was changed since it was checked.
//
// methods are those of the login; nil means the password. second is its second step; nil if there was none.
func (e *endpoints) startSession(
	w http.ResponseWriter,
	r *http.Request,
	user account.User,
	methods []string,
	second *secondfactor.Completion,
) error {
	value, err := secret.New(rand.Reader, "")
	if err != nil {
		return err
	}
	now := e.cfg.Now()
	n := store.NewSession{
		Digest: secret.Digest(value), User: user, Methods: methods, Second: second,
		Place:     account.NewPlace(httpserver.Host(r.RemoteAddr), r.UserAgent()),
		Language:  e.languageOf(r),
		CreatedAt: now, ExpiresAt: now.Add(grant.SessionLifetime),
	}
	// The new session takes over the grants of the previous one, even if that has expired.
	if old, err := r.Cookie(e.cookieName()); err == nil {
		n.Old = secret.Digest(old.Value)
	}
	err = e.cfg.Store.StartSession(r.Context(), n)
	if errors.Is(err, grant.ErrInactive) {
		return account.ErrIncorrect
	}
	if err != nil {
		return err
	}
	e.setSession(w, r, user, value)
	return nil
}

// setSession gives the browser the cookie of a session, and lets it know that the user has logged in there.
func (e *endpoints) setSession(w http.ResponseWriter, r *http.Request, user account.User, value string) {
	http.SetCookie(w, e.cookie(e.cookieName(), value, grant.SessionLifetime))
	b := e.cfg.Passwords.WithLogin(e.browser(r), user, rand.Text()) // the text is for a browser that has no id
	http.SetCookie(w, e.cookie(e.browserCookieName(), b.String(), account.KnownFor))
}

// renewal returns a new cookie for the session, and what lets the store renew the session with it.
func (s session) renewal() (cookie string, r account.Renewal, err error) {
	cookie, err = secret.New(rand.Reader, "")
	return cookie, account.Renewal{From: s.digest, To: secret.Digest(cookie)}, err
}

// browserCookieName returns the name of the cookie with the users who have logged in with the browser. It outlives
// their sessions.
func (e *endpoints) browserCookieName() string { return e.cookieName() + "_browser" }

// browser returns what the browser knows about logins in it.
func (e *endpoints) browser(r *http.Request) account.Browser {
	cookie, err := r.Cookie(e.browserCookieName())
	if err != nil {
		return account.Browser{}
	}
	return account.ParseBrowser(cookie.Value)
}

// cookie returns a cookie. A negative maxAge deletes it. SameSite is Lax, because clients send
// the browser here by a link.
func (e *endpoints) cookie(name, value string, maxAge time.Duration) *http.Cookie {
	return &http.Cookie{ //nolint:gosec // over http, browsers would drop a Secure cookie
		Name: name, Value: value, Path: "/", MaxAge: int(maxAge / time.Second),
		HttpOnly: true, Secure: e.secure(), SameSite: http.SameSiteLaxMode,
	}
}
