package web

import (
	"errors"
	"net/http"

	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/issuing"
)

// errNoCredentials is the response to a client that has not proved who it is, or cannot (RFC 7662
// section 2.1).
var errNoCredentials = oauth.ErrInvalidClient.Describe("introspection needs a client with a secret, and the secret")

// tokenTypeRefresh is the token_type of a refresh token. RFC 7662 defines none: this one keeps
// an API from taking a refresh token for an access token.
const tokenTypeRefresh = "refresh_token"

// introspect serves POST /introspect (RFC 7662) to clients that are registered for it. Of a
// token that is not active it says only that (section 2.2).
func (e *endpoints) introspect(w http.ResponseWriter, r *http.Request) (any, error) {
	c, token, err := e.readTokenForm(w, r)
	if err == nil && c.Public() { // also the default client, which a request without credentials means
		err = errNoCredentials
	}
	if err != nil {
		return nil, err
	}
	if !c.Introspects {
		return nil, oauth.ErrUnauthorizedClient.Describe(
			"this client may not introspect tokens: register it with --introspects")
	}
	if token == "" {
		return nil, errNoToken
	}
	found, err := e.cfg.Tokens.Inspect(r.Context(), c, token)
	if errors.Is(err, issuing.ErrNotActive) {
		return oauth.Introspection{}, nil
	}
	if err != nil {
		return nil, err
	}
	return introspection(found, e.cfg.IssuerURL), nil
}

// introspection returns the response for an active token (RFC 7662 section 2.2).
func introspection(found issuing.Inspection, issuer string) oauth.Introspection {
	response := oauth.Introspection{
		Active:    true,
		TokenType: tokenTypeRefresh,
		Issuer:    issuer,
		ClientID:  found.Grant.ClientID,
		Username:  found.User.PreferredUsername,
		Subject:   found.Grant.UserID,
		Scope:     found.Scope().String(),
		ExpiresAt: found.Grant.Refresh.ExpiresAt.Unix(),
		IssuedAt:  found.Grant.CreatedAt.Unix(),

		Confirmation: oauth.NewConfirmation(found.Grant.KeyThumbprint),
	}
	if login := found.Grant.Authentication; !login.At.IsZero() {
		response.ACR, response.Methods, response.AuthTime = login.ACR(), login.Methods, login.At.Unix()
	}
	if found.Claims != nil {
		response.TokenType = issuing.TokenTypeOf(found.Claims.KeyThumbprint)
		response.Confirmation = oauth.NewConfirmation(found.Claims.KeyThumbprint)
		response.Subject = found.Claims.Subject
		response.Audience = found.Claims.Audience
		response.TokenID = found.Claims.ID
		response.Actor = oauth.NewActor(found.Claims.Actors)
		response.ExpiresAt = found.Claims.ExpiresAt.Unix()
		response.IssuedAt = found.Claims.IssuedAt.Unix()
	}
	return response
}
