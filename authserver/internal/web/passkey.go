package web

import (
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"net/url"

	"github.com/hallpass-auth/hallpass/shared/httpserver"
	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/catalog"
	"github.com/hallpass-auth/hallpass/authserver/internal/passkey"
	"github.com/hallpass-auth/hallpass/authserver/internal/secondfactor"
	"github.com/hallpass-auth/hallpass/authserver/internal/secret"
)

// passkeyPath is the page of a passkey in the second step of a login.
const passkeyPath = "/login/passkey"

// maxPasskeyCookie bounds the cookie of challenges, in bytes.
const maxPasskeyCookie = 64

// passkeyCookieName returns the name of the cookie that challenges of login pages belong to. It ends with the browser's
// session.
func (e *endpoints) passkeyCookieName() string { return e.cookieName() + "_passkey" }

// passkeyBrowser returns the digest of the cookie that challenges of login pages belong to; empty without one.
func (e *endpoints) passkeyBrowser(r *http.Request) string {
	cookie, err := r.Cookie(e.passkeyCookieName())
	if err != nil || cookie.Value == "" || len(cookie.Value) > maxPasskeyCookie {
		return ""
	}
	return secret.Digest(cookie.Value)
}

// offerPasskey adds a login by a passkey to a login page. The page works without it.
func (e *endpoints) offerPasskey(w http.ResponseWriter, r *http.Request, p *page) {
	if e.cfg.Passkeys == nil {
		return
	}
	browser := e.passkeyBrowser(r)
	var err error
	if browser == "" {
		var value string
		if value, err = secret.New(rand.Reader, ""); err == nil {
			browser = secret.Digest(value)
			http.SetCookie(w, e.cookie(e.passkeyCookieName(), value, 0))
		}
	}
	if err == nil {
		p.Passkey, err = e.cfg.Passkeys.BeginLogin(browser)
	}
	if err != nil {
		e.cfg.Log.ErrorContext(r.Context(), "cannot offer a login by a passkey", "error", err)
	}
}

// checkFirst checks the form of a login page: the username and password, or the answer of a passkey.
func (e *endpoints) checkFirst(
	r *http.Request,
	clientID string,
	grantType oauth.GrantType,
	form url.Values,
) (firstStep, error) {
	first := firstStep{clientID: clientID, grantType: grantType}
	var err error
	if !form.Has("passkey") || e.cfg.Passkeys == nil {
		first.user, err = e.checkPassword(r, clientID, grantType, form)
		return first, err
	}
	first.passkey = &secondfactor.Completion{}
	first.user, *first.passkey, err = e.cfg.Passkeys.Login(r.Context(), account.Attempt{
		Address: httpserver.Host(r.RemoteAddr), Browser: e.browser(r), ClientID: clientID, GrantType: grantType,
	}, e.passkeyBrowser(r), form.Get("passkey"))
	return first, err
}

// logInByPasskey logs the browser in as a user who has used a passkey in place of the password.
func (e *endpoints) logInByPasskey(w http.ResponseWriter, r *http.Request, f firstStep) error {
	err := e.startSession(w, r, f.user, f.passkey.Methods, f.passkey)
	switch {
	case errors.Is(err, secondfactor.ErrIncorrect): // another request has used the challenge
		return passkey.ErrExpired
	case errors.Is(err, account.ErrIncorrect): // the user was changed meanwhile
		return account.ErrPasskey
	}
	return err
}

// wrongInLogin returns the field that an error of a login form is about: none for a passkey.
func wrongInLogin(form url.Values) string {
	if form.Has("passkey") {
		return "passkey"
	}
	return ""
}

// showPasskey serves GET /login/passkey.
func (e *endpoints) showPasskey(w http.ResponseWriter, r *http.Request, s secondStep) error {
	return e.showPasskeyForm(w, r, http.StatusOK, s, nil)
}

// showPasskeyForm writes the page for a passkey in the second step. It sends a user who has none, or no longer has one,
// to the first page of the step.
func (e *endpoints) showPasskeyForm(
	w http.ResponseWriter,
	r *http.Request,
	status int,
	s secondStep,
	problem *catalog.Message,
) error {
	if !s.canUsePasskey() {
		redirect(w, secondStepPath)
		return nil
	}
	options, err := e.cfg.Passkeys.BeginSecondStep(s.user, s.factors, s.pending.Digest)
	if err != nil {
		return err
	}
	e.render(w, r, status, "passkey", page{
		Title: say("Use your passkey"), User: s.user.Username, Pending: s.pending.PublicID(),
		Methods: s.otherMethods(passkeyPath), Error: problem, Passkey: options,
	}, e.targetsOf(r, s.pending.ContinueAt)...)
	return nil
}

// passkeyForm is the form of the page for a passkey in the second step.
func (e *endpoints) passkeyForm() secondStepForm {
	return secondStepForm{
		again:  say("Go back and use your passkey again."),
		usable: func(s secondStep) bool { return s.passkeys },
		check: func(ctx context.Context, s secondStep, form url.Values) (secondfactor.Completion, []string, error) {
			done, err := e.cfg.Passkeys.SecondStep(ctx, s.user, s.factors, s.pending.Digest, form.Get("passkey"))
			return done, nil, err
		},
		show: func(
			w http.ResponseWriter, r *http.Request, status int, s secondStep, _ url.Values, problem *catalog.Message,
		) error {
			return e.showPasskeyForm(w, r, status, s, problem)
		},
	}
}

// passkeyScript serves the script of the pages with passkeys. It is the only one.
func (e *endpoints) passkeyScript(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "public, max-age=3600")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	http.ServeFileFS(w, r, pageFiles, "pages/passkey.js")
}
