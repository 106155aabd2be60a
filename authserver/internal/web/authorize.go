package web

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
	"github.com/hallpass-auth/hallpass/authserver/internal/issuing"
	"github.com/hallpass-auth/hallpass/authserver/internal/record"
)

// authorizePath is the path of the authorization endpoint.
const authorizePath = "/authorize"

// maxQuery bounds the query of an authorization request, in bytes, before the login and after.
// Pages carry it unchanged: see query.go. Escaped in the form of a page it may be three times as
// long, and must fit into maxBody.
const maxQuery = 4 << 10

// minMaxAge is how old a login of this authorization request may be, whatever its max_age: the user needs the time
// between the login and the consent.
const minMaxAge = time.Minute

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

// needsLogin reports whether the user must log in first: nobody is logged in, the client asks
// for a new login, the login is too old for it or has too few factors, or it asks for another user. To choose an
// account is to log in.
//
// After the login, the browser comes back with a query without what the user has just done: see afterLogin. A pushed
// request stays as it is, so a login since it was pushed counts as new, until it is older than max_age and minMaxAge
// (OpenID Connect Core section 3.1.2.1).
func (e *endpoints) needsLogin(a *authorization, s session) bool {
	if s.digest == "" || a.loginAgain || a.wrongUser(s.user.ID) || e.lacksFactor(s, a.needsSecondFactor) {
		return true
	}
	age := e.cfg.Now().Sub(s.login.At)
	if a.maxAge >= 0 && age > max(a.maxAge, minMaxAge) {
		return true
	}
	tooOld := a.maxAge == 0 || a.maxAge > 0 && age > a.maxAge
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
	allowed, err := e.cfg.Store.ConsentedScope(r.Context(), s.user.ID, a.client.ID, a.api.Audience)
	_, missing := allowed.Missing(a.scope...)
	return missing || len(allowed) == 0, err
}

// readRevocations sets how often the user's consents to the client have been revoked. It must
// come before the consent is looked up: a revocation after that voids the code.
func (e *endpoints) readRevocations(r *http.Request, a *authorization, s session) (err error) {
	a.revocations, err = e.cfg.Store.ConsentRevocations(r.Context(), s.user.ID, a.client.ID)
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
