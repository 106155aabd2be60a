package web

import (
	"errors"
	"net/http"

	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/issuing"
)

// introspect is POST /introspect (RFC 7662), for clients that are registered for it.
// About a token that is not good it says nothing but that (§2.2).
func (e *endpoints) introspect(w http.ResponseWriter, r *http.Request) (map[string]any, error) {
	form, err := readForm(w, r, urlencodedOnly)
	if err != nil {
		return nil, err
	}
	c, err := e.auth.authenticate(r, form)
	if err != nil {
		return nil, err
	}
	if !c.Introspects || c.Public() {
		return nil, oauth.ErrUnauthorizedClient.Describe("this client may not introspect tokens: register it with --introspects")
	}
	if form.Get("token") == "" {
		return nil, invalid("missing: token")
	}
	found, err := e.cfg.Tokens.Inspect(r.Context(), form.Get("token"))
	if errors.Is(err, issuing.ErrNotActive) {
		return map[string]any{"active": false}, nil
	}
	if err != nil {
		return nil, err
	}
	return introspection(found, e.cfg.IssuerURL), nil
}

// introspection is what is known about a good token, in the members of RFC 7662 §2.2.
func introspection(found issuing.Inspection, issuer string) map[string]any {
	members := map[string]any{
		"active":    true,
		"iss":       issuer,
		"client_id": found.Grant.ClientID,
	}
	if found.Username != "" {
		members["username"] = found.Username
		members["sub"] = found.Grant.UserID
	}
	if found.Claims == nil {
		members["scope"] = found.Grant.Scope.String()
		members["exp"] = found.Grant.Refresh.ExpiresAt.Unix()
		members["iat"] = found.Grant.CreatedAt.Unix()
		return members
	}
	members["token_type"] = "bearer"
	members["sub"] = found.Claims.Subject
	members["scope"] = found.Claims.Scope.String()
	members["aud"] = found.Claims.Audience
	members["jti"] = found.Claims.ID
	members["exp"] = found.Claims.ExpiresAt.Unix()
	members["iat"] = found.Claims.IssuedAt.Unix()
	return members
}
