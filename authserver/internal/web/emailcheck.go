package web

import (
	"errors"
	"net/http"
	"regexp"
	"time"

	"github.com/hallpass-auth/hallpass/shared/httpserver"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/emailcheck"
	"github.com/hallpass-auth/hallpass/authserver/internal/mail"
)

// emailAdvice is the advice on a page about a link that cannot be read.
var emailAdvice = say("Open the link in the email again.")

// linkMinutes is how long the links in most mails work, in minutes.
const linkMinutes = int(account.LinkLifetime / time.Minute)

// emailPage matches the path and query of the page for confirming an email address, with the link.
var emailPage = regexp.MustCompile(
	"^" + regexp.QuoteMeta(mail.EmailPath+"?"+mail.LinkParameter+"=") + "([A-Za-z0-9_-]{1,128})$")

// linkIn returns the secret of the link in the path and query of the page for confirming an email address; empty if
// the text is anything else.
func linkIn(text string) string {
	if found := emailPage.FindStringSubmatch(text); found != nil {
		return found[1]
	}
	return ""
}

// refuseEmailLink writes the page about a link that does not work for the user of a session: the login page, which
// comes back to the link, or the text for another user.
func (e *endpoints) refuseEmailLink(w http.ResponseWriter, r *http.Request, s session, text string) error {
	if s.digest == "" {
		e.showAccountLogin(w, r, http.StatusOK, page{Continue: mail.LinkURL("", mail.EmailPath, text), Link: text})
		return nil
	}
	e.render(w, r, http.StatusForbidden, "message", page{
		Title: say("This link is for another account"),
		Text:  say("You are logged in as {name} in this browser, and nothing was changed.", s.user.Username),
		Advice: say("If the other account is also yours, log out here first. Then open the link in the email again and " +
			"log in to that account."),
		OffersLogout: true,
	})
	return &handledError{"refused"}
}

// showEmail serves GET /email, the page of a link in a mail. It changes nothing.
func (e *endpoints) showEmail(w http.ResponseWriter, r *http.Request) error {
	query, err := readPageQuery(r.URL.RawQuery, emailAdvice)
	if err != nil {
		return err
	}
	text := query.Get(mail.LinkParameter)
	link, err := e.cfg.Emails.Open(r.Context(), text)
	if err != nil {
		return err
	}
	s, err := e.session(r)
	if err != nil {
		return err
	}
	if !link.WorksFor(s.user.ID) {
		return e.refuseEmailLink(w, r, s, text)
	}
	p := page{Title: say("Confirm your email address"), Username: link.User.Username, Email: link.Email(), Link: text}
	if link.Kind == account.ChangeLink {
		p.OldEmail = link.User.Email
	}
	e.render(w, r, http.StatusOK, "email", p)
	return nil
}

// confirmEmail serves POST /email. A new address needs a session of its user.
func (e *endpoints) confirmEmail(w http.ResponseWriter, r *http.Request) error {
	form, err := readForm(w, r, urlencodedOnly)
	if err != nil {
		return badForm(emailAdvice)
	}
	s, err := e.session(r)
	if err != nil {
		return err
	}
	text := form.Get(mail.LinkParameter)
	link, err := e.cfg.Emails.Confirm(r.Context(), text, s.user.ID, httpserver.Host(r.RemoteAddr))
	if errors.Is(err, emailcheck.ErrNotLoggedIn) {
		return e.refuseEmailLink(w, r, s, text)
	}
	if err != nil {
		return err
	}
	e.message(w, r, http.StatusOK, say("Your email address is confirmed"),
		say("{email} is now the email address of your account {username}.", link.Email(), link.User.Username),
		say("You can close this page."))
	return nil
}
