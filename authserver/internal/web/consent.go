package web

import (
	"context"
	"errors"
	"net/http"
	"slices"

	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/audit"
	"github.com/hallpass-auth/hallpass/authserver/internal/catalog"
	"github.com/hallpass-auth/hallpass/authserver/internal/client"
	"github.com/hallpass-auth/hallpass/authserver/internal/record"
	"github.com/hallpass-auth/hallpass/authserver/internal/resource"
)

// showConsent writes the page that asks the user to allow or deny the request.
func (e *endpoints) showConsent(w http.ResponseWriter, r *http.Request, a *authorization, s session) error {
	scopes, err := e.describeScopes(r.Context(), a.scope)
	if err != nil {
		return err
	}
	again := ""
	if query := logInAgain(r.URL.RawQuery); len(query) <= maxQuery {
		again = "/authorize?" + query
	}
	e.render(w, r, http.StatusOK, "consent", page{
		Title:  say("Allow access?"),
		Client: a.client.Name, API: a.api.Name, Scopes: scopes, Native: a.client.Impersonable(a.redirectURI),
		AsksEachTime: a.asksEachTime(), Unregistered: a.client.Source != client.SourceAdministrator,
		ClientHost: a.client.DocumentHost(), Returns: returnTarget(a.redirectURI),
		User: s.user.Name, UserID: s.user.ID,
		Continue: r.URL.RawQuery, LoginAgain: again,
	}, formTarget(a.redirectURI))
	return nil
}

// scopeView is a scope token as pages show it. Text is nil for one without a description.
type scopeView struct {
	Scope string
	Text  *catalog.Message
}

// describeScopes returns the description of each scope token.
func (e *endpoints) describeScopes(ctx context.Context, scope oauth.Scope) ([]scopeView, error) {
	known, err := e.cfg.Store.ScopeDescriptions(ctx)
	if err != nil {
		return nil, err
	}
	return describe(known, scope), nil
}

// describe returns the description of each scope token, given the described ones.
func describe(known []resource.ScopeDescription, scope oauth.Scope) []scopeView {
	var described []scopeView
	for _, t := range scope {
		d := scopeView{Scope: t, Text: identityTexts[t]}
		if i := slices.IndexFunc(known, func(k resource.ScopeDescription) bool { return k.Scope == t }); i >= 0 {
			d.Text = scopeText(known[i].Text)
		}
		described = append(described, d)
	}
	return described
}

// consent serves POST /consent, the form of the consent page. If the browser's session has
// ended or belongs to another user by now, it starts again.
func (e *endpoints) consent(w http.ResponseWriter, r *http.Request) error {
	form, query, a, err := e.readPageForm(w, r)
	if err != nil {
		return err
	}
	s, err := e.session(r)
	if err != nil {
		return err
	}
	if administers(a.scope) && !s.user.Administers() {
		redirect(w, "/authorize?"+query) // which says why
		return nil
	}
	asked := s.digest != "" && s.user.ID == form.Get("user") && a.problem == nil
	if asked && form.Get("decision") != "allow" {
		return e.refuse(w, a, errAccessDenied)
	}
	if !asked || e.needsLogin(a, s) { // max_age may have passed while the page was open
		redirect(w, "/authorize?"+query)
		return nil
	}
	if err := e.countForm(s); err != nil {
		return err
	}
	if a.isPushed() || a.asksEachTime() {
		return e.allowNow(w, r, a, s)
	}
	if err := e.rememberConsent(r, a, s); err != nil {
		return err
	}
	redirect(w, "/authorize?"+withoutPrompt(query, "consent"))
	return nil
}

// allowNow sends a code without going back to /authorize, which would ask again: a pushed request keeps its
// prompt=consent, and consent to an app that another program can pretend to be is not remembered (RFC 8252 section
// 8.6).
func (e *endpoints) allowNow(w http.ResponseWriter, r *http.Request, a *authorization, s session) error {
	if err := e.readRevocations(r, a, s); err != nil {
		return err
	}
	if a.asksEachTime() {
		if err := e.recordConsent(r, a, s); err != nil {
			return err
		}
	} else if err := e.rememberConsent(r, a, s); err != nil {
		return err
	}
	return e.sendCode(w, r, a, s)
}

// recordConsent logs and records consent that is not remembered.
func (e *endpoints) recordConsent(r *http.Request, a *authorization, s session) error {
	err := e.cfg.Store.Record(r.Context(), audit.Event{
		Name: "consent", At: e.cfg.Now(), ClientID: a.client.ID,
		Subject: audit.Subject{Kind: audit.SubjectUser, ID: s.user.ID},
		Details: audit.Details("scope", a.scope.String(), "audience", a.api.Audience),
	})
	if err == nil {
		e.logConsent(r, a, s)
	}
	return err
}

func (e *endpoints) logConsent(r *http.Request, a *authorization, s session) {
	e.cfg.Log.InfoContext(r.Context(), "consent given", "event", "consent",
		"user", s.user.ID, "client", a.client.ID, "api", a.api.Audience, "scope", a.scope.String())
}

// rememberConsent adds the requested scope to what the user has allowed for the same API.
func (e *endpoints) rememberConsent(r *http.Request, a *authorization, s session) error {
	if err := e.keepClient(r, a); err != nil {
		return err
	}
	err := e.cfg.Store.AddConsent(r.Context(), s.user.ID, a.client.ID, a.api.Audience, a.scope, e.cfg.Now())
	if errors.Is(err, record.ErrNotFound) {
		return nil // the API was deleted meanwhile; the request that follows says so
	}
	if err == nil {
		e.logConsent(r, a, s)
	}
	return err
}
