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
	"github.com/hallpass-auth/hallpass/authserver/internal/issuing"
	"github.com/hallpass-auth/hallpass/authserver/internal/record"
	"github.com/hallpass-auth/hallpass/authserver/internal/resource"
)

// authorizePath is the path of the authorization endpoint.
const authorizePath = "/authorize"

// maxQuery bounds the query of an authorization request, in bytes, before the login and after.
// Pages carry it unchanged: see query.go. Escaped in the form of a page it may be three times as
// long, and must fit into maxBody.
const maxQuery = 4 << 10

// authorization is an authorization request whose client and redirect URI are valid, so that
// errors may be sent to the client.
type authorization struct {
	client      client.Client
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

// Errors that the client is told when a user refuses, or cannot be asked.
var (
	errAccessDenied    = &oauth.Error{Code: oauth.CodeAccessDenied, Description: "the user did not allow it"}
	errLoginRequired   = &oauth.Error{Code: oauth.CodeLoginRequired, Description: "the user is not logged in"}
	errConsentRequired = &oauth.Error{Code: oauth.CodeConsentRequired, Description: "the user has not allowed it yet"}
)

// authorize serves GET /authorize (RFC 6749 section 4.1.1): login, then consent, then a code.
// Each page leads back here with the same query. What has been done is known from the session.
func (e *endpoints) authorize(w http.ResponseWriter, r *http.Request) error {
	a, err := e.readAuthorization(r, r.URL.RawQuery)
	e.logProblem(r, a, err)
	if err != nil {
		return err
	}
	if a.isPushed() {
		r = e.inLanguage(w, r, a.form.Get("ui_locales"), true)
	}
	s, err := e.session(r)
	if err != nil {
		return err
	}
	silent := slices.Contains(a.prompt, "none")
	switch {
	case silent && a.problem != nil && s.digest != "":
		return e.refuse(w, a, a.problem)
	case e.needsLogin(a, s) && silent:
		return e.refuse(w, a, errLoginRequired)
	case e.needsLogin(a, s):
		e.showLogin(w, r, http.StatusOK, a, r.URL.RawQuery, page{Username: a.loginHint})
		return nil
	case a.problem != nil:
		return e.refuse(w, a, a.problem)
	case administers(a.scope) && !s.user.Administers():
		return e.refuse(w, a, issuing.ErrNotAdministrator)
	}
	asks, err := e.needsConsent(r, a, s)
	switch {
	case err != nil:
		return err
	case asks && silent:
		return e.refuse(w, a, errConsentRequired)
	case asks:
		return e.showConsent(w, r, a, s)
	}
	return e.sendCode(w, r, a, s)
}

// logProblem logs why an authorization request will fail. The user sees it only after the login,
// if at all, and a developer may not get that far.
func (e *endpoints) logProblem(r *http.Request, a *authorization, err error) {
	var page *pageError
	switch {
	case errors.As(err, &page):
		e.cfg.Log.DebugContext(r.Context(), "authorization request refused",
			"reason", strings.TrimSpace(page.text.English()+" "+page.advice.English()+" "+page.detail))
	case err == nil && a.problem != nil:
		e.cfg.Log.DebugContext(r.Context(), "authorization request will be refused",
			"client", a.client.ID, "error", string(a.problem.Code), "reason", a.problem.Description)
	}
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
	c, err := e.cfg.Tokens.ClientByID(r.Context(), id)
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
	case form.Get("code_challenge") == "" && a.client.WithoutPKCE && form.Get("code_challenge_method") == "":
	case form.Get("code_challenge") == "":
		return bad("missing: code_challenge (PKCE is required, RFC 7636)")
	case form.Get("code_challenge_method") != "S256":
		return bad("code_challenge_method must be S256")
	case !challenge.MatchString(form.Get("code_challenge")):
		return bad("code_challenge must be 43 characters of base64url")
	case form.Has("dpop_jkt") && !keyThumbprint.MatchString(form.Get("dpop_jkt")):
		return errKeyThumbprint
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

// needsLogin reports whether the user must log in first: nobody is logged in, the client asks
// for a new login, the login is too old for it or has too few factors, or it asks for another user. To choose an
// account is to log in.
//
// After the login, the browser comes back with a query without what the user has just done: see afterLogin. A pushed
// request stays as it is, so a login since it was pushed counts as new.
func (e *endpoints) needsLogin(a *authorization, s session) bool {
	if s.digest == "" || a.loginAgain || a.wrongUser(s.user.ID) || e.lacksFactor(s, a.needsSecondFactor) {
		return true
	}
	tooOld := a.maxAge == 0 || a.maxAge > 0 && e.cfg.Now().Sub(s.login.At) > a.maxAge
	again := slices.Contains(a.prompt, "login") || slices.Contains(a.prompt, "select_account")
	isNew := a.isPushed() && !s.login.At.Before(a.pushed.CreatedAt)
	return (tooOld || again) && !isNew
}

// lacksFactor reports whether a user has logged in with one factor, and needs two: because of what the login is for, or
// because the user must have a second factor anyway.
func (e *endpoints) lacksFactor(s session, needed bool) bool {
	return !s.login.TwoFactors() && (needed || e.cfg.SecondFactors.Policy.Requires(s.user))
}

// needsConsent reports whether the user must be asked. Users of a first-party app are asked only
// if the app wants that. Users of an app that another program can pretend to be are asked each
// time (RFC 8252 section 8.6), and those of an app that nobody has registered: see client.AsksEachTime. So are
// administrators by an app that wants to administer the server.
func (e *endpoints) needsConsent(r *http.Request, a *authorization, s session) (bool, error) {
	err := e.readRevocations(r, a, s)
	if err != nil || slices.Contains(a.prompt, "consent") || a.asksEachTime() {
		return true, err
	}
	if a.client.FirstParty {
		return false, nil
	}
	allowed, err := e.cfg.Sessions.ConsentedScope(r.Context(), s.user.ID, a.client.ID, a.api.Audience)
	_, missing := allowed.Missing(a.scope...)
	return missing || len(allowed) == 0, err
}

// readRevocations sets how often the user's consents to the client have been revoked. It must
// come before the consent is looked up: a revocation after that voids the code.
func (e *endpoints) readRevocations(r *http.Request, a *authorization, s session) (err error) {
	a.revocations, err = e.cfg.Sessions.ConsentRevocations(r.Context(), s.user.ID, a.client.ID)
	return err
}

// sendCode sends the browser back to the client with a code.
func (e *endpoints) sendCode(w http.ResponseWriter, r *http.Request, a *authorization, s session) error {
	if err := e.keepClient(r, a); err != nil {
		return err
	}
	uri, err := e.cfg.Tokens.Authorize(r.Context(), issuing.Authorization{
		Client: a.client, Form: a.form, API: a.api, UserID: s.user.ID, Session: s.digest, Login: s.login,
		Scope:              a.scope,
		Pushed:             a.pushed.Digest,
		ConsentRevocations: a.revocations,
	})
	if errors.Is(err, grant.ErrPushedUnknown) {
		return errUsedLink
	}
	if errors.Is(err, record.ErrNotFound) { // the API was deleted since it was looked up
		return e.refuse(w, a, issuing.ErrTarget)
	}
	if err != nil {
		return err
	}
	redirect(w, uri)
	return nil
}

// refuse sends the browser back to the client with an error. It returns a *handledError.
func (e *endpoints) refuse(w http.ResponseWriter, a *authorization, reason *oauth.Error) error {
	redirect(w, e.cfg.Tokens.Refuse(a.redirectURI, a.state, reason))
	return &handledError{reason.Code}
}
