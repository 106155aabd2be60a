package issuing

import (
	"context"
	"net/http"

	"github.com/go-oauth2/oauth2/v4"
	"github.com/go-oauth2/oauth2/v4/server"

	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/client"
	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
	"github.com/hallpass-auth/hallpass/authserver/internal/resource"
)

// Consent is what a user has allowed at the authorization endpoint.
type Consent struct {
	// API is to what; the zero API is the one of the settings.
	API resource.API
	// UserID is who, Session the digest of the browser session where.
	UserID, Session string
	// Scope is what.
	Scope oauth.Scope
}

// Authorize makes an authorization code for the client and returns the URI to send
// the browser to. The edge has checked the request, which has the client's own
// redirect URI, and the user has logged in and consented.
func (e *Engine) Authorize(r *http.Request, c client.Client, given Consent) (string, error) {
	r = r.WithContext(withCall(r.Context(), call{client: c, api: given.API, session: given.Session}))
	r.Method = http.MethodGet // or the library would refuse HEAD, which is answered like GET
	request, err := e.server.ValidationAuthorizeRequest(r)
	if err != nil {
		return "", protocolError(err)
	}
	request.UserID, request.Scope = given.UserID, given.Scope.String()
	info, err := e.server.GetAuthorizeToken(r.Context(), request)
	if err != nil {
		return "", protocolError(err)
	}
	return e.redirect(request.RedirectURI, request.State, map[string]any{"code": info.GetCode()})
}

// Refuse returns the URI that tells the client an error (RFC 6749 §4.1.2.1). The edge
// has checked that the redirect URI is the client's own.
func (e *Engine) Refuse(redirectURI, state string, reason *oauth.Error) (string, error) {
	return e.redirect(redirectURI, state, map[string]any{
		"error": string(reason.Code), "error_description": reason.Description,
	})
}

// redirect adds the members of an answer, with who gives it (RFC 9207 §2), to the URI.
func (e *Engine) redirect(uri, state string, members map[string]any) (string, error) {
	members["iss"] = e.cfg.Issuer
	return e.server.GetRedirectURI(&server.AuthorizeRequest{
		RedirectURI: uri, State: state, ResponseType: oauth2.Code,
	}, members)
}

// coder is the library's AuthorizeGenerate.
type coder struct{ cfg Config }

// Token returns the text of a new code; tokenStore.Create stores what it stands for.
func (c *coder) Token(context.Context, *oauth2.GenerateBasic) (string, error) {
	return grant.NewCode(c.cfg.Random)
}
