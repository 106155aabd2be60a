package web

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/hallpass-auth/hallpass/shared/httpserver"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/catalog"
)

// Paths of the pages of a user's account.
const (
	accountPath         = "/account"
	accountLoginPath    = accountPath + "/login"
	accountNamePath     = accountPath + "/name"
	accountEmailPath    = accountPath + "/email"
	accountVerifyPath   = accountPath + "/verify-email"
	accountPasswordPath = accountPath + "/password"
	accountLoginsPath   = accountPath + "/logins"
	accountAppsPath     = accountPath + "/apps"
	accountDataPath     = accountPath + "/data"
	accountDeletePath   = accountPath + "/delete"
	accountDeletedPath  = accountPath + "/deleted"
)

// accountPages are the pages that the login page of the account can continue with, besides emailPage.
var accountPages = []string{
	accountPath, accountNamePath, accountEmailPath, accountPasswordPath, accountDataPath, accountDeletePath,
	accountFactorsPath, accountNewAppPath, accountNewPasskeyPath,
}

// confirmAfter is how old a login may be before the user has to type the password again for what concerns more than
// the account's own page.
const confirmAfter = 15 * time.Minute

// withLogin returns a handler that calls show with the session of the browser. Without one it writes the login page,
// which comes back to path.
func (e *endpoints) withLogin(
	path string,
	show func(http.ResponseWriter, *http.Request, session) error,
) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		s, err := e.session(r)
		if err != nil {
			return err
		}
		if s.digest == "" {
			e.showAccountLogin(w, r, http.StatusOK, page{Continue: path})
			return nil
		}
		return show(w, r, s)
	}
}

// Limits on the forms that a login sends to change the account or to allow something.
const (
	formBurst    = 60
	formInterval = 10 * time.Second
)

// errManyForms says that a login sends more forms than a person would.
var errManyForms = errors.New("too many forms")

// countForm counts a form of a user who is logged in. It returns errManyForms above the limit: each form may leave a
// record in the audit log. It counts by login, since the user must always be able to end somebody else's login.
func (e *endpoints) countForm(s session) error {
	if !e.forms.Allow(s.user.ID + " " + s.login.At.Format(time.RFC3339)) { // a session is renewed with another digest
		return errManyForms
	}
	return nil
}

// accountForm serves a form of an account page, given the session of the user who has sent it.
type accountForm func(http.ResponseWriter, *http.Request, url.Values, session) error

// withForm returns a handler that reads a form and calls serve. If the browser's session has ended or belongs to
// another user by now, it sends the browser back to a page.
func (e *endpoints) withForm(back string, serve accountForm) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		form, err := readForm(w, r, urlencodedOnly)
		if err != nil {
			return badForm(say("Open your account page again."))
		}
		s, err := e.session(r)
		if err != nil {
			return err
		}
		if s.digest == "" || s.user.ID != form.Get("user") {
			redirect(w, back)
			return nil
		}
		if err := e.countForm(s); err != nil {
			return err
		}
		return serve(w, r, form, s)
	}
}

// needsConfirmation reports whether the user has logged in too long ago for what concerns more than the account's own
// page.
func (e *endpoints) needsConfirmation(s session) bool {
	return e.cfg.Now().Sub(s.login.At) > confirmAfter
}

// showAccountLogin writes the login page for the account.
func (e *endpoints) showAccountLogin(w http.ResponseWriter, r *http.Request, status int, p page) {
	e.offerPasskey(w, r, &p)
	p.Title, p.Account, p.Recovers = say("Log in"), true, e.cfg.Recovery != nil
	if p.Confirms {
		p.Title = say("Confirm that it is you")
	}
	e.render(w, r, status, "login", p)
}

// accountLogin serves POST /account/login, the form of the login page.
func (e *endpoints) accountLogin(w http.ResponseWriter, r *http.Request) error {
	form, err := readForm(w, r, urlencodedOnly)
	if err != nil {
		return badForm(say("Open your account page again."))
	}
	next := form.Get("continue")
	link := linkIn(next)
	console := e.isConsole(next)
	if link == "" && !console && !slices.Contains(accountPages, next) {
		next = accountPath
	}
	first, err := e.checkFirst(r, "", "", form)
	goOn := ""
	if err == nil {
		first.continueAt = next
		goOn, err = e.afterPassword(w, r, first)
	}
	if err == nil {
		redirect(w, goOn)
		return nil
	}
	return e.failForm(w, err, func(status int, text *catalog.Message) {
		e.showAccountLogin(w, r, status, page{
			Username: form.Get("username"), Error: text, Continue: next, Link: link, Confirms: form.Has("confirms"),
			Wrong: wrongInLogin(form), Console: console,
		})
	})
}

// failForm calls show with the status and the text of an error that the user can do something about. It returns other
// errors.
func (e *endpoints) failForm(w http.ResponseWriter, err error, show func(status int, text *catalog.Message)) error {
	f := failureOf(err)
	if f.unexpected || f.userText == nil {
		return err
	}
	f.setRetryAfter(w)
	show(f.status, f.userText)
	return &handledError{f.code}
}

// showName serves GET /account/name.
func (e *endpoints) showName(w http.ResponseWriter, r *http.Request, s session) error {
	e.showNameForm(w, r, http.StatusOK, s, s.user.Name, nil)
	return nil
}

func (e *endpoints) showNameForm(
	w http.ResponseWriter,
	r *http.Request,
	status int,
	s session,
	name string,
	problem *catalog.Message,
) {
	e.render(w, r, status, "accountname", page{
		Title: say("Change your name"), User: name, UserID: s.user.ID, Error: problem,
	})
}

// changeName serves POST /account/name.
func (e *endpoints) changeName(w http.ResponseWriter, r *http.Request, form url.Values, s session) error {
	name := strings.TrimSpace(form.Get("name"))
	err := e.cfg.Accounts.ChangeName(r.Context(), s.user, name, httpserver.Host(r.RemoteAddr))
	if err != nil {
		return e.failForm(w, err, func(status int, text *catalog.Message) { e.showNameForm(w, r, status, s, name, text) })
	}
	redirect(w, accountPath+"?done=name")
	return nil
}

// showPassword serves GET /account/password.
func (e *endpoints) showPassword(w http.ResponseWriter, r *http.Request, s session) error {
	e.showPasswordForm(w, r, http.StatusOK, s, "", nil)
	return nil
}

func (e *endpoints) showPasswordForm(
	w http.ResponseWriter,
	r *http.Request,
	status int,
	s session,
	wrong string,
	problem *catalog.Message,
) {
	e.render(w, r, status, "accountpassword", page{
		Title: say("Change your password"), Username: s.user.Username, UserID: s.user.ID, Error: problem, Wrong: wrong,
		MinPassword: e.cfg.Passwords.MinPasswordOf(s.user), Recovers: e.cfg.Recovery != nil,
	})
}

// changePassword serves POST /account/password. The session goes on under a new cookie, so that somebody who has
// copied the previous one is logged out.
func (e *endpoints) changePassword(w http.ResponseWriter, r *http.Request, form url.Values, s session) error {
	proof := e.proof(r, form, s)
	cookie, renewal, err := s.renewal()
	if err != nil {
		return err
	}
	user, err := e.cfg.Accounts.ChangePassword(r.Context(), proof, form.Get("new_password"), renewal)
	if err != nil {
		wrong := "password"
		if errors.Is(err, account.ErrWeakPassword) {
			wrong = "new_password"
		}
		return e.failForm(w, notYourPassword(err), func(status int, text *catalog.Message) {
			e.showPasswordForm(w, r, status, s, wrong, text)
		})
	}
	e.setSession(w, r, user, cookie)
	redirect(w, accountPath+"?done=password")
	return nil
}

// proof returns what a form says to show that the user is still the one who has logged in.
func (e *endpoints) proof(r *http.Request, form url.Values, s session) account.Proof {
	return account.Proof{
		User: s.user, Password: form.Get("password"), Address: httpserver.Host(r.RemoteAddr), Browser: e.browser(r),
	}
}

// notYourPassword returns an error with the text for a user who is logged in, if the password was wrong.
func notYourPassword(err error) error {
	if errors.Is(err, account.ErrIncorrect) {
		return errNotYourPassword
	}
	return err
}

// errNotYourPassword is the error for a wrong password of a user who is logged in.
var errNotYourPassword = errors.New("not the current password")

// showDelete serves GET /account/delete.
func (e *endpoints) showDelete(w http.ResponseWriter, r *http.Request, s session) error {
	if s.user.Demo {
		return account.ErrDemo
	}
	e.showDeleteForm(w, r, http.StatusOK, s, page{})
	return nil
}

func (e *endpoints) showDeleteForm(w http.ResponseWriter, r *http.Request, status int, s session, p page) {
	p.Title, p.User, p.UserID = say("Delete your account"), s.user.Username, s.user.ID
	e.render(w, r, status, "accountdelete", p)
}

// deleteAccount serves POST /account/delete.
func (e *endpoints) deleteAccount(w http.ResponseWriter, r *http.Request, form url.Values, s session) error {
	typed, wrong := form.Get("username"), "password"
	var err error
	if account.NameKey(typed) != account.NameKey(s.user.Username) {
		err, wrong = errNotYourUsername, "username"
	} else {
		err = e.cfg.Accounts.Delete(r.Context(), e.proof(r, form, s))
	}
	if errors.Is(err, account.ErrDemo) {
		return err
	}
	if err != nil {
		return e.failForm(w, notYourPassword(err), func(status int, text *catalog.Message) {
			e.showDeleteForm(w, r, status, s, page{Username: typed, Error: text, Wrong: wrong})
		})
	}
	http.SetCookie(w, e.cookie(e.cookieName(), "", -time.Second))
	redirect(w, accountDeletedPath)
	return nil
}

// errNotYourUsername is the error for a user who confirms the deletion with another username.
var errNotYourUsername = errors.New("not the username")

// accountDeleted serves GET /account/deleted.
func (e *endpoints) accountDeleted(w http.ResponseWriter, r *http.Request) error {
	e.message(w, r, http.StatusOK, say("Your account was deleted"),
		say("You are logged out everywhere, and this service has deleted what it knew about you, except a record of logins "+
			"and changes that does not have your name. Apps may have data of their own: ask them."),
		say("You can close this page."))
	return nil
}
