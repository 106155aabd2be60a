package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/hallpass-auth/hallpass/shared/httpserver"
	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/catalog"
	"github.com/hallpass-auth/hallpass/authserver/internal/client"
	"github.com/hallpass-auth/hallpass/authserver/internal/outbound"
	"github.com/hallpass-auth/hallpass/authserver/internal/ratelimit"
	"github.com/hallpass-auth/hallpass/authserver/internal/record"
)

// Limits on the documents that are fetched for the browsers of a network (ratelimit.SiteNetwork). A fetch may take
// seconds, and only a few run at once.
const (
	documentBurst    = 8
	documentInterval = time.Second
)

// documentClient returns the client of an authorization request whose client_id is a URL. The document is
// not fetched before the other parameters are valid. Since the redirect URI cannot be checked without it,
// what is wrong with them is shown to the user.
func (e *endpoints) documentClient(r *http.Request, a *authorization) (client.Client, error) {
	id := a.form.Get("client_id")
	allowed, err := e.unregisteredScope(r.Context())
	if err != nil {
		return client.Client{}, err
	}
	if err := e.cfg.Documents.Check(id); err != nil {
		e.logDocument(r, id, err)
		return client.Client{}, clientPageError(record.ErrNotFound)
	}
	host := client.Client{ID: id, Source: client.SourceDocument}.DocumentHost()
	if err := client.CheckRedirectURI(a.redirectURI); err != nil {
		return client.Client{}, brokenLink(say("The app at {host} did not say where to send you next.", host),
			say("Please tell its developers that {parameter} is missing or not acceptable.", "redirect_uri"))
	}
	trial := *a
	trial.client = client.Client{
		ID: id, Name: host, Grants: []oauth.GrantType{oauth.GrantAuthorizationCode}, Scope: allowed,
	}
	problem := trial.check()
	if problem == nil {
		problem, err = e.checkTarget(r, &trial)
	}
	if err != nil {
		return client.Client{}, err
	}
	if problem != nil {
		return client.Client{}, brokenLink(say("The request from the app at {host} is not valid.", host),
			say("Please tell its developers: {problem}.", problem.Description))
	}
	var c client.Client
	if e.cfg.Documents.Has(id) || e.documents.Allow(ratelimit.SiteNetwork(httpserver.Host(r.RemoteAddr))) {
		c, err = e.cfg.Documents.Client(r.Context(), id, allowed)
	} else {
		err = fmt.Errorf("%w from the browser's network", outbound.ErrBusy)
	}
	if err == nil {
		a.described = c
		return e.withStoredRequirements(r.Context(), c)
	}
	if cause := r.Context().Err(); cause != nil {
		return client.Client{}, cause
	}
	e.logDocument(r, id, err)
	return client.Client{}, documentPageError(id, host, err)
}

// withStoredRequirements returns the client of a document with what is stored about it: what an administrator requires,
// or an earlier document did. The token endpoint knows the stored client only, so both require the same.
func (e *endpoints) withStoredRequirements(ctx context.Context, c client.Client) (client.Client, error) {
	stored, err := e.auth.find(ctx, c.ID)
	switch {
	case errors.Is(err, record.ErrNotFound):
		return c, nil
	case err != nil:
		return client.Client{}, err
	}
	return c.RequiringAlso(stored), nil
}

// documentPageError returns the error for a document that could not be fetched or is not valid.
func documentPageError(id, host string, err error) error {
	if errors.Is(err, outbound.ErrUnavailable) {
		wait := int(outbound.FailureMemory / time.Second)
		return &pageError{
			title:      say("Temporarily unavailable"),
			text:       say("The app at {host} cannot be checked right now.", host),
			advice:     say("Its description at {address} could not be fetched. Try again in {wait}.", id, waitText(wait)),
			retryAfter: wait,
		}
	}
	advice := say("Please tell its developers that this server could not fetch {address}.", id)
	var wrong *oauth.Error
	if errors.As(err, &wrong) {
		advice = say("Please tell its developers about {address}: {problem}.", id, wrong.Description)
	}
	return brokenLink(say("The app at {host} does not describe itself correctly.", host), advice)
}

// logDocument logs why a client_id that is a URL is refused.
func (e *endpoints) logDocument(r *http.Request, id string, reason error) {
	e.cfg.Log.InfoContext(r.Context(), "client ID metadata document refused",
		"event", "client_document_refused", "client", id, "reason", reason)
}

// unregisteredScope returns what clients that nobody has registered may ask for.
func (e *endpoints) unregisteredScope(ctx context.Context) (oauth.Scope, error) {
	if len(e.cfg.UnregisteredScope) > 0 {
		return e.cfg.UnregisteredScope, nil
	}
	return e.supportedScopes(ctx)
}

// keepClient stores the client of a document once a user has allowed it something, so that grants can refer to
// it. It notes the use of a client that has registered itself.
func (e *endpoints) keepClient(r *http.Request, a *authorization) error {
	switch a.client.Source {
	case client.SourceDocument:
		c := a.described // without the stored requirements: an administrator may have just removed them
		c.CreatedAt, c.LastUsedAt = e.cfg.Now(), e.cfg.Now()
		return e.cfg.Store.AddUnregistered(r.Context(), c)
	case client.SourceRegistration:
		err := e.cfg.Store.UseClient(r.Context(), a.client.ID, e.cfg.Now())
		if errors.Is(err, record.ErrNotFound) {
			return clientPageError(err)
		}
		return err
	case client.SourceAdministrator:
	}
	return nil
}

// returnTarget says where a redirect URI leads, for people.
func returnTarget(uri string) *catalog.Message {
	u, err := url.Parse(uri)
	switch {
	case err != nil:
		return catalog.Verbatim(uri)
	case u.Scheme == "https":
		return catalog.Verbatim(u.Host)
	case u.Scheme == "http":
		return say("{host}, which is this computer only", u.Host)
	}
	return say("the program that opens {scheme} links", u.Scheme+":")
}
