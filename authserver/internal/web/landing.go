package web

import (
	"net/http"
	"strings"

	"github.com/hallpass-auth/hallpass/shared/problem"
)

// startAtApp is the advice on pages that a user cannot log in from.
var startAtApp = say("To log in, open the app you want to use and start there.")

// home serves the landing page, GET /.
func (e *endpoints) home(w http.ResponseWriter, r *http.Request) error {
	e.render(w, r, http.StatusOK, "message", page{
		Title: say("Login service"), Text: say("Apps send you here to log in."), Advice: startAtApp, OffersAccount: true,
	})
	return nil
}

// notFound responds to a path that does not exist, with a page for browsers and a problem
// document for other clients.
func (e *endpoints) notFound(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Vary", "Accept")
	if !wantsPage(r) {
		problem.Write(w, http.StatusNotFound, "Not Found")
		return
	}
	e.message(w, r, http.StatusNotFound, say("Page not found"),
		say("The link may be broken, or the address may have a typo."), startAtApp)
}

// notAllowedPage responds to a method that a page does not have, for example when a user
// opens a bookmark of a page that only a form leads to.
func (e *endpoints) notAllowedPage(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Vary", "Accept")
	if !wantsPage(r) {
		notAllowed(w, r)
		return
	}
	e.message(w, r, http.StatusMethodNotAllowed, say("This page cannot be opened directly"),
		say("It is one step of logging in to an app."), startAtApp)
}

// wantsPage reports whether the request accepts text/html by name, as browsers do for pages
// (RFC 9110 section 12.5.1).
func wantsPage(r *http.Request) bool {
	for _, accepted := range strings.Split(strings.Join(r.Header["Accept"], ","), ",") {
		mediaType, _, _ := strings.Cut(accepted, ";")
		if strings.EqualFold(strings.TrimSpace(mediaType), "text/html") {
			return true
		}
	}
	return false
}
