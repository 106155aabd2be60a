package web

import (
	"context"
	"net/http"
	"strings"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
)

// consolePath is the path of the first page of the administrators' console. Those of all others begin with it.
const consolePath = "/admin"

// Site is what the pages have for the administrators' console: see console.Site. It is safe for concurrent use.
type Site struct{ e *endpoints }

// Session returns who is logged in with the browser, and how; the zero user if nobody is.
func (s Site) Session(r *http.Request) (account.User, grant.Authentication, error) {
	found, err := s.e.session(r)
	return found.user, found.login, err
}

// HasSecondFactor reports whether a user has a second factor.
func (s Site) HasSecondFactor(ctx context.Context, userID string) (bool, error) {
	return s.e.cfg.Store.HasSecondFactor(ctx, userID)
}

// LogIn writes the login page. After the login, the browser goes to next, a path and query of the console. A username
// means that this user is logged in, and does it again.
func (s Site) LogIn(w http.ResponseWriter, r *http.Request, username, next string) {
	s.e.showAccountLogin(w, r, http.StatusOK, page{
		Username: username, Continue: next, Confirms: username != "", Console: true,
	})
}

// NotFound writes the response for a path that does not exist.
func (s Site) NotFound(w http.ResponseWriter, r *http.Request) { s.e.notFound(w, r) }

// Brand returns the name of the service, which may be empty, and whether it has a logo.
func (s Site) Brand() (name string, hasLogo bool) {
	return s.e.theme.Name, len(s.e.theme.Logo.Content) > 0
}

// isConsole reports whether a path and query, which a form has sent, lead to a page of the console. Then it is on our
// own origin, whatever follows.
func (e *endpoints) isConsole(next string) bool {
	path, _, _ := strings.Cut(next, "?")
	return e.cfg.Console != nil && (path == consolePath || strings.HasPrefix(path, consolePath+"/"))
}
