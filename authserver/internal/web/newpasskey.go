package web

import (
	"context"
	"net/http"
	"net/url"

	"github.com/hallpass-auth/hallpass/authserver/internal/catalog"
	"github.com/hallpass-auth/hallpass/authserver/internal/secondfactor"
)

// errNoPasskeys is the response to a user who opens the page for a new passkey at a server without passkeys.
var errNoPasskeys = &pageError{
	title:  say("Passkeys do not work here"),
	text:   say("Passkeys need a domain name, and this service is reached at an IP address."),
	advice: say("Add an authenticator app instead of a passkey."),
}

// showNewPasskey serves GET /account/second-factors/new-passkey.
func (e *endpoints) showNewPasskey(w http.ResponseWriter, r *http.Request, s session) error {
	return e.showNewPasskeyForm(w, r, http.StatusOK, s, page{})
}

// showNewPasskeyForm writes the page for a new passkey, for a user who is logged in.
func (e *endpoints) showNewPasskeyForm(
	w http.ResponseWriter,
	r *http.Request,
	status int,
	s session,
	p page,
) error {
	if e.cfg.Passkeys == nil {
		return errNoPasskeys
	}
	err := e.askForPassword(r.Context(), s, &p)
	if err != nil {
		return err
	}
	factors, err := e.cfg.Store.SecondFactors(r.Context(), s.user.ID)
	if err == nil {
		p.Passkey, err = e.cfg.Passkeys.BeginRegistration(s.user, factors, s.digest)
	}
	if err != nil {
		return err
	}
	p.Title = say("Add a passkey")
	e.render(w, r, status, "newpasskey", p)
	return nil
}

// addPasskey serves POST /account/second-factors/new-passkey.
func (e *endpoints) addPasskey(w http.ResponseWriter, r *http.Request, form url.Values, s session) error {
	if e.cfg.Passkeys == nil {
		return errNoPasskeys
	}
	return e.addFactor(w, r, form, s, newFactorForm{
		make: func(factors []secondfactor.Factor) (secondfactor.Completion, []string, error) {
			done, err := e.cfg.Passkeys.Register(s.user, factors, s.digest, form.Get("passkey"), form.Get("name"))
			if err != nil {
				return done, nil, err
			}
			if s.login.TwoFactors() {
				done.Methods = s.login.Methods
			}
			return e.cfg.SecondFactors.WithRecoveryCodes(done, factors)
		},
		show: func(status int, p page) error { return e.showNewPasskeyForm(w, r, status, s, p) },
	})
}

// showFirstPasskey serves GET /login/new-passkey: a user who must have a second factor adds a passkey in the login.
func (e *endpoints) showFirstPasskey(w http.ResponseWriter, r *http.Request, s secondStep) error {
	return e.showFirstPasskeyForm(w, r, http.StatusOK, s, page{})
}

// showFirstPasskeyForm writes the page for a new passkey in a login.
func (e *endpoints) showFirstPasskeyForm(
	w http.ResponseWriter,
	r *http.Request,
	status int,
	s secondStep,
	p page,
) (err error) {
	if !s.mayAdd(secondfactor.KindPasskey) {
		redirect(w, secondStepPath)
		return nil
	}
	if p.Passkey, err = e.cfg.Passkeys.BeginRegistration(s.user, s.factors, s.pending.Digest); err != nil {
		return err
	}
	p.Title, p.Pending, p.Methods = say("Add a passkey"), s.pending.PublicID(), s.otherMethods(firstPasskeyPath)
	e.render(w, r, status, "newpasskey", p, e.targetsOf(r, s.pending.ContinueAt)...)
	return nil
}

// firstPasskeyForm is the form of the page for a new passkey in a login.
func (e *endpoints) firstPasskeyForm() secondStepForm {
	return secondStepForm{
		again:  say("Go back and use your passkey again."),
		usable: func(s secondStep) bool { return s.mayAdd(secondfactor.KindPasskey) },
		check: func(_ context.Context, s secondStep, form url.Values) (secondfactor.Completion, []string, error) {
			done, err := e.cfg.Passkeys.Register(
				s.user, s.factors, s.pending.Digest, form.Get("passkey"), form.Get("name"))
			if err != nil {
				return done, nil, err
			}
			return e.cfg.SecondFactors.WithRecoveryCodes(done, s.factors)
		},
		show: func(
			w http.ResponseWriter, r *http.Request, status int, s secondStep, form url.Values, problem *catalog.Message,
		) error {
			return e.showFirstPasskeyForm(w, r, status, s, page{Name: form.Get("name"), Error: problem})
		},
	}
}
