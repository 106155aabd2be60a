package web

import (
	"errors"
	"net/http"
	"net/url"

	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
	"github.com/hallpass-auth/hallpass/authserver/internal/passkey"
	"github.com/hallpass-auth/hallpass/authserver/internal/secondfactor"
)

// errNoPasskeys is the response to a user who opens the page for a new passkey at a server without passkeys.
var errNoPasskeys = &pageError{
	title:  say("Passkeys do not work here"),
	text:   say("Passkeys belong to domain names, and this service is reached by an IP address."),
	advice: say("Add an authenticator app in place of a passkey."),
}

// showNewPasskey serves GET /account/second-factors/new-passkey.
func (e *endpoints) showNewPasskey(w http.ResponseWriter, r *http.Request, s session) error {
	return e.showNewPasskeyForm(w, r, http.StatusOK, s, page{})
}

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
	factors, err := e.cfg.Sessions.SecondFactors(r.Context(), s.user.ID)
	if err == nil {
		p.Passkey, err = e.cfg.Passkeys.BeginRegistration(s.user, factors, s.digest)
	}
	if err != nil {
		return err
	}
	p.Title, p.UserID = say("Add a passkey"), s.user.ID
	e.render(w, r, status, "newpasskey", p)
	return nil
}

// addPasskey serves POST /account/second-factors/new-passkey. The session goes on as after a new app.
func (e *endpoints) addPasskey(w http.ResponseWriter, r *http.Request, form url.Values, s session) error {
	if e.cfg.Passkeys == nil {
		return errNoPasskeys
	}
	done, codes, err := e.registerPasskey(r, form, s)
	if err == nil {
		err = e.cfg.SecondFactors.Add(r.Context(), s.user, done, s.digest, host(r.RemoteAddr))
	}
	if errors.Is(err, secondfactor.ErrIncorrect) { // the challenge was used: the form was sent twice
		err = passkey.ErrExpired
	}
	if err != nil {
		return e.failSecondStep(err, func(f failure) error {
			return e.showNewPasskeyForm(w, r, f.status, s, page{Name: form.Get("name"), Error: f.userText})
		})
	}
	e.renewSession(w, r, s.user, grant.Authentication{At: s.login.At, Methods: done.Methods})
	if len(codes) == 0 {
		redirect(w, accountFactorsPath+"?done=factor")
		return nil
	}
	e.showCodes(w, r, codes, accountFactorsPath+"?done=factor")
	return nil
}

// registerPasskey reads the form for a new passkey. A session that has had a second factor keeps its methods.
func (e *endpoints) registerPasskey(
	r *http.Request,
	form url.Values,
	s session,
) (secondfactor.Completion, []string, error) {
	factors, err := e.cfg.Sessions.SecondFactors(r.Context(), s.user.ID)
	if err != nil {
		return secondfactor.Completion{}, nil, err
	}
	done, err := e.cfg.Passkeys.Register(s.user, factors, s.digest, form.Get("passkey"), form.Get("name"))
	if err != nil {
		return secondfactor.Completion{}, nil, err
	}
	if s.login.TwoFactors() {
		done.Methods = s.login.Methods
	}
	return e.cfg.SecondFactors.Adding(done, factors)
}
