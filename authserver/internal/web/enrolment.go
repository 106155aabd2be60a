package web

import (
	"context"
	"html/template"
	"net/http"
	"net/url"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/secondfactor"
)

// showFirstApp serves GET /login/new-app: a user who must have a second factor adds an app in the login.
func (e *endpoints) showFirstApp(w http.ResponseWriter, r *http.Request, s secondStep) error {
	if len(s.factors) > 0 { // the password alone must not add another one
		redirect(w, secondStepPath)
		return nil
	}
	if err := e.checkEnrolment(s.user, false, s.pending.EnrolLink); err != nil {
		return err
	}
	begun, err := e.cfg.SecondFactors.Begin(r.Context(), s.user)
	if err != nil {
		return err
	}
	return e.showFirstAppForm(w, r, http.StatusOK, s, begun, page{})
}

func (e *endpoints) showFirstAppForm(
	w http.ResponseWriter,
	r *http.Request,
	status int,
	s secondStep,
	begun secondfactor.Enrolment,
	p page,
) error {
	p.Pending = s.pending.PublicID()
	return e.showApp(w, r, status, begun, p, e.targetsOf(r, s.pending.ContinueAt)...)
}

// showApp writes the page for a new app.
func (e *endpoints) showApp(
	w http.ResponseWriter,
	r *http.Request,
	status int,
	begun secondfactor.Enrolment,
	p page,
	targets ...string,
) error {
	var err error
	if p.QR, err = newQRCode(begun.URI); err != nil {
		return err
	}
	p.Title, p.Secret, p.Sealed = say("Add an authenticator app"), begun.Secret, begun.Sealed
	p.URI = template.URL(begun.URI) //nolint:gosec // templates refuse schemes that they do not know, such as otpauth
	e.render(w, r, status, "newapp", p, targets...)
	return nil
}

// addFirstApp serves POST /login/new-app. It completes the login, and then shows the recovery codes.
func (e *endpoints) addFirstApp(w http.ResponseWriter, r *http.Request) error {
	form, err := readForm(w, r, urlencodedOnly)
	if err != nil {
		return badForm(say("Go back and type the code again."))
	}
	s, err := e.readSecondStep(r)
	if err != nil {
		return err
	}
	if form.Get("login") != s.pending.PublicID() || len(s.factors) > 0 {
		return errStartAgain
	}
	if err := e.checkEnrolment(s.user, false, s.pending.EnrolLink); err != nil {
		return err
	}
	begun, err := e.cfg.SecondFactors.Resume(r.Context(), s.user, form.Get("enrolment"))
	if err != nil {
		return err
	}
	var codes []string
	err = e.completeSecondStep(w, r, s, func(ctx context.Context) (done secondfactor.Completion, err error) {
		done, codes, err = e.confirmApp(ctx, s.user, form)
		done.EnrolLink = s.pending.EnrolLink
		return done, err
	})
	if err != nil {
		return e.failSecondStep(err, func(f failure) error {
			f.setRetryAfter(w)
			return e.showFirstAppForm(w, r, f.status, s, begun, page{Name: form.Get("name"), Error: f.userText})
		})
	}
	e.showCodes(w, r, codes, s.pending.ContinueAt, e.targetsOf(r, s.pending.ContinueAt)...)
	return nil
}

// confirmApp reads the form for a new app.
func (e *endpoints) confirmApp(
	ctx context.Context,
	user account.User,
	form url.Values,
) (secondfactor.Completion, []string, error) {
	return e.cfg.SecondFactors.Confirm(ctx, user, form.Get("enrolment"), form.Get("name"), form.Get("code"))
}

// showCodes writes the page with new recovery codes, which are shown once. Its link leads to a path and query.
func (e *endpoints) showCodes(
	w http.ResponseWriter,
	r *http.Request,
	codes []string,
	continueAt string,
	targets ...string,
) {
	e.render(w, r, http.StatusOK, "recoverycodes", page{
		Title: say("Keep your recovery codes"), Codes: codes, Continue: continueAt,
	}, targets...)
}
