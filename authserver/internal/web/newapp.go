package web

import (
	"context"
	"html/template"
	"net/http"
	"net/url"

	"github.com/hallpass-auth/hallpass/authserver/internal/catalog"
	"github.com/hallpass-auth/hallpass/authserver/internal/secondfactor"
)

// showNewApp serves GET /account/second-factors/new-app.
func (e *endpoints) showNewApp(w http.ResponseWriter, r *http.Request, s session) error {
	begun, err := e.cfg.SecondFactors.Begin(r.Context(), s.user)
	if err != nil {
		return err
	}
	return e.showNewAppForm(w, r, http.StatusOK, s, begun, page{})
}

// showNewAppForm writes the page for a new app, for a user who is logged in.
func (e *endpoints) showNewAppForm(
	w http.ResponseWriter,
	r *http.Request,
	status int,
	s session,
	begun secondfactor.Enrolment,
	p page,
) error {
	if err := e.askForPassword(r.Context(), s, &p); err != nil {
		return err
	}
	return e.showApp(w, r, status, begun, p)
}

// addApp serves POST /account/second-factors/new-app.
func (e *endpoints) addApp(w http.ResponseWriter, r *http.Request, form url.Values, s session) error {
	begun, err := e.cfg.SecondFactors.Resume(r.Context(), s.user, form.Get("enrolment"))
	if err != nil {
		return err
	}
	return e.addFactor(w, r, form, s, newFactorForm{
		make: func(factors []secondfactor.Factor) (secondfactor.Completion, []string, error) {
			return e.cfg.SecondFactors.Confirm(
				r.Context(), s.user, factors, form.Get("enrolment"), form.Get("name"), form.Get("code"))
		},
		show: func(status int, p page) error { return e.showNewAppForm(w, r, status, s, begun, p) },
	})
}

// showFirstApp serves GET /login/new-app: a user who must have a second factor adds an app in the login.
func (e *endpoints) showFirstApp(w http.ResponseWriter, r *http.Request, s secondStep) error {
	if !s.mayAdd(secondfactor.KindTOTP) {
		redirect(w, secondStepPath)
		return nil
	}
	begun, err := e.cfg.SecondFactors.Begin(r.Context(), s.user)
	if err != nil {
		return err
	}
	return e.showFirstAppForm(w, r, http.StatusOK, s, begun, page{})
}

// showFirstAppForm writes the page for a new app in a login.
func (e *endpoints) showFirstAppForm(
	w http.ResponseWriter,
	r *http.Request,
	status int,
	s secondStep,
	begun secondfactor.Enrolment,
	p page,
) error {
	p.Pending, p.Methods = s.pending.PublicID(), s.otherMethods(firstAppPath)
	return e.showApp(w, r, status, begun, p, e.targetsOf(r, s.pending.ContinueAt)...)
}

// firstAppForm is the form of the page for a new app in a login.
func (e *endpoints) firstAppForm() secondStepForm {
	return secondStepForm{
		again:  say("Go back and type the code again."),
		usable: func(s secondStep) bool { return s.mayAdd(secondfactor.KindTOTP) },
		check: func(ctx context.Context, s secondStep, form url.Values) (secondfactor.Completion, []string, error) {
			return e.cfg.SecondFactors.Confirm(
				ctx, s.user, s.factors, form.Get("enrolment"), form.Get("name"), form.Get("code"))
		},
		show: func(
			w http.ResponseWriter, r *http.Request, status int, s secondStep, form url.Values, problem *catalog.Message,
		) error {
			begun, err := e.cfg.SecondFactors.Resume(r.Context(), s.user, form.Get("enrolment"))
			if err != nil {
				return err
			}
			return e.showFirstAppForm(w, r, status, s, begun, page{Name: form.Get("name"), Error: problem})
		},
	}
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
