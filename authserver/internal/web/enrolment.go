package web

import (
	"context"
	"errors"
	"net/http"
	"net/url"

	"github.com/hallpass-auth/hallpass/shared/httpserver"

	"github.com/hallpass-auth/hallpass/authserver/internal/passkey"
	"github.com/hallpass-auth/hallpass/authserver/internal/secondfactor"
)

// newFactorForm is the form of a page on which a user who is logged in adds a second factor.
type newFactorForm struct {
	// make returns the completion that adds the factor to those of the user, and the recovery codes to show.
	make func([]secondfactor.Factor) (secondfactor.Completion, []string, error)
	// show writes the page again.
	show func(status int, p page) error
}

// askForPassword completes a page on which a user who is logged in adds a second factor. The first one takes the
// password: somebody who has only the session could otherwise lock the user out. The later ones take a login with a
// second factor.
func (e *endpoints) askForPassword(ctx context.Context, s session, p *page) error {
	has, err := e.cfg.Store.HasSecondFactor(ctx, s.user.ID)
	p.UserID, p.Username, p.AsksPassword = s.user.ID, s.user.Username, !has
	return err
}

// addFactor adds a second factor to a user who is logged in. The session goes on under a new cookie, as one with a
// second factor.
func (e *endpoints) addFactor(
	w http.ResponseWriter,
	r *http.Request,
	form url.Values,
	s session,
	f newFactorForm,
) error {
	factors, err := e.cfg.Store.SecondFactors(r.Context(), s.user.ID)
	if err != nil {
		return err
	}
	cookie, renewal, err := s.renewal()
	if err != nil {
		return err
	}
	wrong := ""
	if len(factors) == 0 { // see askForPassword
		if err = notYourPassword(e.cfg.Accounts.Check(r.Context(), e.proof(r, form, s))); err != nil {
			wrong = "password"
		}
	}
	var done secondfactor.Completion
	var codes []string
	if err == nil {
		done, codes, err = f.make(factors)
	}
	if err == nil {
		err = e.cfg.SecondFactors.Add(r.Context(), s.user, done, renewal, httpserver.Host(r.RemoteAddr))
		if errors.Is(err, secondfactor.ErrIncorrect) { // the challenge of a passkey was used: the form was sent twice
			err = passkey.ErrExpired
		}
	}
	if err != nil {
		return e.failFactorForm(w, err, func(problem failure) error {
			return f.show(problem.status, page{Name: form.Get("name"), Error: problem.userText, Wrong: wrong})
		})
	}
	e.setSession(w, r, s.user, cookie)
	if len(codes) == 0 {
		redirect(w, accountFactorsPath+"?done=factor")
		return nil
	}
	e.showCodes(w, r, codes, accountFactorsPath+"?done=factor")
	return nil
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
		Title: say("Save your recovery codes"), Codes: codes, Continue: continueAt,
	}, targets...)
}
