package web

import (
	"errors"
	"net/http"

	"github.com/hallpass-auth/hallpass/shared/httpserver"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/catalog"
	"github.com/hallpass-auth/hallpass/authserver/internal/mail"
	"github.com/hallpass-auth/hallpass/authserver/internal/recovery"
)

// showForgot serves GET /forgot.
func (e *endpoints) showForgot(w http.ResponseWriter, r *http.Request) error {
	e.render(w, r, http.StatusOK, "forgot", page{Title: say("Forgot your password?")})
	return nil
}

// forgot serves POST /forgot. The response is the same, and takes as long, whether or not anybody has the username
// or address.
func (e *endpoints) forgot(w http.ResponseWriter, r *http.Request) error {
	form, err := readForm(w, r, urlencodedOnly)
	if err != nil {
		return badForm(say("Open this page again."))
	}
	err = e.cfg.Recovery.Request(r.Context(), form.Get("username"), recovery.From{
		Address: httpserver.Host(r.RemoteAddr), Browser: e.browser(r), Language: e.languageOf(r),
	})
	if f := failureOf(err); err != nil && f.userText != nil && !f.unexpected {
		f.setRetryAfter(w)
		e.render(w, r, f.status, "forgot", page{Title: say("Forgot your password?"), Error: f.userText})
		return &handledError{f.code}
	}
	if err != nil {
		return err
	}
	e.message(w, r, http.StatusOK, say("Check your email"),
		say("If there is an account with this username or email address, an email with a link is on its way. "+
			"The link works for {n} minutes.", linkMinutes),
		say("No email? Look in your spam folder. After several requests, no more emails are sent for half an hour: use "+
			"the latest one. If you get none, ask your administrator whether your account has an email address."))
	return nil
}

// showReset serves GET /reset, the page of a link in a mail. It changes nothing.
func (e *endpoints) showReset(w http.ResponseWriter, r *http.Request) error {
	query, err := readPageQuery(r.URL.RawQuery, emailAdvice)
	if err != nil {
		return err
	}
	link := query.Get(mail.LinkParameter)
	user, err := e.cfg.Recovery.User(r.Context(), link)
	if err != nil {
		return err
	}
	e.showNewPassword(w, r, http.StatusOK, user, link, nil)
	return nil
}

// showNewPassword writes the form for a new password.
func (e *endpoints) showNewPassword(
	w http.ResponseWriter,
	r *http.Request,
	status int,
	user account.User,
	link string,
	problem *catalog.Message,
) {
	e.render(w, r, status, "reset", page{
		Title: say("Choose a new password"), Username: user.Username, Link: link, Error: problem,
		MinPassword: e.cfg.Passwords.MinPasswordOf(user),
	})
}

// reset serves POST /reset.
func (e *endpoints) reset(w http.ResponseWriter, r *http.Request) error {
	form, err := readForm(w, r, urlencodedOnly)
	if err != nil {
		return badForm(emailAdvice)
	}
	link := form.Get(mail.LinkParameter)
	user, err := e.cfg.Recovery.User(r.Context(), link)
	if err != nil {
		return err
	}
	err = e.cfg.Recovery.SetPassword(r.Context(), link, form.Get("password"), httpserver.Host(r.RemoteAddr))
	if f := failureOf(err); err != nil && f.userText != nil && !f.unexpected && !errors.Is(err, account.ErrLinkUnknown) {
		f.setRetryAfter(w)
		e.showNewPassword(w, r, f.status, user, link, f.userText)
		return &handledError{f.code}
	}
	if err != nil {
		return err
	}
	e.message(w, r, http.StatusOK, say("Your password was changed"),
		say("You are logged out everywhere."), say("Go back to the app and log in with the new password."))
	return nil
}
