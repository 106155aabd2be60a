package web

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/audit"
	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
	"github.com/hallpass-auth/hallpass/authserver/internal/passkey"
	"github.com/hallpass-auth/hallpass/authserver/internal/ratelimit"
	"github.com/hallpass-auth/hallpass/authserver/internal/secondfactor"
)

// checkCode serves POST /login/code.
func (e *endpoints) checkCode(w http.ResponseWriter, r *http.Request) error {
	return e.checkTyped(w, r, codePath)
}

// checkRecoveryCode serves POST /login/recovery-code.
func (e *endpoints) checkRecoveryCode(w http.ResponseWriter, r *http.Request) error {
	return e.checkTyped(w, r, recoveryCodePath)
}

// checkTyped completes a login by a code that was typed on a page.
func (e *endpoints) checkTyped(w http.ResponseWriter, r *http.Request, path string) error {
	form, err := readForm(w, r, urlencodedOnly)
	if err != nil {
		return badForm(say("Go back and type the code again."))
	}
	s, err := e.readSecondStep(r)
	if err != nil {
		return err
	}
	if form.Get("login") != s.pending.PublicID() {
		return errStartAgain // the form is of another login
	}
	err = e.completeSecondStep(w, r, s, func(ctx context.Context) (secondfactor.Completion, error) {
		return e.cfg.SecondFactors.Check(ctx, secondfactor.Try{
			User: s.user, Code: form.Get("code"), Recovery: path == recoveryCodePath,
		})
	})
	if err != nil {
		return e.failSecondStep(err, func(f failure) error {
			f.setRetryAfter(w)
			return e.showCodeForm(w, r, f.status, s, path, f.userText)
		})
	}
	redirect(w, s.pending.ContinueAt)
	return nil
}

// failSecondStep calls show with an error that the user can do something about. It returns other errors.
func (e *endpoints) failSecondStep(err error, show func(failure) error) error {
	f := failureOf(err)
	if f.unexpected || f.userText == nil || f.title != nil {
		return err
	}
	if err := show(f); err != nil {
		return err
	}
	return &handledError{f.code}
}

// completeSecondStep counts a try, calls check for what the user has proved, and logs the browser in if that is enough.
// The error is errStartAgain if the login has ended meanwhile, or was tried too often.
func (e *endpoints) completeSecondStep(
	w http.ResponseWriter,
	r *http.Request,
	s secondStep,
	check func(context.Context) (secondfactor.Completion, error),
) error {
	ctx, address := r.Context(), host(r.RemoteAddr)
	tries, err := e.cfg.Passwords.ReserveCode(ctx, s.user, address)
	if err == nil {
		err = e.cfg.Sessions.TryPendingLogin(ctx, s.pending.Digest)
	}
	var done secondfactor.Completion
	if err == nil {
		done, err = check(ctx)
	}
	if err == nil {
		s.user.Login, err = e.cfg.Passwords.KeyOf(ctx, s.user, address, e.browser(r))
	}
	if err == nil {
		done.Pending = s.pending.Digest
		login := grant.Authentication{Methods: done.Methods}
		err = e.startSession(w, withClient(r, s.pending.ClientID), s.user, login, &done)
	}
	e.logSecondStep(r, s, done, err)
	e.tellWrongCodes(r, s, err)
	switch {
	case errors.Is(err, secondfactor.ErrPendingUnknown), errors.Is(err, account.ErrIncorrect):
		return errStartAgain
	case err != nil:
		return err
	}
	http.SetCookie(w, e.cookie(e.pendingCookieName(), "", -time.Second))
	if err := e.cfg.Sessions.GiveBackTries(context.WithoutCancel(ctx), tries); err != nil { // the user is logged in
		e.cfg.Log.WarnContext(ctx, "cannot give back tries", "user", s.user.ID, "error", err)
	}
	return nil
}

// tellWrongCodes asks for a mail to the user after a wrong code that was the last try of a login, or one too many of
// all logins: somebody has the password.
func (e *endpoints) tellWrongCodes(r *http.Request, s secondStep, err error) {
	var throttled *account.ThrottledError
	pending := s.pending.Digest
	switch {
	case errors.As(err, &throttled):
		pending = ""
	case !errors.Is(err, secondfactor.ErrIncorrect):
		return
	}
	ctx := context.WithoutCancel(r.Context())
	if err := e.cfg.Sessions.TellWrongCodes(ctx, s.user.ID, pending, e.cfg.Now()); err != nil {
		e.cfg.Log.WarnContext(ctx, "cannot ask for a mail about wrong codes", "user", s.user.ID, "error", err)
	}
}

// logSecondStep logs the second step of a login, or why it failed.
func (e *endpoints) logSecondStep(r *http.Request, s secondStep, done secondfactor.Completion, err error) {
	fields := []any{
		"user", s.user.ID, "address", host(r.RemoteAddr), "client", s.pending.ClientID, "grant_type", s.pending.GrantType,
	}
	var throttled *account.ThrottledError
	reason := ""
	switch {
	case err == nil && done.Added != nil:
		e.cfg.SecondFactors.LogAdded(r.Context(), s.user, *done.Added, host(r.RemoteAddr))
		fallthrough
	case err == nil:
		fields = append([]any{"event", "second_step", "recovery_code", done.RecoveryCode != ""}, fields...)
		e.cfg.Log.InfoContext(r.Context(), "second step of a login", fields...)
		return
	case errors.Is(err, secondfactor.ErrIncorrect):
		reason = "wrong code"
	case errors.Is(err, account.ErrPasskey), errors.Is(err, passkey.ErrExpired):
		reason = "wrong passkey"
		fields = append(fields, "detail", err.Error())
	case errors.As(err, &throttled):
		reason = "throttled"
	case errors.Is(err, secondfactor.ErrPendingUnknown):
		reason = "login ended"
	default:
		return // it is logged as the error of the request, if it is one
	}
	fields = append([]any{"event", "second_step_failed", "reason", reason}, fields...)
	e.cfg.Log.WarnContext(r.Context(), "second step of a login failed", fields...)
	if e.cfg.Failures != nil {
		e.cfg.Failures.Failed(r.Context(), audit.Event{
			Name: audit.SecondStepFailed, ClientID: s.pending.ClientID,
			Subject: audit.Subject{Kind: audit.SubjectUser, ID: s.user.ID}, Details: audit.Details("reason", reason),
		}, s.user.ID, ratelimit.Network(host(r.RemoteAddr)))
	}
}
