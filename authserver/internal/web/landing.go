package web

import (
	"net/http"
	"strings"

	"github.com/hallpass-auth/hallpass/shared/problem"
)

// home is GET /, where people come who type the server's name.
func (e *endpoints) home(w http.ResponseWriter, _ *http.Request) error {
	e.message(w, http.StatusOK, "Authorization server", "This is where apps send you to log in. Go to the app that you want to use, and start there.")
	return nil
}

// notFound answers for a path that leads nowhere.
func (e *endpoints) notFound(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Vary", "Accept")
	if !wantsPage(r) {
		problem.Write(w, http.StatusNotFound, "Not Found")
		return
	}
	e.message(w, http.StatusNotFound, "There is no such page", "The link is broken, or the address is mistyped. To log in, go to the app that you want to use, and start there.")
}

// notAllowedPage is notAllowed where people come too: by a bookmark of a page that a form
// has led to, for example.
func (e *endpoints) notAllowedPage(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Vary", "Accept")
	if !wantsPage(r) {
		notAllowed(w, r)
		return
	}
	e.message(w, http.StatusMethodNotAllowed, "This page does not open by itself", "It is a step on the way to an app. Go to the app that you want to use, and start there.")
}

// wantsPage reports whether it is a browser that asks on behalf of somebody who is to read
// the answer: those name HTML (RFC 9110 §12.5.1), programs take anything.
func wantsPage(r *http.Request) bool {
	for _, accepted := range strings.Split(strings.Join(r.Header["Accept"], ","), ",") {
		mediaType, _, _ := strings.Cut(accepted, ";")
		if strings.EqualFold(strings.TrimSpace(mediaType), "text/html") {
			return true
		}
	}
	return false
}
