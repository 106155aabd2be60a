package bff

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"html/template"
	"net/http"
)

// style is the style sheet of the page. The Content-Security-Policy allows it by its digest.
const style = `:root{color-scheme:light dark}` +
	`html{background:light-dark(#fff,#101318);color:light-dark(#17202a,#e8ecf1)}` +
	`body{font:1rem/1.5 system-ui,sans-serif;max-width:28rem;margin:4rem auto;padding:0 1.25rem}` +
	`h1{font-size:1.5rem;line-height:1.25}a{display:inline-block;padding:.5rem 0;color:light-dark(#1f5fae,#7fb3ff)}`

var page = template.Must(template.New("page").Parse(`<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{{.Title}}</title>
<style>` + style + `</style>
<main>
<h1>{{.Title}}</h1>
<p>{{.Text}}</p>
<p><a href="/">Back to the app</a></p>
</main>
</html>
`))

var pagePolicy = func() string {
	digest := sha256.Sum256([]byte(style))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(digest[:]) +
		"'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
}()

// showPage responds with a page for the user. The texts must not contain secrets.
func showPage(w http.ResponseWriter, status int, title, text string) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", pagePolicy)
	w.WriteHeader(status)
	_ = page.Execute(w, struct{ Title, Text string }{title, text}) // an error means that the client has disconnected
}

// showUnavailable responds with a page for a login that can be tried again.
func showUnavailable(w http.ResponseWriter) {
	w.Header().Set("Retry-After", "5")
	showPage(w, http.StatusServiceUnavailable, "Please try again",
		"The login service cannot be reached right now.")
}

// showFailure responds with a page that says why a login failed.
func showFailure(w http.ResponseWriter, err error) {
	var denied deniedError
	switch {
	case errors.As(err, &denied) && denied == "access_denied":
		showPage(w, http.StatusForbidden, "You are not logged in", "You did not allow this app to log you in.")
	case errors.As(err, &denied):
		showPage(w, http.StatusBadRequest, "You are not logged in", "The login service says: "+string(denied)+".")
	case isCode(err, "invalid_grant"):
		showPage(w, http.StatusBadRequest, "Please log in again", "This login was already used, or is too old.")
	case errors.Is(err, errMixUp), errors.Is(err, errNoCode):
		showPage(w, http.StatusBadRequest, "This link is broken", "It does not come from the login service.")
	case errors.Is(err, errIDToken), errors.Is(err, errRefused), errors.Is(err, errTooLong):
		showPage(w, http.StatusInternalServerError, "You are not logged in",
			"Something is wrong with this app. Its log says what.")
	default:
		showUnavailable(w)
	}
}
