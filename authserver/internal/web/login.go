package web

import (
	"errors"
	"net/http"
	"net/url"

	"github.com/hallpass-auth/hallpass/shared/httpserver"
	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/record"
)

// showLogin writes the login page for an authorization request.
func (e *endpoints) showLogin(
	w http.ResponseWriter,
	r *http.Request,
	status int,
	a *authorization,
	query string,
	p page,
) {
	e.offerPasskey(w, r, &p)
	p.Title, p.Client, p.ClientHost, p.Continue = say("Log in"), a.client.Name, a.client.DocumentHost(), query
	p.Recovers, p.SignUp = e.cfg.Recovery != nil, e.signUpLink(query)
	e.render(w, r, status, "login", p, formTarget(a.redirectURI))
}

// login serves POST /login, the form of the login page. The form has the query of the
// authorization request to continue with, which is checked again.
func (e *endpoints) login(w http.ResponseWriter, r *http.Request) error {
	form, query, a, err := e.readPageForm(w, r)
	if err != nil {
		return err
	}
	first, err := e.checkFirst(r, a.client.ID, oauth.GrantAuthorizationCode, form)
	if err == nil && a.wrongUser(first.user.ID) {
		return e.refuseOtherUser(w, a, e.cfg.Passwords.GiveBack(r.Context(), first.user))
	}
	next := ""
	if err == nil {
		first.continueAt, first.needsFactor = "/authorize?"+afterLogin(query), a.needsSecondFactor
		next, err = e.afterPassword(w, r, first)
	}
	if err != nil {
		return e.failLogin(w, r, a, query, page{Username: form.Get("username"), Wrong: wrongInLogin(form)}, err)
	}
	redirect(w, next)
	return nil
}

// logIn logs the browser in as a user whose password was right.
func (e *endpoints) logIn(w http.ResponseWriter, r *http.Request, user account.User) error {
	err := e.startSession(w, r, user, nil, nil)
	if err != nil && !errors.Is(err, account.ErrIncorrect) {
		err = errors.Join(err, e.cfg.Passwords.GiveBack(r.Context(), user))
	}
	return err
}

// failLogin writes the login page with the error, if the user can do something about it.
func (e *endpoints) failLogin(
	w http.ResponseWriter,
	r *http.Request,
	a *authorization,
	query string,
	p page,
	err error,
) error {
	f := failureOf(err)
	if f.unexpected || f.userText == nil {
		return err
	}
	f.setRetryAfter(w)
	p.Error = f.userText
	e.showLogin(w, r, f.status, a, query, p)
	return &handledError{f.code}
}

// checkPassword checks the username and password of the form. An empty field is incorrect.
func (e *endpoints) checkPassword(
	r *http.Request,
	clientID string,
	grantType oauth.GrantType,
	form url.Values,
) (account.User, error) {
	if form.Get("username") == "" || form.Get("password") == "" {
		return account.User{}, account.ErrIncorrect
	}
	return e.cfg.Passwords.Check(r.Context(), account.Attempt{
		Username:  form.Get("username"),
		Password:  form.Get("password"),
		Address:   httpserver.Host(r.RemoteAddr),
		Browser:   e.browser(r),
		ClientID:  clientID,
		GrantType: grantType,
	})
}

// readPageForm reads the form of a page, and the authorization request to continue with,
// both as a query and parsed.
func (e *endpoints) readPageForm(w http.ResponseWriter, r *http.Request) (url.Values, string, *authorization, error) {
	form, err := readForm(w, r, urlencodedOnly)
	if err != nil {
		return nil, "", nil, badForm(say("Go back to the app and start again."))
	}
	query := form.Get("continue")
	a, err := e.readAuthorization(r, query)
	return form, query, a, err
}

// clientPageError returns the error to show if the client of an authorization request
// cannot be found.
func clientPageError(err error) error {
	if errors.Is(err, record.ErrNotFound) {
		return brokenLink(say("The app that sent you here is not registered."),
			say("Please tell its developers that the {parameter} is unknown.", "client_id"))
	}
	return err
}
