package web

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/hallpass-auth/hallpass/shared/httpserver"
	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/client"
	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
)

// errMustPush is the response to a client that must push its authorization requests, and has not.
var errMustPush = oauth.ErrInvalidRequest.Describe("this client must push its authorization requests (RFC 9126)")

// errLargePush is the response to a pushed request that is too large (RFC 9126 section 2.3).
var errLargePush = errors.New("the pushed request is too large")

// errUsedLink is the response to a request_uri that is unknown, another client's, expired or used.
var errUsedLink = &pageError{
	title:  say("This link no longer works"),
	text:   say("It was already used, or has expired."),
	advice: say("Go back to the app and start again."),
}

// credentialParameters authenticate the client. They are not part of the pushed request.
var credentialParameters = []string{"client_secret", "client_assertion", "client_assertion_type"}

// push serves POST /par (RFC 9126 section 2): it checks an authorization request as /authorize does, and stores it
// until a browser opens its request_uri.
func (e *endpoints) push(w http.ResponseWriter, r *http.Request) (any, error) {
	form, err := readForm(w, r, urlencodedOnly)
	if errors.Is(err, errLargeBody) {
		err = errLargePush
	}
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
	if err := pushKey(form, proof); err != nil {
		return nil, err
	}
	if form.Has("request_uri") {
		return nil, invalid("request_uri cannot be pushed (RFC 9126 section 2.1)")
	}
	for _, name := range credentialParameters {
		form.Del(name)
	}
	form.Set("client_id", c.ID)
	query := form.Encode()
	a, err := e.readRequest(r, query)
	switch {
	case err != nil:
		return nil, pushedError(err, c, form)
	case a.problem != nil:
		return nil, a.problem
	}
	pushed, err := e.cfg.Tokens.PushRequest(r.Context(), c, query, httpserver.Host(r.RemoteAddr))
	if err != nil {
		return nil, err
	}
	// The proof is used last, so that the limit on pushed requests also limits proofs. Nobody gets to know the
	// request_uri if it was used before.
	return pushed, e.useProof(r.Context(), proof)
}

// pushedError returns the error for the client if /authorize would only tell the user.
func pushedError(err error, c client.Client, form url.Values) error {
	var page *pageError
	switch {
	case !errors.As(err, &page) || page.retryAfter > 0:
		return err
	case errors.Is(err, errLongRequest):
		return errLargePush
	case form.Get("redirect_uri") == "":
		return invalid("missing: redirect_uri")
	case !c.AllowsRedirect(form.Get("redirect_uri")):
		return invalid("redirect_uri must exactly match a registered redirect URI")
	}
	return invalid("%s", page.text.English())
}

// readPushed reads the authorization request that a client has pushed, given the query with its request_uri. Of the
// other parameters there, only prompt=login has an effect, with which the consent page leads back here: what the
// client asks for is in the pushed request alone (RFC 9101 section 6.3).
func (e *endpoints) readPushed(r *http.Request, query url.Values) (*authorization, error) {
	id, uri := query["client_id"], query["request_uri"]
	if len(id) != 1 || len(uri) != 1 || whyUnusable(id[0]) != "" {
		return nil, errUnreadable
	}
	pushed, err := e.cfg.Tokens.PushedRequest(r.Context(), uri[0], id[0])
	if errors.Is(err, grant.ErrPushedUnknown) {
		return nil, errUsedLink
	}
	if err != nil {
		return nil, err
	}
	a, err := e.readRequest(r, pushed.Query)
	if err != nil {
		return nil, err
	}
	a.pushed = pushed
	a.loginAgain = slices.Contains(strings.Fields(query.Get("prompt")), "login")
	return a, nil
}

// isPushed reports whether the client has pushed the request.
func (a *authorization) isPushed() bool { return a.pushed.Digest != "" }
