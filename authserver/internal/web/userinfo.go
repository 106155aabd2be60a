package web

import (
	"errors"
	"net/http"

	"github.com/hallpass-auth/hallpass/shared/bearer"
	"github.com/hallpass-auth/hallpass/shared/oauth"
	"github.com/hallpass-auth/hallpass/shared/problem"

	"github.com/hallpass-auth/hallpass/authserver/internal/engine"
)

// scopeProfile is the scope that shows a user's names.
const scopeProfile = "profile"

// userinfo is GET /userinfo: who the user of the access token is, as much of it as the
// token's scope shows. It is a protected resource: its refusals are those of RFC 6750.
func (e *edge) userinfo(w http.ResponseWriter, r *http.Request) {
	claims, refusal := bearer.Authenticate(e.cfg.Verifier, r)
	if refusal != nil {
		e.answers.WithLabelValues("userinfo", string(refusal.Code)).Inc()
		refusal.Write(w)
		return
	}
	found, err := e.cfg.Tokens.InspectClaims(r.Context(), claims)
	switch {
	case errors.Is(err, engine.ErrNotActive) || (err == nil && found.Username == ""):
		e.answers.WithLabelValues("userinfo", string(oauth.CodeInvalidToken)).Inc()
		bearer.InvalidToken(e.cfg.Verifier).Write(w)
	case err != nil:
		f := failureOf(err)
		e.answers.WithLabelValues("userinfo", string(f.code)).Inc()
		e.cfg.Log.ErrorContext(r.Context(), "request failed", "endpoint", "userinfo", "error", err)
		w.Header().Set("Retry-After", "2")
		problem.Write(w, f.status, f.text)
	default:
		e.answers.WithLabelValues("userinfo", "ok").Inc()
		members := map[string]any{"sub": claims.Subject}
		if claims.Scope.Has(scopeProfile) {
			members["preferred_username"] = found.Username
			members["name"] = claims.Name
		}
		writeJSON(w, http.StatusOK, members)
	}
}
