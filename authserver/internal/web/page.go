package web

import (
	"bytes"
	"errors"
	"html/template"
	"net/http"
	"net/url"
	"strings"

	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/catalog"
)

// page is the data of a template.
type page struct {
	Language string // of the texts
	Service  string // name of the service; may be empty
	HasLogo  bool   // there is a logo

	Title  *catalog.Message // and heading
	Client string           // name of the client that the user came from
	API    string           // name of the requested API
	User   string           // name of the logged-in user
	Error  *catalog.Message // message shown in a form
	Text   *catalog.Message // what a message page says
	Advice *catalog.Message // what the user can do, on a message page

	OffersLogout  bool // a message page has a link to the logout page
	OffersAccount bool // a message page has a link to the account page

	Device       bool             // the page is about a device
	UserCode     string           // of the device
	Native       bool             // the app is a program on the user's device, and asks each time
	Unregistered bool             // nobody has registered the app
	AsksEachTime bool             // the user is asked each time
	ClientHost   string           // host of the app's metadata document
	Returns      *catalog.Message // where the user is sent back to

	Recovers    bool   // the login page has a link for a forgotten password
	Link        string // secret of the link in a mail
	MinPassword int    // minimum length of a new password, in characters
	SignUp      string // link for making an account; empty for none
	Continues   bool   // the authorization request goes on after the form
	InvitedOnly bool   // only invited people can make one
	Email       string // email address
	OldEmail    string // email address that the confirmed one replaces; may be empty
	Name        string // display name, initial value of the field
	Wrong       string // name of the field that Error is about; empty if it is not known

	Pending string       // public id of the login that is waiting for its second step, or empty
	Methods []methodLink // other ways to take the second step
	Secret  string       // of a new app, to type
	Sealed  string       // the same, encrypted, for the form
	URI     template.URL // the same, for an app
	QR      qrCode       // the same, to scan
	Codes   []string     // new recovery codes
	Passkey string       // options of a ceremony with a passkey, as JSON; empty if the page has none

	NeedsFactor  bool // the login needs a second factor
	AsksPassword bool // the form takes the current password too

	Account  bool        // the login page is for the account
	Console  bool        // the login page is for the administrators' console
	Confirms bool        // the user is logged in and types the password again
	Wide     bool        // the page has more than a form
	View     accountView // what the account page shows

	UserID     string      // id of the logged-in user, for the form
	Username   string      // initial value of the field
	Scopes     []scopeView // requested scopes
	Continue   string      // query of the authorization request to continue with
	LoginAgain string      // link to log in as someone else; empty if it would be too long
}

// render writes a page in the language of the request. Its Content-Security-Policy forbids scripts, frames and
// everything from other origins; on a page with a passkey, it allows the script file of this server. Forms may be sent
// to this server and to formTargets, because browsers apply the policy to the redirects that follow a form.
func (e *endpoints) render(
	w http.ResponseWriter,
	r *http.Request,
	status int,
	name string,
	p page,
	formTargets ...string,
) {
	p.Language, p.Service, p.HasLogo = e.languageOf(r), e.theme.Name, len(e.theme.Logo.Content) > 0
	var body bytes.Buffer
	if err := e.pages[p.Language]()[name].ExecuteTemplate(&body, "frame", p); err != nil {
		panic(err) // the template does not fit the page type
	}
	policy := "default-src 'none'; style-src 'self'; img-src 'self'; "
	if p.Passkey != "" {
		policy += "script-src 'self'; "
	}
	policy += "base-uri 'none'; frame-ancestors 'none'; form-action 'self'"
	for _, target := range formTargets {
		policy += " " + target
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Language", p.Language)
	h.Add("Vary", "Accept-Language")
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "same-origin") // with no-referrer, browsers send our own forms with "Origin: null"
	h.Set("Cache-Control", "no-store")
	// Not on the way back to an app: it would cut a login popup off from the app's window.
	if len(formTargets) == 0 {
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
	}
	w.WriteHeader(status)
	_, _ = w.Write(body.Bytes()) // fails only if the browser has disconnected
}

// formTarget returns the source expression that lets a form redirect to the redirect URI:
// its scheme. An origin is too narrow, because the app may redirect to another host, and
// because a policy cannot name the IPv6 loopback address.
func formTarget(redirectURI string) string {
	scheme, _, _ := strings.Cut(redirectURI, ":")
	return scheme + ":"
}

// message writes a page that says what happened and, unless advice is nil, what the user
// can do.
func (e *endpoints) message(w http.ResponseWriter, r *http.Request, status int, title, text, advice *catalog.Message) {
	e.render(w, r, status, "message", page{Title: title, Text: text, Advice: advice})
}

// redirect sends the browser to uri with status 303, so that it does not send a form with
// a password again (RFC 9700 section 4.12).
func redirect(w http.ResponseWriter, uri string) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Referrer-Policy", "no-referrer")
	w.Header()["Location"] = []string{uri}
	w.WriteHeader(http.StatusSeeOther)
}

// pageHandler returns a handler that calls show and counts the result. It shows an error on
// a page, unless that is a *handledError, and logs unexpected errors.
func (e *endpoints) pageHandler(name string, show func(http.ResponseWriter, *http.Request) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		err := show(w, r)
		var handled *handledError
		switch {
		case err == nil:
			e.answers.WithLabelValues(name, "ok").Inc()
		case errors.As(err, &handled):
			e.answers.WithLabelValues(name, string(handled.code)).Inc()
		default:
			e.failed(r, name, err).writePage(e, w, r)
		}
	})
}

// handledError is an error that the response already reports, in a form or to the client.
type handledError struct{ code oauth.ErrorCode }

// Error returns the error code.
func (h *handledError) Error() string { return string(h.code) }

// pageError is an error that is only shown to the user. It is not sent to the client,
// because the client or its redirect URI is not known to be valid (RFC 6749 section
// 4.1.2.1).
type pageError struct {
	title, text, advice *catalog.Message
	detail              string // for the log only
	retryAfter          int    // seconds, if the same request may succeed later; else 0
}

// Error returns the text in English.
func (p *pageError) Error() string { return p.text.English() }

// brokenLink returns the error for an invalid authorization request.
func brokenLink(text, advice *catalog.Message) error {
	return &pageError{title: say("This link is broken"), text: text, advice: advice}
}

// badForm returns the error for a malformed form.
func badForm(advice *catalog.Message) error {
	return &pageError{
		title: say("This form could not be read"), text: say("Your browser sent incomplete or invalid data."), advice: advice,
	}
}

// readPageQuery reads the query of a page that is opened by a link. The error has the advice.
func readPageQuery(query string, advice *catalog.Message) (url.Values, error) {
	if len(query) > maxQuery {
		return nil, brokenLink(say("The address is too long."), advice)
	}
	values, err := url.ParseQuery(query)
	if err == nil {
		values, err = clean(values)
	}
	if err != nil {
		return nil, brokenLink(say("The address could not be read."), advice)
	}
	return values, nil
}
