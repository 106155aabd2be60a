package web

import (
	"errors"
	"net/http"
	"net/url"

	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/catalog"
	"github.com/hallpass-auth/hallpass/authserver/internal/mail"
	"github.com/hallpass-auth/hallpass/authserver/internal/secret"
)

// errEnrolByLink is the response to an administrator without a second factor who wants to add one: somebody who has
// stolen the password must not become the administrator.
var errEnrolByLink = &pageError{
	title: say("You need a link"),
	text: say("You administer this service and have no second factor yet. Administrators add the first one with a link, " +
		"which works once."),
	advice: say("Ask the person who runs the server for one: {command} prints it.",
		"authserver user set NAME --enrol-link"),
}

// checkEnrolment returns errEnrolByLink for an administrator who may not add a second factor without a link.
func (e *endpoints) checkEnrolment(user account.User, hasFactor bool, link string) error {
	needed := e.cfg.AdminAPI != nil && !e.cfg.AdminWithoutSecondFactor
	if needed && user.Administers() && !hasFactor && link == "" {
		return errEnrolByLink
	}
	return nil
}

// checkAnotherFactor is checkEnrolment for a user who is logged in.
func (e *endpoints) checkAnotherFactor(r *http.Request, s session) error {
	has, err := e.cfg.Store.HasSecondFactor(r.Context(), s.user.ID)
	if err != nil {
		return err
	}
	return e.checkEnrolment(s.user, has, "")
}

// mayAddFactor returns serve for a user who may add a second factor.
func (e *endpoints) mayAddFactor(serve accountForm) accountForm {
	return func(w http.ResponseWriter, r *http.Request, form url.Values, s session) error {
		if err := e.checkAnotherFactor(r, s); err != nil {
			return err
		}
		return serve(w, r, form, s)
	}
}

// showEnrol serves GET /enrol, the page of a link that a command has printed. It changes nothing.
func (e *endpoints) showEnrol(w http.ResponseWriter, r *http.Request) error {
	query, err := readPageQuery(r.URL.RawQuery, enrolAdvice)
	if err != nil {
		return err
	}
	link := query.Get(mail.LinkParameter)
	user, err := e.enrolUser(r, link)
	if err != nil {
		return err
	}
	e.showEnrolForm(w, r, http.StatusOK, user, link, nil)
	return nil
}

// enrolAdvice is the advice on a link that cannot be read.
var enrolAdvice = say("Copy the whole link, and open it again.")

// maxEnrolLink is the maximum length of a link's secret, in bytes.
const maxEnrolLink = 128

// errEnrolLink is the response to a link that does not work, or no longer does.
var errEnrolLink = &pageError{
	title:  say("This link does not work"),
	text:   say("It was already used, has expired, or is incomplete."),
	advice: errEnrolByLink.advice,
}

// enrolUser returns the user of a link, or errEnrolLink.
func (e *endpoints) enrolUser(r *http.Request, link string) (account.User, error) {
	if link == "" || len(link) > maxEnrolLink {
		return account.User{}, errEnrolLink
	}
	user, err := e.cfg.Store.EnrolLinkUser(r.Context(), secret.Digest(link), e.cfg.Now())
	if errors.Is(err, account.ErrLinkUnknown) {
		err = errEnrolLink
	}
	return user, err
}

func (e *endpoints) showEnrolForm(
	w http.ResponseWriter,
	r *http.Request,
	status int,
	user account.User,
	link string,
	problem *catalog.Message,
) {
	e.render(w, r, status, "enrol", page{
		Title: say("Set up your second factor"), Username: user.Username, Link: link, Error: problem,
	})
}

// afterEnrolment returns the path where the browser goes after the enrolment: to the console, if there is one.
func (e *endpoints) afterEnrolment() string {
	if e.cfg.Console != nil {
		return consolePath
	}
	return accountPath
}

// enrol serves POST /enrol: the password begins a login, whose second step adds the first factor and uses the link up.
func (e *endpoints) enrol(w http.ResponseWriter, r *http.Request) error {
	form, err := readForm(w, r, urlencodedOnly)
	if err != nil {
		return badForm(enrolAdvice)
	}
	link := form.Get(mail.LinkParameter)
	user, err := e.enrolUser(r, link)
	if err != nil {
		return err
	}
	var none oauth.GrantType
	first, err := e.checkFirst(r, "", none, url.Values{"username": {user.Username}, "password": form["password"]})
	if err == nil && first.user.ID != user.ID { // another user's email address is this username
		err = errors.Join(account.ErrIncorrect, e.cfg.Passwords.GiveBack(r.Context(), first.user))
	}
	if err == nil {
		first.continueAt, first.enrolLink = e.afterEnrolment(), secret.Digest(link)
		err = e.beginSecondStep(w, r, first)
	}
	if err == nil {
		redirect(w, secondStepPath)
		return nil
	}
	f := failureOf(err)
	if f.unexpected || f.userText == nil {
		return err
	}
	f.setRetryAfter(w)
	e.showEnrolForm(w, r, f.status, user, link, f.userText)
	return &handledError{f.code}
}
