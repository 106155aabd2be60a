package web

import (
	"errors"
	"net/http"
	"net/url"

	"github.com/hallpass-auth/hallpass/authserver/internal/catalog"
	"github.com/hallpass-auth/hallpass/authserver/internal/client"
	"github.com/hallpass-auth/hallpass/authserver/internal/issuing"
	"github.com/hallpass-auth/hallpass/authserver/internal/record"
)

// Paths of the logout that a client starts.
const (
	endSessionPath        = "/end_session"
	confirmEndSessionPath = endSessionPath + "/confirm"
)

// maxLogoutQuery bounds the query of a logout request, in bytes. An ID token with many groups is long.
const maxLogoutQuery = 8 << 10

// logoutRequest is a valid request of the logout endpoint (OpenID Connect RP-Initiated Logout 1.0 section 2).
// logout_hint is accepted and has no effect; ui_locales has its effect in inLanguage.
type logoutRequest struct {
	client      client.Client // zero if the request names none
	hint        issuing.Hint  // zero without one
	redirectURI string        // one of the client's; empty if the browser stays here
	state       string
}

// concerns reports whether the hint proves that the request is about this session, so that the user need not be
// asked (OpenID Connect RP-Initiated Logout 1.0 section 2).
func (l *logoutRequest) concerns(s session) bool {
	return l.hint.SessionID != "" && l.hint.SessionID == s.login.SessionID && l.hint.Subject == s.user.ID
}

// brokenLogout returns the error for an invalid request. The user is told, and not sent anywhere (OpenID
// Connect RP-Initiated Logout 1.0 section 4).
func brokenLogout(text *catalog.Message) error {
	return brokenLink(text, say("You have not been logged out."))
}

// failLogout shows an invalid request, with a link to the page where the user can log out. It returns other errors.
func (e *endpoints) failLogout(w http.ResponseWriter, r *http.Request, err error) error {
	var broken *pageError
	if !errors.As(err, &broken) {
		return err
	}
	e.render(w, r, http.StatusBadRequest, "message", page{
		Title: broken.title, Text: broken.text, Advice: broken.advice, OffersLogout: true,
	})
	return &handledError{"refused"}
}

// readLogout reads and checks a logout request.
func (e *endpoints) readLogout(r *http.Request, query string) (*logoutRequest, error) {
	if len(query) > maxLogoutQuery {
		return nil, brokenLogout(say("The request from the app is too long."))
	}
	form, err := url.ParseQuery(query)
	if err == nil {
		form, err = clean(form)
	}
	if err != nil {
		return nil, brokenLogout(say("The request from the app could not be read: a parameter is malformed or repeated."))
	}
	l := &logoutRequest{redirectURI: form.Get("post_logout_redirect_uri"), state: form.Get("state")}
	id := form.Get("client_id")
	if hint := form.Get("id_token_hint"); hint != "" {
		if l.hint, err = e.cfg.Tokens.ReadHint(hint); err != nil {
			return nil, brokenLogout(say("The id_token_hint of the app is not an ID token of this server."))
		}
		if id != "" && id != l.hint.ClientID {
			return nil, brokenLogout(say("The id_token_hint was issued to a different app than the one that client_id names."))
		}
		id = l.hint.ClientID
	}
	return l, e.readLogoutClient(r, l, id)
}

// readLogoutClient sets the client of a request, and checks where the browser will be sent.
func (e *endpoints) readLogoutClient(r *http.Request, l *logoutRequest, id string) (err error) {
	if id != "" {
		l.client, err = e.cfg.Tokens.ClientByID(r.Context(), id)
	}
	switch {
	case errors.Is(err, record.ErrNotFound):
		return brokenLogout(say("The app that sent you here is not registered."))
	case err != nil:
		return err
	case l.redirectURI == "":
		return nil
	case id == "":
		return brokenLogout(say("The app said where to send you next, but not which app it is: {detail}.",
			"post_logout_redirect_uri needs id_token_hint or client_id"))
	case !l.client.AllowsLogoutRedirect(l.redirectURI):
		return brokenLogout(say("{app} wants to send you to an address that is not registered for it: {detail}.",
			l.client.Name, "post_logout_redirect_uri must exactly match a registered one"))
	}
	return nil
}

// endSession serves GET /end_session. It asks the user first, unless the request proves by its hint that it
// comes from a client of this session: a link alone must not log anyone out.
func (e *endpoints) endSession(w http.ResponseWriter, r *http.Request) error {
	return e.continueLogout(w, r, r.URL.RawQuery, func(l *logoutRequest, s session) error {
		if l.concerns(s) {
			return e.finishLogout(w, r, l, s)
		}
		e.askToLogOut(w, r, r.URL.RawQuery, l, s)
		return nil
	})
}

// continueLogout reads a logout request and calls end with it and the session of the browser. It shows an invalid
// request. A browser without a session is sent on.
func (e *endpoints) continueLogout(
	w http.ResponseWriter,
	r *http.Request,
	query string,
	end func(*logoutRequest, session) error,
) error {
	l, err := e.readLogout(r, query)
	if err != nil {
		return e.failLogout(w, r, err)
	}
	s, err := e.session(r)
	if err != nil {
		return err
	}
	if s.digest == "" {
		e.loggedOut(w, l)
		return nil
	}
	return end(l, s)
}

// endSessionByPost serves POST /end_session. Browsers send the session cookie only with the GET that follows.
// Any site may send this form, as any may link here.
func (e *endpoints) endSessionByPost(w http.ResponseWriter, r *http.Request) error {
	malformed := brokenLogout(say("The request from the app could not be read."))
	return e.failLogout(w, r, continueByGet(w, r, endSessionPath, maxLogoutQuery, malformed))
}

// askToLogOut writes the page that asks the user.
func (e *endpoints) askToLogOut(w http.ResponseWriter, r *http.Request, query string, l *logoutRequest, s session) {
	var targets []string
	if l.redirectURI != "" {
		targets = []string{formTarget(l.redirectURI)}
	}
	e.render(w, r, http.StatusOK, "endsession", page{
		Title: say("Log out?"), Client: l.client.Name, User: s.user.Name, UserID: s.user.ID, Continue: query,
	}, targets...)
}

// confirmEndSession serves POST /end_session/confirm, the form of that page. If another user has logged in since,
// it asks again.
func (e *endpoints) confirmEndSession(w http.ResponseWriter, r *http.Request) error {
	form, err := readForm(w, r, urlencodedOnly)
	if err != nil {
		return badForm(say("Go back to the app and try again."))
	}
	query, decision := form.Get("continue"), form.Get("decision")
	return e.continueLogout(w, r, query, func(l *logoutRequest, s session) error {
		switch {
		case decision == "stay":
			e.message(w, r, http.StatusOK, say("Still logged in"), say("You are still logged in."),
				say("You can close this page."))
		case decision == "end" && form.Get("user") == s.user.ID:
			return e.finishLogout(w, r, l, s)
		default:
			e.askToLogOut(w, r, query, l, s)
		}
		return nil
	})
}

// finishLogout ends the session and its grants, and sends the browser on.
func (e *endpoints) finishLogout(w http.ResponseWriter, r *http.Request, l *logoutRequest, s session) error {
	if err := e.deleteSession(w, r, s, true, l.client.ID); err != nil {
		return err
	}
	e.loggedOut(w, l)
	return nil
}

// loggedOut sends a browser without a session back to the client, or to the page that says so.
func (e *endpoints) loggedOut(w http.ResponseWriter, l *logoutRequest) {
	if l.redirectURI == "" {
		redirect(w, "/logout")
		return
	}
	redirect(w, issuing.WithParameters(l.redirectURI, stateOf(l)))
}

// stateOf returns the parameters that the client gets back (OpenID Connect RP-Initiated Logout 1.0 section 3).
func stateOf(l *logoutRequest) url.Values {
	if l.state == "" {
		return nil
	}
	return url.Values{"state": {l.state}}
}
