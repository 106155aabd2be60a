package web

import (
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/client"
	"github.com/hallpass-auth/hallpass/authserver/internal/clientmeta"
	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
	"github.com/hallpass-auth/hallpass/authserver/internal/resource"
)

// authorization is an authorization request whose client and redirect URI are valid, so that
// errors may be sent to the client.
type authorization struct {
	client    client.Client
	described client.Client // what the document of the client says, if it has one

	api         resource.API
	redirectURI string
	state       string
	scope       oauth.Scope
	prompt      []string
	maxAge      time.Duration // how old the login may be; negative for any age
	loginHint   string
	// needsSecondFactor says that the client, or this request, needs a login with a second factor.
	needsSecondFactor bool
	subject           string // id of the user that the client asks for; empty for any
	form              url.Values
	problem           *oauth.Error        // what else is wrong; the client is told once the user is known
	pushed            grant.PushedRequest // zero if the request was not pushed
	loginAgain        bool                // the user wants to log in as someone else, in a pushed request
	revocations       int64               // of consents of the user to the client, before the consent is looked up
}

// readAuthorization reads and checks an authorization request. An invalid client or redirect
// URI is a *pageError.
func (e *endpoints) readAuthorization(r *http.Request, query string) (*authorization, error) {
	if len(query) > maxQuery {
		return nil, errLongRequest
	}
	form, err := url.ParseQuery(query)
	if err == nil && grant.IsRequestURI(form.Get("request_uri")) {
		return e.readPushed(r, form)
	}
	a, err := e.readRequest(r, query)
	if err == nil && a.client.RequirePAR {
		a.problem = errMustPush
	}
	return a, err
}

// readRequest reads and checks the parameters of an authorization request: of the browser, or of a client that
// pushes them. An invalid client or redirect URI is a *pageError.
func (e *endpoints) readRequest(r *http.Request, query string) (*authorization, error) {
	if len(query) > maxQuery {
		return nil, errLongRequest
	}
	form, err := url.ParseQuery(query)
	if err == nil && len(form["client_id"])+len(form["redirect_uri"]) > 2 {
		err = invalid("repeated")
	}
	if err != nil || whyUnusable(form.Get("client_id")) != "" {
		return nil, errUnreadable
	}
	a := &authorization{redirectURI: form.Get("redirect_uri"), state: form.Get("state"), maxAge: -1, form: form}
	if a.client, err = e.clientOf(r, a); err != nil {
		return nil, err
	}
	if a.redirectURI == "" {
		return nil, brokenLink(say("{app} did not say where to send you next.", a.client.Name),
			say("Please tell its developers that {parameter} is missing.", "redirect_uri"))
	}
	if !a.client.AllowsRedirect(a.redirectURI) {
		return nil, wrongRedirect(a.client, a.redirectURI)
	}
	if a.problem = a.check(); a.problem == nil {
		a.problem, err = e.checkTarget(r, a)
	}
	e.raiseForAdmin(a)
	if a.problem == nil && err == nil {
		a.problem = e.checkOpenID(a)
	}
	return a, err
}

// errUnreadable is the response to an authorization request that cannot be read.
var errUnreadable = brokenLink(say("The request from the app could not be read."),
	say("Go back to the app and try again."))

// clientOf returns the client of an authorization request. An unknown one is a *pageError.
func (e *endpoints) clientOf(r *http.Request, a *authorization) (client.Client, error) {
	id := a.form.Get("client_id")
	if clientmeta.IsDocumentID(id) {
		return e.documentClient(r, a)
	}
	c, err := e.auth.find(r.Context(), id)
	if err != nil {
		return client.Client{}, clientPageError(err)
	}
	return c, nil
}

// wrongRedirect returns the error for a redirect URI that is not registered. The log says which registered one
// is nearest.
func wrongRedirect(c client.Client, uri string) error {
	return &pageError{
		title:  say("This link is broken"),
		text:   say("{app} wants to send you to an address that is not registered for it.", c.Name),
		advice: say("Please tell its developers that {parameter} must exactly match a registered one.", "redirect_uri"),
		detail: "Client " + c.ID + ": " + c.ExplainRedirect(uri) + ".",
	}
}

// check reads the rest of the request and returns what is wrong with it.
func (a *authorization) check() *oauth.Error {
	bad := func(text string) *oauth.Error { return oauth.ErrInvalidRequest.Describe(text) }
	form, err := clean(a.form)
	if errors.Is(err, errTwoTargets) {
		return errTwoTargets
	}
	if err != nil {
		return bad("a parameter is repeated or not readable")
	}
	a.form = form
	a.prompt = strings.Fields(form.Get("prompt"))
	a.loginHint = form.Get("login_hint")
	a.needsSecondFactor = a.client.RequireSecondFactor || wantsTwoFactors(strings.Fields(form.Get("acr_values")))
	if text := form.Get("max_age"); text != "" {
		seconds, err := strconv.ParseUint(text, 10, 31)
		if err != nil {
			return bad("max_age is not a number of seconds")
		}
		a.maxAge = time.Duration(seconds) * time.Second
	}
	if slices.Contains(a.prompt, "none") && len(a.prompt) > 1 {
		return bad("prompt none stands alone")
	}
	return a.checkResponse()
}

// checkResponse returns what is wrong with the parameters that say what the response is and how it is protected.
func (a *authorization) checkResponse() *oauth.Error {
	bad := func(text string) *oauth.Error { return oauth.ErrInvalidRequest.Describe(text) }
	form := a.form
	switch {
	case form.Get("response_type") == "":
		return bad("missing: response_type")
	case form.Get("response_type") != "code":
		return &oauth.Error{Code: oauth.CodeUnsupportedResponseType, Description: "response_type must be code"}
	case !a.client.Allows(oauth.GrantAuthorizationCode):
		return oauth.ErrUnauthorizedClient.Describe("this client may not use the grant type authorization_code")
	case form.Has("request"):
		return &oauth.Error{Code: oauth.CodeRequestNotSupported, Description: "request objects are not supported"}
	case form.Has("request_uri"):
		return &oauth.Error{Code: oauth.CodeRequestURINotSupported, Description: "request objects are not supported"}
	case form.Get("response_mode") != "" && form.Get("response_mode") != "query":
		return bad("response_mode must be query")
	case form.Has("dpop_jkt") && !keyThumbprint.MatchString(form.Get("dpop_jkt")):
		return errKeyThumbprint
	case form.Get("code_challenge") == "" && a.client.WithoutPKCE && form.Get("code_challenge_method") == "":
	case form.Get("code_challenge") == "":
		return bad("missing: code_challenge (PKCE is required, RFC 7636)")
	case form.Get("code_challenge_method") != "S256":
		return bad("code_challenge_method must be S256")
	case !challenge.MatchString(form.Get("code_challenge")):
		return bad("code_challenge must be 43 characters of base64url")
	}
	return nil
}

// checkTarget sets the requested API and scope, and returns what is wrong with them. The error
// is one that the client is not told.
func (e *endpoints) checkTarget(r *http.Request, a *authorization) (*oauth.Error, error) {
	asked, err := oauth.ParseScope(a.form.Get("scope"))
	if err == nil {
		a.api, err = e.cfg.Tokens.Target(r.Context(), a.form.Get("resource"))
	}
	if err == nil {
		a.scope, err = e.cfg.Tokens.UserScope(a.client, a.api, asked)
	}
	if err == nil {
		err = e.cfg.Tokens.CheckAdminClient(a.api, a.client, oauth.GrantAuthorizationCode)
	}
	var wrong *oauth.Error
	if errors.As(err, &wrong) {
		return wrong, nil
	}
	return nil, err
}

// challenge matches the base64url of a SHA-256 (RFC 7636 section 4.2).
var challenge = regexp.MustCompile(`^[A-Za-z0-9_-]{43}$`)
