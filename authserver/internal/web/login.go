package web

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/client"
)

// showLogin shows the login page for an authorization request.
func (e *endpoints) showLogin(w http.ResponseWriter, status int, a *authorization, query string, p page) {
	p.Title, p.Client, p.Continue = "Log in", a.client.Name, query
	e.render(w, status, "login", p, formTarget(a.redirectURI))
}

// login is POST /login, sent by the login page. What it goes on with is the query of an
// authorization request, and is checked as one.
func (e *endpoints) login(w http.ResponseWriter, r *http.Request) error {
	form, query, a, err := e.readPageForm(w, r)
	if err != nil {
		return err
	}
	user, err := e.checkPassword(r, a.client.ID, form)
	if err == nil {
		err = e.startSession(w, r, user)
	}
	if err != nil {
		return e.failLogin(w, a, query, form.Get("username"), err)
	}
	leave(w, "/authorize?"+afterLogin(query))
	return nil
}

// failLogin shows the login page again where whoever sent it can do something about the
// error.
func (e *endpoints) failLogin(w http.ResponseWriter, a *authorization, query, username string, err error) error {
	f := failureOf(err)
	if f.forPerson == "" {
		return err
	}
	f.setRetryAfter(w)
	e.showLogin(w, f.status, a, query, page{Username: username, Error: f.forPerson})
	return &shownError{f.code}
}

// checkPassword checks what was typed. A field that is empty is as wrong as any.
func (e *endpoints) checkPassword(r *http.Request, clientID string, form url.Values) (account.User, error) {
	if form.Get("username") == "" || form.Get("password") == "" {
		return account.User{}, account.ErrIncorrect
	}
	return e.cfg.Passwords.Check(r.Context(), account.Attempt{
		Username: form.Get("username"), Password: form.Get("password"), ClientID: clientID, GrantType: oauth.GrantAuthorizationCode,
	})
}

// readPageForm reads a form of one of our pages, and the authorization request that it
// goes on with.
func (e *endpoints) readPageForm(w http.ResponseWriter, r *http.Request) (url.Values, string, *authorization, error) {
	form, err := readForm(w, r, urlencodedOnly)
	if err != nil {
		return nil, "", nil, &pageError{"This form is broken", "What your browser sent cannot be read. Go back to the app and start again."}
	}
	query := form.Get("continue")
	a, err := e.readAuthorization(r, query)
	return form, query, a, err
}

// without returns the query of an authorization request without one of the values of
// prompt, because what it asked for has been done.
func without(query, prompt string) string {
	values, err := url.ParseQuery(query)
	if err != nil || !values.Has("prompt") {
		return query
	}
	left := slices.DeleteFunc(strings.Fields(values.Get("prompt")), func(s string) bool { return s == prompt })
	values.Set("prompt", strings.Join(left, " "))
	return values.Encode()
}

// afterLogin returns the query of an authorization request without what asked for the
// login that has just been done. With it, one that allows no age at all would ask for a
// login for ever.
func afterLogin(query string) string {
	values, err := url.ParseQuery(query)
	if err != nil || !values.Has("max_age") {
		return without(query, "login")
	}
	values.Del("max_age")
	return without(values.Encode(), "login")
}

// clientPageError is what the user reads when the client of a link is not known.
func clientPageError(err error) error {
	if errors.Is(err, client.ErrNotFound) {
		return &pageError{"This link is broken", "The app that sent you here is not registered. Go back to it, or tell its makers that their client_id is unknown."}
	}
	return err
}
