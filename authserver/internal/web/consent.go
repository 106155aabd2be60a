package web

import (
	"cmp"
	"context"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/resource"
)

// showConsent asks the user whether the client may have what it asks for.
func (e *endpoints) showConsent(w http.ResponseWriter, r *http.Request, a *authorization, s session) error {
	scopes, err := e.describeScopes(r.Context(), a.scope)
	if err != nil {
		return err
	}
	form := maps.Clone(a.form)
	form.Set("prompt", strings.Join(append([]string{"login"}, a.prompt...), " "))
	again := ""
	if query := form.Encode(); len(query) <= maxQuery { // it may have grown by escaping
		again = "/authorize?" + query
	}
	e.render(w, http.StatusOK, "consent", page{
		Title: "Allow access", Client: a.client.Name, API: a.api.Name, User: s.user.Name, UserID: s.user.ID, Scopes: scopes, Continue: r.URL.RawQuery,
		LoginAgain: again,
	}, formTarget(a.redirectURI))
	return nil
}

// describeScopes says what a scope means, token by token; the text is empty where nobody has
// said so.
func (e *endpoints) describeScopes(ctx context.Context, scope oauth.Scope) ([]resource.ScopeDescription, error) {
	known, err := e.cfg.Scopes.ScopeDescriptions(ctx)
	if err != nil {
		return nil, err
	}
	var described []resource.ScopeDescription
	for _, t := range scope {
		d := resource.ScopeDescription{Scope: t}
		if i := slices.IndexFunc(known, func(k resource.ScopeDescription) bool { return k.Scope == t }); i >= 0 {
			d = known[i]
		}
		described = append(described, d)
	}
	return described, nil
}

// consent is POST /consent, sent by the consent page. Without a session, or with that of
// somebody else than the one who saw the page, it goes back to the beginning.
func (e *endpoints) consent(w http.ResponseWriter, r *http.Request) error {
	form, query, a, err := e.readPageForm(w, r)
	if err != nil {
		return err
	}
	s, err := e.session(r)
	if err != nil {
		return err
	}
	asked := s.digest != "" && s.user.ID == form.Get("user") && a.problem == nil
	if asked && form.Get("decision") != "allow" {
		return e.refuse(w, a, errAccessDenied)
	}
	if !asked {
		leave(w, "/authorize?"+query)
		return nil
	}
	if err := e.rememberConsent(r, a, s); err != nil {
		return err
	}
	leave(w, "/authorize?"+without(query, "consent"))
	return nil
}

// rememberConsent adds what is allowed now to what was allowed before at the same API.
func (e *endpoints) rememberConsent(r *http.Request, a *authorization, s session) error {
	before, err := e.cfg.Sessions.ConsentedScope(r.Context(), s.user.ID, a.client.ID, a.api.Audience)
	if err != nil {
		return err
	}
	scope := append(oauth.Scope{}, before...)
	for _, t := range a.scope {
		if !scope.Has(t) {
			scope = append(scope, t)
		}
	}
	if err := e.cfg.Sessions.SetConsent(r.Context(), s.user.ID, a.client.ID, a.api.Audience, scope, e.cfg.Now()); err != nil {
		return err
	}
	e.cfg.Log.InfoContext(r.Context(), "consent given", "event", "consent",
		"user", s.user.ID, "client", a.client.ID, "api", cmp.Or(a.api.Audience, e.cfg.Verifier.Audience()), "scope", scope.String())
	return nil
}
