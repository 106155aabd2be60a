package web

import (
	"crypto/rand"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/catalog"
	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
	"github.com/hallpass-auth/hallpass/authserver/internal/secondfactor"
	"github.com/hallpass-auth/hallpass/authserver/internal/secret"
)

// Paths of the pages of the second step of a login.
const (
	secondStepPath   = "/login/second-step" // sends the browser to the page of the first usable method
	codePath         = "/login/code"
	recoveryCodePath = "/login/recovery-code"
	firstAppPath     = "/login/new-app"
	firstPasskeyPath = "/login/new-passkey" //nolint:gosec // a path
)

// secondMethod is a way to take the second step of a login. Each has its own page, which links to the others.
type secondMethod struct {
	path string
	link *catalog.Message // text of the link to it
	// usable reports whether the user can use it.
	usable func(secondStep) bool
}

// secondMethods are all methods, in the order in which they are offered. The last two add the user's first factor.
var secondMethods = []secondMethod{
	{passkeyPath, say("Use a passkey"), secondStep.canUsePasskey},
	{codePath, say("Use a code from an app"), func(s secondStep) bool { return s.has(secondfactor.KindTOTP) }},
	{recoveryCodePath, say("Use a recovery code"), func(s secondStep) bool { return s.codes > 0 && len(s.factors) > 0 }},
	{firstAppPath, say("Add an authenticator app"), func(s secondStep) bool { return s.mayAdd(secondfactor.KindTOTP) }},
	{firstPasskeyPath, say("Add a passkey"), func(s secondStep) bool { return s.mayAdd(secondfactor.KindPasskey) }},
}

// secondStep is a login that is waiting for its second step.
type secondStep struct {
	pending secondfactor.PendingLogin
	user    account.User
	factors []secondfactor.Factor
	codes   int // how many recovery codes are left
	// passkeys says that passkeys work at this server.
	passkeys bool
}

// has reports whether the user has a factor of a kind.
func (s secondStep) has(kind secondfactor.Kind) bool {
	return slices.ContainsFunc(s.factors, func(f secondfactor.Factor) bool { return f.Kind == kind })
}

// canUsePasskey reports whether the user has a passkey that works at this server.
func (s secondStep) canUsePasskey() bool { return s.passkeys && s.has(secondfactor.KindPasskey) }

// mayAdd reports whether the user may add a factor of a kind to complete the login. This is the only place that decides
// it. A user who already has a factor may not: somebody who has the password alone could add one.
func (s secondStep) mayAdd(kind secondfactor.Kind) bool {
	return len(s.factors) == 0 && (kind != secondfactor.KindPasskey || s.passkeys)
}

// methodLink is a link to another method.
type methodLink struct {
	Path string
	Text *catalog.Message
}

// otherMethods returns links to the usable methods, except the one whose page has the path.
func (s secondStep) otherMethods(path string) (links []methodLink) {
	for _, m := range secondMethods {
		if m.path != path && m.usable(s) {
			links = append(links, methodLink{m.path, m.link})
		}
	}
	return links
}

// firstStep is a login whose password, or passkey in place of the password, was right.
type firstStep struct {
	user account.User
	// passkey completes a login by a passkey, which has no second step; nil for a login by a password.
	passkey *secondfactor.Completion
	// continueAt is the path and query where the browser goes after the login.
	continueAt string
	// clientID and grantType say what the login is for, for the log.
	clientID  string
	grantType oauth.GrantType
	// needsFactor says that what the login is for needs a second factor.
	needsFactor bool
	// enrolLink is the digest of the link by which the user adds the first second factor, or empty.
	enrolLink string
}

// afterPassword continues a login whose password was right: it logs the browser in, or begins the second step, which
// must be completed before a session exists. A passkey in place of the password counts as both steps. It returns where
// the browser goes next, or the errors of logIn and logInByPasskey.
func (e *endpoints) afterPassword(w http.ResponseWriter, r *http.Request, f firstStep) (next string, err error) {
	if f.passkey != nil {
		return f.continueAt, e.logInByPasskey(w, withClient(r, f.clientID), f)
	}
	has, err := e.cfg.Store.HasSecondFactor(r.Context(), f.user.ID)
	switch {
	case err != nil:
		err = errors.Join(err, e.cfg.Passwords.GiveBack(r.Context(), f.user))
	case has || f.needsFactor || e.cfg.SecondFactors.Policy.Requires(f.user):
		return secondStepPath, e.beginSecondStep(w, r, f)
	default:
		err = e.logIn(w, withClient(r, f.clientID), f.user)
	}
	return f.continueAt, err
}

// beginSecondStep stores the pending login and sets its cookie.
func (e *endpoints) beginSecondStep(w http.ResponseWriter, r *http.Request, f firstStep) error {
	value, err := secret.New(rand.Reader, "")
	if err != nil {
		return err
	}
	now := e.cfg.Now()
	err = e.cfg.Store.CreatePendingLogin(r.Context(), secondfactor.PendingLogin{
		Digest: secret.Digest(value), UserID: f.user.ID, PasswordVersion: f.user.PasswordVersion,
		ClientID: f.clientID, GrantType: f.grantType, ContinueAt: f.continueAt,
		EnrolLink: f.enrolLink, CreatedAt: now, ExpiresAt: now.Add(secondfactor.PendingLifetime),
	}, f.user.Login)
	if errors.Is(err, grant.ErrInactive) {
		return account.ErrIncorrect
	}
	if err != nil {
		return err
	}
	http.SetCookie(w, e.cookie(e.pendingCookieName(), value, secondfactor.PendingLifetime))
	return nil
}

// pendingCookieName returns the name of the cookie of a login that is waiting for its second step.
func (e *endpoints) pendingCookieName() string { return e.cookieName() + "_login" }

// errStartAgain is the response to a browser that has no login waiting for its second step.
var errStartAgain = &pageError{
	title:  say("Please start again"),
	text:   say("This login has ended: it took too long, or there were too many wrong codes."),
	advice: say("Go back to the app, or to the page that you wanted to open, and log in again."),
}

// readSecondStep returns the browser's login that is waiting for its second step. Without one, it returns
// errStartAgain. An administrator who has to add a factor, and may not here, gets errEnrolByLink.
func (e *endpoints) readSecondStep(r *http.Request) (s secondStep, err error) {
	cookie, err := r.Cookie(e.pendingCookieName())
	if err != nil {
		return secondStep{}, errStartAgain
	}
	ctx := r.Context()
	s.passkeys = e.cfg.Passkeys != nil
	s.pending, s.user, err = e.cfg.Store.PendingLogin(ctx, secret.Digest(cookie.Value), e.cfg.Now())
	if errors.Is(err, secondfactor.ErrPendingUnknown) {
		return secondStep{}, errStartAgain
	}
	if err != nil {
		return secondStep{}, err
	}
	if s.factors, err = e.cfg.Store.SecondFactors(ctx, s.user.ID); err != nil {
		return secondStep{}, err
	}
	if s.codes, err = e.cfg.Store.CountRecoveryCodes(ctx, s.user.ID); err != nil {
		return secondStep{}, err
	}
	return s, e.checkEnrolment(s.user, len(s.factors) > 0, s.pending.EnrolLink)
}

// withSecondStep returns a handler that calls show with the browser's login that is waiting for its second step.
func (e *endpoints) withSecondStep(
	show func(http.ResponseWriter, *http.Request, secondStep) error,
) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		s, err := e.readSecondStep(r)
		if err != nil {
			return err
		}
		return show(w, r, s)
	}
}

// chooseSecondStep serves GET /login/second-step. It sends the browser to the page of the first method that the user
// can use.
func (e *endpoints) chooseSecondStep(w http.ResponseWriter, _ *http.Request, s secondStep) error {
	links := s.otherMethods("")
	if len(links) == 0 && !s.passkeys && s.has(secondfactor.KindPasskey) {
		return errNoPasskeyLogin
	}
	if len(links) == 0 {
		return secondfactor.ErrSealed // no page can help; the log says why
	}
	redirect(w, links[0].Path)
	return nil
}

// errNoPasskeyLogin is the response to a user who has only passkeys, at a server whose issuer has become an IP address.
var errNoPasskeyLogin = &pageError{
	title:  say("Passkeys do not work here"),
	text:   say("You have a passkey for this service, but the service is now reached at an IP address."),
	advice: say("Tell your administrator, who can remove your second factors or change the address back."),
}

// targetsOf returns the form targets that a page must allow besides its own origin: the redirect URI of the request, if
// the login continues at /authorize.
func (e *endpoints) targetsOf(r *http.Request, continueAt string) []string {
	query, ok := strings.CutPrefix(continueAt, "/authorize?")
	if !ok {
		return nil
	}
	a, err := e.readAuthorization(r, query)
	if err != nil {
		return nil // the page that follows says why
	}
	return []string{formTarget(a.redirectURI)}
}
