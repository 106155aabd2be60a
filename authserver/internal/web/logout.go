package web

import (
	"net/http"
	"time"
)

// showLogout serves GET /logout. It asks first: a link alone must not log anyone out.
func (e *endpoints) showLogout(w http.ResponseWriter, r *http.Request) error {
	s, err := e.session(r)
	if err != nil {
		return err
	}
	if s.digest == "" {
		e.message(w, r, http.StatusOK, say("Logged out"), say("You are logged out in this browser."),
			say("You can close this page."))
		return nil
	}
	e.render(w, r, http.StatusOK, "logout", page{Title: say("Log out?"), User: s.user.Name})
	return nil
}

// logout serves POST /logout. It ends the browser's session and, if the user asked for it,
// revokes all grants given in the session.
func (e *endpoints) logout(w http.ResponseWriter, r *http.Request) error {
	form, err := readForm(w, r, urlencodedOnly)
	if err != nil {
		return badForm(say("Open this page again."))
	}
	s, err := e.session(r)
	if err != nil {
		return err
	}
	if s.digest != "" {
		if err := e.deleteSession(w, r, s, form.Get("apps") == "end", ""); err != nil {
			return err
		}
	} else {
		http.SetCookie(w, e.cookie(e.cookieName(), "", -time.Second))
	}
	redirect(w, "/logout")
	return nil
}

// deleteSession ends a session, and with appsToo the grants given in it. clientID is the client that has asked
// for it; empty if the user came without one.
func (e *endpoints) deleteSession(
	w http.ResponseWriter,
	r *http.Request,
	s session,
	appsToo bool,
	clientID string,
) error {
	if err := e.cfg.Store.DeleteSession(r.Context(), s.digest, appsToo, e.cfg.Now()); err != nil {
		return err
	}
	http.SetCookie(w, e.cookie(e.cookieName(), "", -time.Second))
	fields := []any{"event", "logout", "user", s.user.ID, "apps_too", appsToo}
	if clientID != "" {
		fields = append(fields, "client", clientID)
	}
	e.cfg.Log.InfoContext(r.Context(), "logged out", fields...)
	return nil
}
