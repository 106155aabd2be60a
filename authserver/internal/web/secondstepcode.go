package web

import (
	"context"
	"net/http"
	"net/url"

	"github.com/hallpass-auth/hallpass/authserver/internal/catalog"
	"github.com/hallpass-auth/hallpass/authserver/internal/secondfactor"
)

// showCode serves GET /login/code.
func (e *endpoints) showCode(w http.ResponseWriter, r *http.Request, s secondStep) error {
	return e.showCodeForm(w, r, http.StatusOK, s, codePath, nil)
}

// showRecoveryCode serves GET /login/recovery-code.
func (e *endpoints) showRecoveryCode(w http.ResponseWriter, r *http.Request, s secondStep) error {
	return e.showCodeForm(w, r, http.StatusOK, s, recoveryCodePath, nil)
}

// showCodeForm writes the page for the code of an app or a recovery code. It sends a user who has no second factor to
// the first page of the step.
func (e *endpoints) showCodeForm(
	w http.ResponseWriter,
	r *http.Request,
	status int,
	s secondStep,
	path string,
	problem *catalog.Message,
) error {
	if len(s.factors) == 0 {
		redirect(w, secondStepPath)
		return nil
	}
	p := page{
		Title: say("Enter a code"), User: s.user.Username, Pending: s.pending.PublicID(), Methods: s.otherMethods(path),
		Error: problem,
	}
	name := "code"
	if path == recoveryCodePath {
		p.Title, name = say("Enter a recovery code"), "recoverycode"
	}
	e.render(w, r, status, name, p, e.targetsOf(r, s.pending.ContinueAt)...)
	return nil
}

// codeForm is the form of the page for the code of an app, or of that for a recovery code.
func (e *endpoints) codeForm(path string) secondStepForm {
	return secondStepForm{
		again:  say("Go back and type the code again."),
		usable: func(secondStep) bool { return true },
		check: func(ctx context.Context, s secondStep, form url.Values) (secondfactor.Completion, []string, error) {
			done, err := e.cfg.SecondFactors.Check(ctx, secondfactor.TypedCode{
				User: s.user, Code: form.Get("code"), Recovery: path == recoveryCodePath,
			})
			return done, nil, err
		},
		show: func(
			w http.ResponseWriter, r *http.Request, status int, s secondStep, _ url.Values, problem *catalog.Message,
		) error {
			return e.showCodeForm(w, r, status, s, path, problem)
		},
	}
}
