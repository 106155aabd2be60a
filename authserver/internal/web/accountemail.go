package web

import (
	"errors"
	"net/http"
	"net/url"

	"github.com/hallpass-auth/hallpass/shared/httpserver"

	"github.com/hallpass-auth/hallpass/authserver/internal/catalog"
	"github.com/hallpass-auth/hallpass/authserver/internal/emailcheck"
)

// showNewEmail serves GET /account/email.
func (e *endpoints) showNewEmail(w http.ResponseWriter, r *http.Request, s session) error {
	e.showNewEmailForm(w, r, http.StatusOK, s, page{})
	return nil
}

func (e *endpoints) showNewEmailForm(w http.ResponseWriter, r *http.Request, status int, s session, p page) {
	p.Title, p.Username, p.UserID = say("Change your email address"), s.user.Username, s.user.ID
	e.render(w, r, status, "accountemail", p)
}

// changeEmail serves POST /account/email. The address changes when the link in the mail to it is used.
func (e *endpoints) changeEmail(w http.ResponseWriter, r *http.Request, form url.Values, s session) error {
	proof := e.proof(r, form, s)
	err := e.cfg.Accounts.Check(r.Context(), proof)
	wrong := "password"
	if err == nil {
		wrong = "email"
		err = e.cfg.Emails.RequestChange(r.Context(), s.user, form.Get("email"), proof.Address, e.languageOf(r))
	}
	if err != nil {
		return e.failForm(w, notYourPassword(err), func(status int, text *catalog.Message) {
			e.showNewEmailForm(w, r, status, s, page{Email: form.Get("email"), Error: text, Wrong: wrong})
		})
	}
	e.recordAccount(r, "account_email_requested", s)
	redirect(w, accountPath+"?done=email")
	return nil
}

// verifyEmail serves POST /account/verify-email. It sends a mail with a link.
func (e *endpoints) verifyEmail(w http.ResponseWriter, r *http.Request, _ url.Values, s session) error {
	err := e.cfg.Emails.RequestVerification(r.Context(), s.user, httpserver.Host(r.RemoteAddr), e.languageOf(r))
	if errors.Is(err, emailcheck.ErrNothingToVerify) { // it was verified in another browser
		redirect(w, accountPath)
		return nil
	}
	if err != nil {
		return err
	}
	e.recordAccount(r, "account_email_requested", s)
	redirect(w, accountPath+"?done=verify")
	return nil
}
