package web

import (
	"cmp"
	"context"
	"net/http"
	"net/url"

	"github.com/hallpass-auth/hallpass/shared/httpserver"
	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/client"
	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
	"github.com/hallpass-auth/hallpass/authserver/internal/issuing"
)

// token serves POST /token (RFC 6749 section 3.2).
func (e *endpoints) token(w http.ResponseWriter, r *http.Request) (any, error) {
	form, err := readForm(w, r, multipartIfGrantAllows)
	if err != nil {
		return nil, err
	}
	proof, err := e.checkProof(w, r)
	if err != nil {
		return nil, err
	}
	c, err := e.auth.authenticate(r, form)
	if err != nil {
		return nil, err
	}
	if err := e.checkGrantType(form, c); err != nil {
		return nil, err
	}
	return e.cfg.Tokens.Issue(r.Context(), issuing.Request{
		Client:        c,
		Form:          form,
		Address:       httpserver.Host(r.RemoteAddr),
		Agent:         r.UserAgent(),
		KeyThumbprint: proof.Thumbprint,
		UseProof:      func(ctx context.Context) error { return e.useProof(ctx, proof) },
	})
}

// checkGrantType checks that the client may use the grant type; Issue refuses one that nobody knows. The default
// client may leave it out, as clients of the FastAPI tutorial do: then it is set to password.
func (e *endpoints) checkGrantType(form url.Values, c client.Client) error {
	assumed := ""
	if c.ID == e.cfg.DefaultClient {
		assumed = string(oauth.GrantPassword)
	}
	name := cmp.Or(form.Get("grant_type"), assumed)
	if name == "" {
		return invalid("grant_type is missing")
	}
	if _, known := grant.TypeOf(oauth.GrantType(name)); known && !c.Allows(oauth.GrantType(name)) {
		return oauth.ErrUnauthorizedClient.Describe("this client may not use the grant type " + name)
	}
	form.Set("grant_type", name)
	return nil
}
