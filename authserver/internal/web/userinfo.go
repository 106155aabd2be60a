package web

import (
	"errors"
	"net/http"

	"github.com/hallpass-auth/hallpass/shared/bearer"
	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/issuing"
)

// scopeProfile is the scope that shows a user's names.
const scopeProfile = "profile"

// userinfo is GET /userinfo: who the user of the access token is, as much of it as the
// token's scope shows. It is a protected resource: its refusals are those of RFC 6750.
func (e *endpoints) userinfo(w http.ResponseWriter, r *http.Request) {
	const name = "userinfo"
	guard := bearer.New(e.cfg.Verifier, e.cfg.Log)
	claims, refusal := guard.Authenticate(r)
	if refusal != nil {
		e.refuseToken(w, name, refusal)
		return
	}
	found, err := e.cfg.Tokens.InspectClaims(r.Context(), claims)
	switch {
	case errors.Is(err, issuing.ErrNotActive) || (err == nil && found.Username == ""):
		e.refuseToken(w, name, guard.InvalidToken())
	case err != nil:
		e.failed(r, name, err).writeProblem(w)
	default:
		e.answers.WithLabelValues(name, "ok").Inc()
		members := map[string]any{"sub": claims.Subject}
		if claims.Scope.Has(scopeProfile) {
			members["preferred_username"] = found.Username
			members["name"] = claims.Name
		}
		writeJSON(w, http.StatusOK, members)
	}
}

// refuseToken answers with a refusal and counts it. Without credentials there is no error
// code (RFC 6750 §3.1), nor is there where a token cannot be judged.
func (e *endpoints) refuseToken(w http.ResponseWriter, endpoint string, refusal *bearer.Refusal) {
	result := refusal.Code
	switch {
	case result != "":
	case refusal.Status == http.StatusServiceUnavailable:
		result = oauth.CodeTemporarilyUnavailable
	default:
		result = "no_token"
	}
	e.answers.WithLabelValues(endpoint, string(result)).Inc()
	refusal.Audience = "" // the API's metadata does not tell of this address (RFC 9728 §3.3)
	refusal.Write(w)
}
