package web

import (
	"net/http"

	"github.com/hallpass-auth/hallpass/shared/oauth"
)

// showConsent asks the user whether the client may have what it asks for.
func (e *edge) showConsent(w http.ResponseWriter, a *authorization, s session, query string) {
	e.render(w, http.StatusOK, "consent", page{
		Title: "Allow access", Client: a.client.Name, User: s.user.Name, UserID: s.user.ID, Scopes: a.scope, Continue: query,
	}, formTarget(a.redirectURI))
}

// consent is POST /consent, sent by the consent page. Without a session, or with that of
// somebody else than the one who saw the page, it goes back to the beginning.
func (e *edge) consent(w http.ResponseWriter, r *http.Request) error {
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

// rememberConsent adds what is allowed now to what was allowed before.
func (e *edge) rememberConsent(r *http.Request, a *authorization, s session) error {
	before, err := e.cfg.Sessions.ConsentedScope(r.Context(), s.user.ID, a.client.ID)
	if err != nil {
		return err
	}
	scope := append(oauth.Scope{}, before...)
	for _, t := range a.scope {
		if !scope.Has(t) {
			scope = append(scope, t)
		}
	}
	return e.cfg.Sessions.SetConsent(r.Context(), s.user.ID, a.client.ID, scope, e.cfg.Now())
}
