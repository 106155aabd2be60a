package doctor

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/client"
	"github.com/hallpass-auth/hallpass/authserver/internal/clientmeta"
	"github.com/hallpass-auth/hallpass/authserver/internal/record"
	"github.com/hallpass-auth/hallpass/authserver/internal/web"
)

// App is an app whose login fails, as its developers have configured it.
type App struct {
	// ClientID is its client_id, and RedirectURI its redirect_uri. An empty RedirectURI means the only registered
	// one.
	ClientID, RedirectURI string
	// Secret is its client_secret; empty if it sends none.
	Secret string
	// Request has further parameters of its authorization request. Complete says that they are all of it.
	// Otherwise response_type and PKCE are added.
	Request  url.Values
	Complete bool
}

// appChecks explain an app.
var appChecks = []check{
	{"client", "whether the app's client_id is registered", (*exam).checkClient},
	{"client redirect", "whether its redirect_uri is registered", (*exam).checkClientRedirect},
	{"client secret", "whether it must send a secret", (*exam).checkClientSecret},
	{"client request", "its authorization request", (*exam).checkClientRequest},
}

// appClient returns the registered client of the app.
func (e *exam) appClient(ctx context.Context) (client.Client, error) {
	if e.cfg.Store == nil {
		return client.Client{}, errors.New("the database cannot be opened")
	}
	return e.cfg.Store.ClientByID(ctx, e.cfg.App.ClientID)
}

// checkClient looks the client up.
func (e *exam) checkClient(ctx context.Context) result {
	if clientmeta.IsDocumentID(e.cfg.App.ClientID) {
		return skipped("the client describes itself in a client metadata document; only registered clients are explained")
	}
	c, err := e.appClient(ctx)
	if errors.Is(err, record.ErrNotFound) {
		return e.unknownClient(ctx)
	}
	if err != nil {
		return skipped("%v", err)
	}
	kind := "confidential, so it must send its secret"
	if c.Public() {
		kind = "public, so it must not send a secret"
	}
	names := make([]string, len(c.Grants))
	for i, name := range c.Grants {
		names[i] = string(name)
	}
	if c.RequireDPoP {
		kind += "; each of its token requests must have a DPoP proof (RFC 9449), until 'authserver client set " + c.ID +
			" --no-dpop'"
	}
	return ok("%s is %s; it may use %s for the scope %q", c.ID, kind, strings.Join(names, ", "), c.Scope.String())
}

// unknownClient returns the words of the error page, and which clients there are.
func (e *exam) unknownClient(ctx context.Context) result {
	clients, err := e.cfg.Store.Clients(ctx, record.Page{})
	if err != nil {
		return skipped("%v", err)
	}
	var ids []string
	for _, c := range clients {
		if c.Source == client.SourceAdministrator && c.ID != e.visit.clientID && c.ID != e.visit.serviceID {
			ids = append(ids, c.ID)
		}
	}
	return failed("Correct client_id in the app, or register it with 'authserver client add'. Registered are: "+
		strings.Join(ids, ", ")+".",
		"%s", e.pageFor(ctx, url.Values{"client_id": {e.cfg.App.ClientID}}, "unknown client"))
}

// pageFor returns the text of the error page for an authorization request, or another text if there is no such page.
func (e *exam) pageFor(ctx context.Context, request url.Values, other string) string {
	if e.metadata == nil {
		return other
	}
	page, err := e.web.send(ctx, get(e.authorizationURL(request)))
	if err != nil || page.status == http.StatusOK || page.header.Get("Location") != "" {
		return other
	}
	return pageText(page)
}

// redirectOf returns the redirect URI of the app; empty if none is known.
func (e *exam) redirectOf(c client.Client) string {
	if uri := e.cfg.App.RedirectURI; uri != "" {
		return uri
	}
	if len(c.RedirectURIs) == 1 {
		return c.RedirectURIs[0]
	}
	return ""
}

// checkClientRedirect compares the redirect URI with the registered ones.
func (e *exam) checkClientRedirect(ctx context.Context) result {
	c, err := e.appClient(ctx)
	if err != nil {
		return skipped("the client could not be read")
	}
	uri := e.redirectOf(c)
	switch {
	case uri == "" && !c.Allows(oauth.GrantAuthorizationCode):
		return skipped("the client uses no redirect")
	case uri == "":
		return skipped("none is named: --redirect-uri has the one that the app sends")
	}
	if fault := c.ExplainRedirect(uri); fault != "" {
		page := e.pageFor(ctx, url.Values{"client_id": {c.ID}, "redirect_uri": {uri}}, "it is not registered.")
		return failed("Correct redirect_uri in the app, or register it: 'authserver client set "+c.ID+
			" --redirect-uri URI', once for each URI, instead of all current ones.", "%s For client %s, %s.", page, c.ID, fault)
	}
	return ok("%s is registered", uri)
}

// checkClientSecret compares the secret with the kind of the client.
func (e *exam) checkClientSecret(ctx context.Context) result {
	c, err := e.appClient(ctx)
	if err != nil {
		return skipped("the client could not be read")
	}
	sent := e.cfg.App.Secret
	switch fault := web.SecretFault(c, sent, e.cfg.Now()); {
	case fault == "" && c.Public():
		return ok("the client is public, and needs none")
	case fault == "":
		return ok("the secret is right")
	case sent == "" && e.cfg.Origin != "":
		return failed("Register another client with --public for a page whose scripts request tokens: they cannot keep a "+
			"secret.", "%s: the client is confidential", fault)
	case sent == "":
		return warning("Check that the app sends the secret to the token endpoint; --secret-file compares it.",
			"%s here: the client is confidential", fault)
	case c.Public():
		return failed("Remove the secret from the app, or register another client without --public.", "%s", fault)
	default:
		return failed("Correct the secret in the app, or get a new one with 'authserver client rotate-secret "+c.ID+"'.",
			"%s", fault)
	}
}

// requestOf returns the authorization request of the app.
func (e *exam) requestOf(c client.Client) url.Values {
	request := url.Values{}
	for name, values := range e.cfg.App.Request {
		request[name] = slices.Clone(values)
	}
	if !e.cfg.App.Complete {
		request.Set("response_type", "code")
		request.Set("code_challenge", challengeOf(e.visit.verifier))
		request.Set("code_challenge_method", "S256")
	}
	request.Set("client_id", c.ID)
	request.Set("redirect_uri", e.redirectOf(c))
	request.Set("prompt", "none") // answers at once, and asks nobody
	request.Del("max_age")
	request.Del("id_token_hint")
	return request
}

// checkClientRequest sends the authorization request as a user who is logged in.
func (e *exam) checkClientRequest(ctx context.Context) result {
	c, err := e.appClient(ctx)
	switch {
	case err != nil:
		return skipped("the client could not be read")
	case !e.visit.loggedIn:
		return notLoggedIn
	case !c.AllowsRedirect(e.redirectOf(c)):
		return skipped("the redirect_uri is not registered")
	}
	resp, err := e.web.send(ctx, get(e.authorizationURL(e.requestOf(c))))
	if err != nil {
		return failed("Check the authorization server.", "the authorization endpoint cannot be reached: %s", why(err))
	}
	back, err := resp.resolve(resp.header.Get("Location"))
	if err != nil || resp.header.Get("Location") == "" {
		return failed("Correct the request of the app.", "%s", pageText(resp))
	}
	code, description := oauth.ErrorCode(back.Query().Get("error")), back.Query().Get("error_description")
	if code == "" || code == oauth.CodeConsentRequired {
		return ok("it is accepted")
	}
	return failed(adviceFor(code, c.ID), "%s", errorText(string(code), description))
}

// adviceFor returns what to change after an error of the authorization endpoint.
func adviceFor(code oauth.ErrorCode, id string) string {
	set := fmt.Sprintf("authserver client set %s", id)
	switch {
	case code == oauth.CodeUnauthorizedClient:
		return "Allow it with '" + set + " --grant TYPE', once for each grant type that the client may use."
	case code == oauth.CodeInvalidScope:
		return "Ask for less in the app, or allow it with '" + set + " --add-scope SCOPE'."
	case code == oauth.CodeInvalidTarget:
		return "Correct resource in the app, or register the API with 'authserver api add'."
	}
	return "Correct the request of the app."
}
