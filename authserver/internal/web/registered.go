package web

import (
	"errors"
	"net/http"

	"github.com/gorilla/mux"

	"github.com/hallpass-auth/hallpass/shared/httpserver"
	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/client"
	"github.com/hallpass-auth/hallpass/authserver/internal/clientmeta"
	"github.com/hallpass-auth/hallpass/authserver/internal/ratelimit"
	"github.com/hallpass-auth/hallpass/authserver/internal/record"
)

// registeredClient returns the client of the path, if the request has its registration access token.
func (e *endpoints) registeredClient(r *http.Request) (client.Client, error) {
	id := mux.Vars(r)["client"]
	if whyUnusable(id) != "" {
		return client.Client{}, errRegistrationToken
	}
	c, err := e.cfg.Store.ClientByID(r.Context(), id)
	if err != nil && !errors.Is(err, record.ErrNotFound) {
		return client.Client{}, err
	}
	if err != nil || c.Source != client.SourceRegistration || !hasToken(r, c.RegistrationDigest) {
		return client.Client{}, errRegistrationToken
	}
	return c, nil
}

// registeredMethod returns the token_endpoint_auth_method of a registered client. A secret is accepted by
// both methods.
func registeredMethod(c client.Client) string {
	if c.Public() {
		return clientmeta.MethodNone
	}
	return clientmeta.MethodBasic
}

// showRegistered serves GET /register/ID (RFC 7592 section 2.1).
func (e *endpoints) showRegistered(w http.ResponseWriter, r *http.Request) error {
	c, err := e.registeredClient(r)
	if err != nil {
		return err
	}
	response := e.describeRegistered(c, registeredMethod(c))
	response.RegistrationToken = bearerToken(r)
	writeJSON(w, http.StatusOK, response)
	return nil
}

// replaceRegistered serves PUT /register/ID (RFC 7592 section 2.2). How the client authenticates cannot be
// changed, and its scope stays as it is: an administrator may have narrowed it. It counts as a registration, since it
// writes as much.
func (e *endpoints) replaceRegistered(w http.ResponseWriter, r *http.Request) error {
	c, err := e.registeredClient(r)
	if err != nil {
		return err
	}
	if !e.registrations.Allow(ratelimit.SiteNetwork(httpserver.Host(r.RemoteAddr))) {
		return errManyRegistrations
	}
	m, said, err := e.readMetadata(w, r)
	switch {
	case err != nil:
		return err
	case m.ClientID != c.ID:
		return invalid("client_id must be that of the client")
	case m.ClientSecret != "" && !c.VerifySecret(m.ClientSecret, e.cfg.Now()):
		return invalid("client_secret must be that of the client")
	case (m.AuthMethod == clientmeta.MethodNone) != c.Public():
		return (&oauth.Error{Code: oauth.CodeInvalidClientMetadata}).
			Describe("a client cannot get or lose its secret: register another one")
	}
	ctx := asClient(r.Context(), c.ID)
	c, err = e.cfg.Store.UpdateClient(ctx, c.ID, e.cfg.Now(), func(was client.Client) (client.Client, error) {
		was.Name, was.Grants, was.RedirectURIs = said.Name, said.Grants, said.RedirectURIs
		return was.RequiringAlso(said), nil
	})
	if errors.Is(err, record.ErrNotFound) {
		return errRegistrationToken
	}
	if err != nil {
		return err
	}
	response := e.describeRegistered(c, m.AuthMethod)
	response.RegistrationToken = bearerToken(r)
	writeJSON(w, http.StatusOK, response)
	return nil
}

// deleteRegistered serves DELETE /register/ID (RFC 7592 section 2.3). It ends all logins at the client.
func (e *endpoints) deleteRegistered(w http.ResponseWriter, r *http.Request) error {
	c, err := e.registeredClient(r)
	if err != nil {
		return err
	}
	if err := e.cfg.Store.DeleteClient(asClient(r.Context(), c.ID), c.ID, e.cfg.Now()); err != nil {
		return err
	}
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusNoContent)
	return nil
}
