package web

import (
	"context"
	"errors"
	"net/http"
	"net/url"

	"github.com/hallpass-auth/hallpass/shared/httpserver"

	"github.com/hallpass-auth/hallpass/authserver/internal/catalog"
	"github.com/hallpass-auth/hallpass/authserver/internal/passkey"
	"github.com/hallpass-auth/hallpass/authserver/internal/secondfactor"
)

// Paths of the pages about the user's second factors. All need a login within the last minutes: see needsConfirmation.
const (
	accountFactorsPath = accountPath + "/second-factors"
	accountNewAppPath  = accountFactorsPath + "/new-app"
	accountRemovePath  = accountFactorsPath + "/remove"
	accountCodesPath   = accountFactorsPath + "/recovery-codes"

	accountNewPasskeyPath = accountFactorsPath + "/new-passkey"
)

// factorView is a second factor as pages show it.
type factorView struct {
	ID         string
	Name, Kind *catalog.Message
	Added      moment
	Used       moment
	Copied     bool // there may be a copy of the passkey
}

// kindNames are what pages call the kinds of second factors.
var kindNames = map[secondfactor.Kind]*catalog.Message{
	secondfactor.KindTOTP: say("Authenticator app"), secondfactor.KindPasskey: say("Passkey"),
}

// confirmed returns show for a user who has logged in a short time ago. Others log in again and come back to path.
func (e *endpoints) confirmed(
	path string,
	show func(http.ResponseWriter, *http.Request, session) error,
) func(http.ResponseWriter, *http.Request, session) error {
	return func(w http.ResponseWriter, r *http.Request, s session) error {
		if e.needsConfirmation(s) {
			e.showAccountLogin(w, r, http.StatusOK, page{Username: s.user.Username, Continue: path, Confirms: true})
			return nil
		}
		return show(w, r, s)
	}
}

// confirmedForm returns serve for a user who has logged in a short time ago. Others are sent to the page that asks them
// to log in again.
func (e *endpoints) confirmedForm(serve accountForm) accountForm {
	return func(w http.ResponseWriter, r *http.Request, form url.Values, s session) error {
		if e.needsConfirmation(s) {
			redirect(w, accountFactorsPath)
			return nil
		}
		return serve(w, r, form, s)
	}
}

// addFactors adds the second factors of the user to the account page.
func (e *endpoints) addFactors(ctx context.Context, view *accountView, s session) error {
	factors, err := e.cfg.Store.SecondFactors(ctx, s.user.ID)
	if err != nil {
		return err
	}
	for _, f := range factors {
		view.Factors = append(view.Factors, factorView{
			ID: f.ID, Name: factorName(f), Kind: kindNames[f.Kind], Added: moment{f.CreatedAt}, Used: moment{f.LastUsedAt},
			Copied: passkey.IsCopied(f),
		})
		view.HasPasskey = view.HasPasskey || f.Kind == secondfactor.KindPasskey
	}
	view.RecoveryCodes, err = e.cfg.Store.CountRecoveryCodes(ctx, s.user.ID)
	view.Passkeys = e.cfg.Passkeys != nil
	view.MustHaveFactor = e.cfg.SecondFactors.Policy.Requires(s.user)
	return err
}

// showFactors serves GET /account/second-factors.
func (e *endpoints) showFactors(w http.ResponseWriter, r *http.Request, s session) error {
	var view accountView
	if err := e.addFactors(r.Context(), &view, s); err != nil {
		return err
	}
	if !fromOtherSite(r) {
		view.Done = doneTexts[r.URL.Query().Get("done")]
	}
	e.render(w, r, http.StatusOK, "accountfactors", page{
		Title: say("Second factor"), Wide: true, UserID: s.user.ID, View: view,
	})
	return nil
}

// removeFactor serves POST /account/second-factors/remove.
func (e *endpoints) removeFactor(w http.ResponseWriter, r *http.Request, form url.Values, s session) error {
	cookie, renewal, err := s.renewal()
	if err != nil {
		return err
	}
	err = e.cfg.SecondFactors.Remove(r.Context(), s.user, form.Get("factor"), renewal, httpserver.Host(r.RemoteAddr))
	if errors.Is(err, secondfactor.ErrUnknown) { // it was removed in another browser
		redirect(w, accountFactorsPath)
		return nil
	}
	if err != nil {
		return err
	}
	e.setSession(w, r, s.user, cookie)
	redirect(w, accountFactorsPath+"?done=removed")
	return nil
}

// newRecoveryCodes serves POST /account/second-factors/recovery-codes.
func (e *endpoints) newRecoveryCodes(w http.ResponseWriter, r *http.Request, _ url.Values, s session) error {
	codes, err := e.cfg.SecondFactors.NewRecoveryCodes(r.Context(), s.user, s.digest, httpserver.Host(r.RemoteAddr))
	if errors.Is(err, secondfactor.ErrUnknown) { // the last factor was removed in another browser
		redirect(w, accountFactorsPath)
		return nil
	}
	if err != nil {
		return err
	}
	e.showCodes(w, r, codes, accountFactorsPath)
	return nil
}
