package web

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/hallpass-auth/hallpass/shared/httpserver"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/catalog"
	"github.com/hallpass-auth/hallpass/authserver/internal/secondfactor"
)

// secondStepForm is the form of a page of the second step of a login.
type secondStepForm struct {
	// again tells the user what to do if the form cannot be read.
	again *catalog.Message
	// usable reports whether the user can use the form.
	usable func(secondStep) bool
	// check returns the completion of the login that the form proves, and the recovery codes that come with a first
	// factor.
	check func(context.Context, secondStep, url.Values) (secondfactor.Completion, []string, error)
	// show writes the page again, with what was wrong in the form.
	show func(http.ResponseWriter, *http.Request, int, secondStep, url.Values, *catalog.Message) error
}

// serveSecondStep returns a handler that completes a login by a form. If there are recovery codes, it shows them before
// the browser goes on.
func (e *endpoints) serveSecondStep(f secondStepForm) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		form, err := readForm(w, r, urlencodedOnly)
		if err != nil {
			return badForm(f.again)
		}
		s, err := e.readSecondStep(r)
		if err != nil {
			return err
		}
		if form.Get("login") != s.pending.PublicID() || !f.usable(s) {
			return errStartAgain // the form is of another login
		}
		var codes []string
		err = e.completeSecondStep(w, r, s, func(ctx context.Context) (done secondfactor.Completion, err error) {
			done, codes, err = f.check(ctx, s, form)
			return done, err
		})
		if err != nil {
			return e.failFactorForm(w, err, func(problem failure) error {
				return f.show(w, r, problem.status, s, form, problem.userText)
			})
		}
		if len(codes) > 0 {
			e.showCodes(w, r, codes, s.pending.ContinueAt, e.targetsOf(r, s.pending.ContinueAt)...)
			return nil
		}
		redirect(w, s.pending.ContinueAt)
		return nil
	}
}

// failFactorForm calls show with an error that the user can correct in the form. It returns other errors.
func (e *endpoints) failFactorForm(w http.ResponseWriter, err error, show func(failure) error) error {
	f := failureOf(err)
	if f.unexpected || f.userText == nil || f.title != nil {
		return err
	}
	f.setRetryAfter(w)
	if err := show(f); err != nil {
		return err
	}
	return &handledError{f.code}
}

// completeSecondStep counts a try, calls check for the completion of the login, and logs the browser in. It returns
// errStartAgain if the login has ended or was tried too often.
func (e *endpoints) completeSecondStep(
	w http.ResponseWriter,
	r *http.Request,
	s secondStep,
	check func(context.Context) (secondfactor.Completion, error),
) error {
	ctx := r.Context()
	tries, done, err := e.trySecondStep(w, r, s, check)
	e.reportSecondStep(r, s, done, err)
	e.notifyWrongCodes(r, s, err)
	switch {
	case errors.Is(err, secondfactor.ErrPendingUnknown), errors.Is(err, account.ErrIncorrect):
		return errStartAgain
	case err != nil:
		return err
	}
	http.SetCookie(w, e.cookie(e.pendingCookieName(), "", -time.Second))
	if err := e.cfg.Store.GiveBackTries(context.WithoutCancel(ctx), tries); err != nil { // the user is logged in
		e.cfg.Log.WarnContext(ctx, "cannot give back tries", "user", s.user.ID, "error", err)
	}
	return nil
}

// trySecondStep counts a try, calls check, and starts the session. It returns the key under which GiveBackTries returns
// the tries, and the completion.
func (e *endpoints) trySecondStep(
	w http.ResponseWriter,
	r *http.Request,
	s secondStep,
	check func(context.Context) (secondfactor.Completion, error),
) (tries account.FailureKey, done secondfactor.Completion, err error) {
	ctx, address := r.Context(), httpserver.Host(r.RemoteAddr)
	if tries, err = e.cfg.Passwords.ReserveCode(ctx, s.user, address, e.browser(r)); err != nil {
		return tries, done, err
	}
	if err = e.cfg.Store.TryPendingLogin(ctx, s.pending.Digest); err != nil {
		return tries, done, err
	}
	if done, err = check(ctx); err != nil {
		return tries, done, err
	}
	if s.user.Login, err = e.cfg.Passwords.KeyOf(ctx, s.user, address, e.browser(r)); err != nil {
		return tries, done, err
	}
	done.Pending, done.EnrolLink = s.pending.Digest, s.pending.EnrolLink
	return tries, done, e.startSession(w, withClient(r, s.pending.ClientID), s.user, done.Methods, &done)
}

// notifyWrongCodes asks for a mail to the user if the last try of a login was a wrong code, or if there were too many
// tries over all logins: somebody else may have the password. Failures of other accounts say nothing about that.
func (e *endpoints) notifyWrongCodes(r *http.Request, s secondStep, err error) {
	var throttled *account.ThrottledError
	pending := s.pending.Digest
	switch {
	case errors.As(err, &throttled) && throttled.ForOthers:
		return
	case errors.As(err, &throttled):
		pending = ""
	case !errors.Is(err, secondfactor.ErrIncorrect):
		return
	}
	ctx := context.WithoutCancel(r.Context())
	if err := e.cfg.Store.NotifyWrongCodes(ctx, s.user.ID, pending, e.cfg.Now()); err != nil {
		e.cfg.Log.WarnContext(ctx, "cannot ask for a mail about wrong codes", "user", s.user.ID, "error", err)
	}
}
