package web

import (
	"errors"
	"net/http"

	"github.com/hallpass-auth/hallpass/shared/bearer"
	"github.com/hallpass-auth/hallpass/shared/dpop"
	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/issuing"
)

// errService is the response to the token of a service, which is valid but shows no user (RFC
// 6750 section 3.1).
var errService = bearer.Refusal{
	Status: http.StatusForbidden,
	Code:   oauth.CodeInsufficientScope,
	Detail: "The token belongs to a client, not to a user",
}

// userinfo serves GET and POST /userinfo (OpenID Connect Core section 5.3): what the scope of the access token
// shows of its user. It is a protected resource, so its errors follow RFC 6750. The body of a POST is ignored.
func (e *endpoints) userinfo(w http.ResponseWriter, r *http.Request) {
	const name = "userinfo"
	if dpop.Sent(r) {
		w.Header().Set(dpop.NonceHeader, e.cfg.Proofs.Nonce())
	}
	claims, refusal := e.userinfoGuard.Authenticate(r)
	if refusal != nil {
		e.refuseToken(w, name, *refusal)
		return
	}
	found, err := e.cfg.Tokens.InspectClaims(r.Context(), claims)
	switch {
	case errors.Is(err, issuing.ErrNotActive):
		e.refuseToken(w, name, *e.userinfoGuard.InvalidToken())
	case err != nil:
		e.failed(r, name, err).writeProblem(w)
	case found.Grant.UserID == "":
		e.refuseToken(w, name, errService)
	default:
		e.answers.WithLabelValues(name, "ok").Inc()
		writeJSON(w, http.StatusOK, found.User)
	}
}

// refuseToken writes a refusal and counts it. There is no error code without credentials
// (RFC 6750 section 3.1), nor if the token cannot be judged.
func (e *endpoints) refuseToken(w http.ResponseWriter, endpoint string, refusal bearer.Refusal) {
	result := refusal.Code
	switch {
	case result != "":
	case refusal.Status == http.StatusServiceUnavailable:
		result = oauth.CodeTemporarilyUnavailable
	default:
		result = "no_token"
	}
	e.answers.WithLabelValues(endpoint, string(result)).Inc()
	refusal.Audience = "" // this endpoint is not described by the API's metadata (RFC 9728 section 3.3)
	refusal.Write(w)
}
