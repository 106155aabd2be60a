package web

import (
	"errors"
	"net/http"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/mail"
)

// recoveryRoutes returns the routes of the pages for a forgotten password.
func (e *endpoints) recoveryRoutes() []route {
	var nobody []string
	const page = true
	return []route{
		{mail.ForgotPath, page, nobody, methods{
			"GET":  e.pageHandler("forgot", e.showForgot),
			"POST": e.pageHandler("forgot", e.forgot),
		}},
		{mail.ResetPath, page, nobody, methods{
			"GET":  e.pageHandler("reset", e.showReset),
			"POST": e.pageHandler("reset", e.reset),
		}},
	}
}

// showForgot serves GET /forgot.
func (e *endpoints) showForgot(w http.ResponseWriter, _ *http.Request) error {
	e.render(w, http.StatusOK, "forgot", page{Title: "Forgot your password?"})
	return nil
}

// forgot serves POST /forgot. The response is the same, and takes as long, whether or not anybody has the username
// or address.
func (e *endpoints) forgot(w http.ResponseWriter, r *http.Request) error {
	form, err := readForm(w, r, urlencodedOnly)
	if err != nil {
		return badForm("Open this page again.")
	}
	err = e.cfg.Recovery.Request(r.Context(), form.Get("username"), host(r.RemoteAddr))
	if f := failureOf(err); err != nil && f.userText != "" && !f.unexpected {
		f.setRetryAfter(w)
		e.render(w, f.status, "forgot", page{Title: "Forgot your password?", Error: f.userText})
		return &handledError{f.code}
	}
	if err != nil {
		return err
	}
	e.message(w, http.StatusOK, "Look at your mail",
		"If there is an account with this username or email address, a mail with a link is on its way. "+
			"The link works for 30 minutes.",
		"No mail? Look in the spam folder, or ask your administrator whether your account has an email address.")
	return nil
}

// showReset serves GET /reset, the page of a link in a mail. It changes nothing.
func (e *endpoints) showReset(w http.ResponseWriter, r *http.Request) error {
	query, err := readPageQuery(r.URL.RawQuery, "Open the link in the mail again.")
	if err != nil {
		return err
	}
	link := query.Get(mail.LinkParameter)
	user, err := e.cfg.Recovery.User(r.Context(), link)
	if err != nil {
		return err
	}
	e.showNewPassword(w, http.StatusOK, user, link, "")
	return nil
}

// showNewPassword writes the form for a new password.
func (e *endpoints) showNewPassword(w http.ResponseWriter, status int, user account.User, link, problem string) {
	e.render(w, status, "reset", page{
		Title: "Choose a new password", Username: user.Username, Link: link, Error: problem,
		MinPassword: e.cfg.Passwords.MinPasswordOf(user),
	})
}

// reset serves POST /reset.
func (e *endpoints) reset(w http.ResponseWriter, r *http.Request) error {
	form, err := readForm(w, r, urlencodedOnly)
	if err != nil {
		return badForm("Open the link in the mail again.")
	}
	link := form.Get(mail.LinkParameter)
	user, err := e.cfg.Recovery.User(r.Context(), link)
	if err != nil {
		return err
	}
	err = e.cfg.Recovery.SetPassword(r.Context(), link, form.Get("password"), host(r.RemoteAddr))
	if f := failureOf(err); err != nil && f.userText != "" && !f.unexpected && !errors.Is(err, account.ErrLinkUnknown) {
		f.setRetryAfter(w)
		e.showNewPassword(w, f.status, user, link, f.userText)
		return &handledError{f.code}
	}
	if err != nil {
		return err
	}
	user.PasswordVersion++
	if err := e.rememberBrowser(w, r, user); err != nil { // the password is changed all the same
		e.cfg.Log.WarnContext(r.Context(), "cannot remember a browser", "user", user.ID, "error", err)
	}
	e.message(w, http.StatusOK, "Your password is changed",
		"You are logged out everywhere.", "Go back to the app and log in with the new password.")
	return nil
}
