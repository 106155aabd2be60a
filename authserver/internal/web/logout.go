package web

import (
	"net/http"
)

// showLogout is GET /logout: it asks, since a mere link must not log anybody out.
func (e *endpoints) showLogout(w http.ResponseWriter, r *http.Request) error {
	s, err := e.session(r)
	if err != nil {
		return err
	}
	if s.digest == "" {
		e.message(w, http.StatusOK, "Logged out", "You are logged out in this browser. You can close this page.")
		return nil
	}
	e.render(w, http.StatusOK, "logout", page{Title: "Log out", User: s.user.Name})
	return nil
}

// logout is POST /logout: it ends the browser's session and, if asked to, every grant
// that was given in it.
func (e *endpoints) logout(w http.ResponseWriter, r *http.Request) error {
	form, err := readForm(w, r, urlencodedOnly)
	if err != nil {
		return &pageError{"This form is broken", "What your browser sent cannot be read. Open this page again."}
	}
	s, err := e.session(r)
	if err != nil {
		return err
	}
	if s.digest != "" {
		everywhere := form.Get("apps") == "end"
		if err := e.cfg.Sessions.DeleteSession(r.Context(), s.digest, everywhere, e.cfg.Now()); err != nil {
			return err
		}
		e.cfg.Log.InfoContext(r.Context(), "logged out", "event", "logout", "user", s.user.ID, "apps_too", everywhere)
	}
	http.SetCookie(w, e.cookie("", -1))
	leave(w, "/logout")
	return nil
}
