package bearer

import (
	"net/http"
	"slices"
	"time"

	"github.com/hallpass-auth/hallpass/shared/oauth"
	"github.com/hallpass-auth/hallpass/shared/token"
)

// UserLogin says how and when a user must have logged in (RFC 9470). The zero value accepts every login.
type UserLogin struct {
	// ACRValues are the authentication context classes that the token may have (acr): a login with two factors is "2" at
	// Hallpass. Empty means any. If there are several, name the best one first.
	ACRValues []string
	// MaxAge is how long ago the login may be (auth_time), in whole seconds; zero means any time.
	MaxAge time.Duration
}

// RequireLogin is like RequireUser, and also refuses a token of a login that is not good enough. The client is told
// which one is, and asks the user to log in again (RFC 9470 section 3):
//
//	401  the login had too few factors, or was too long ago
func (g *Guard) RequireLogin(login UserLogin, scopes ...string) func(http.Handler) http.Handler {
	return g.protect(scopes, func(claims *token.Claims) *Refusal { return g.checkLogin(claims, login, scopes) })
}

// AuthenticateLogin is Authenticate for what RequireLogin lets through.
func (g *Guard) AuthenticateLogin(r *http.Request, login UserLogin, scopes ...string) (*token.Claims, *Refusal) {
	claims, refusal := g.Authenticate(r, scopes...)
	if refusal == nil {
		refusal = g.checkLogin(claims, login, scopes)
	}
	if refusal != nil {
		return nil, refusal
	}
	return claims, nil
}

// checkLogin returns the refusal of a valid token that is not a user's, or whose login is not good enough; else nil.
func (g *Guard) checkLogin(claims *token.Claims, login UserLogin, scopes []string) *Refusal {
	isUser := claims.IsUser()
	if isUser && login.accepts(claims, g.verifier.Now()) {
		return nil
	}
	refusal := g.InvalidToken()
	if isUser {
		refusal.Code, refusal.Detail = oauth.CodeInsufficientLogin, detailLogin
		refusal.ACRValues, refusal.MaxAge = login.ACRValues, login.MaxAge
	}
	refusal.Scope = scopes
	g.addDPoP(refusal, schemeOf(claims))
	return refusal
}

// accepts reports whether the login of a token is good enough at now. A login in the future, beyond the difference
// between clocks, counts as too old: nobody knows when it was.
func (l UserLogin) accepts(c *token.Claims, now time.Time) bool {
	if len(l.ACRValues) > 0 && !slices.Contains(l.ACRValues, c.ACR) {
		return false
	}
	age := now.Sub(c.AuthTime)
	return l.MaxAge == 0 || !c.AuthTime.IsZero() && age <= l.MaxAge && age >= -token.DefaultLeeway
}
