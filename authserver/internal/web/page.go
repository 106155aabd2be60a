package web

import (
	"bytes"
	"embed"
	"errors"
	"html/template"
	"net/http"
	"strings"

	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/resource"
)

//go:embed pages
var pageFiles embed.FS

// pages are the templates by name; each is the frame with a body of its own.
var pages = func() map[string]*template.Template {
	made := map[string]*template.Template{}
	for _, name := range []string{"login", "consent", "logout", "message"} {
		made[name] = template.Must(template.ParseFS(pageFiles, "pages/frame.html", "pages/"+name+".html"))
	}
	return made
}()

// page is what a template shows.
type page struct {
	Title  string
	Client string // the name of the client that is waiting
	API    string // the name of the API it asks for; empty for that of the settings
	User   string // who is logged in
	Error  string // what went wrong with a form, shown beside it
	Text   string // of a message

	UserID     string                      // who is logged in, for the form
	Username   string                      // typed before
	Scopes     []resource.ScopeDescription // asked for
	Continue   string                      // the query of the authorization request to go on with
	LoginAgain string                      // where somebody else logs in to go on with it; empty if it is too long
}

// render shows a page. The policy forbids scripts, frames and everything from elsewhere.
// Forms may be sent here, and from here on to the client: browsers hold a form's whole
// way against the policy.
func (e *endpoints) render(w http.ResponseWriter, status int, name string, p page, formTargets ...string) {
	var body bytes.Buffer
	if err := pages[name].ExecuteTemplate(&body, "frame", p); err != nil {
		panic(err) // the templates and the type of their data are both ours
	}
	policy := "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'"
	for _, target := range formTargets {
		policy += " " + target
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "same-origin") // not "no-referrer": browsers would send our own forms with "Origin: null"
	h.Set("Cache-Control", "no-store")
	// Not on the way to an app, which it would part from the popup that it shows a login in.
	if len(formTargets) == 0 {
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
	}
	w.WriteHeader(status)
	_, _ = w.Write(body.Bytes()) // the browser is gone if this fails
}

// formTarget is the source expression of a redirect URI for the policy: its scheme. The
// origin would be too narrow: browsers hold every later step of the way against the
// policy too, and apps send people on to other hosts of theirs. Nor can a policy name the
// loopback address of IPv6.
func formTarget(redirectURI string) string {
	scheme, _, _ := strings.Cut(redirectURI, ":")
	return scheme + ":"
}

// message shows a page that has nothing but something to say.
func (e *endpoints) message(w http.ResponseWriter, status int, title, text string) {
	e.render(w, status, "message", page{Title: title, Text: text})
}

// pageHandler makes a handler of a function that shows pages: it counts, logs what is
// unexpected, and makes a page of an error that the function has not shown itself.
func (e *endpoints) pageHandler(name string, show func(http.ResponseWriter, *http.Request) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		err := show(w, r)
		var shown *shownError
		switch {
		case err == nil:
			e.answers.WithLabelValues(name, "ok").Inc()
		case errors.As(err, &shown):
			e.answers.WithLabelValues(name, string(shown.code)).Inc()
		default:
			e.failed(r, name, err).writePage(e, w)
		}
	})
}

// shownError is one that the answer tells already, in a form or to the client: it is only
// to be counted.
type shownError struct{ code oauth.ErrorCode }

// Error returns the code.
func (s *shownError) Error() string { return string(s.code) }

// pageError is what only the user may be told, on a page here: nothing of it is sent to
// the client, because it is not certain who that is (RFC 6749 §4.1.2.1).
type pageError struct{ title, text string }

// Error returns the text.
func (p *pageError) Error() string { return p.text }

// style serves the one style sheet.
func (e *endpoints) style(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "public, max-age=3600")
	http.ServeFileFS(w, r, pageFiles, "pages/style.css")
}
