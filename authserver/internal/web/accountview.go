package web

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/hallpass-auth/hallpass/shared/httpserver"

	"github.com/hallpass-auth/hallpass/authserver/internal/audit"
	"github.com/hallpass-auth/hallpass/authserver/internal/catalog"
	"github.com/hallpass-auth/hallpass/authserver/internal/client"
	"github.com/hallpass-auth/hallpass/authserver/internal/clientmeta"
	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
	"github.com/hallpass-auth/hallpass/authserver/internal/record"
	"github.com/hallpass-auth/hallpass/authserver/internal/resource"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
)

// Bounds of what the account page lists.
const (
	maxSessions = 100
	maxLogins   = 200
)

// accountView is what the account page shows.
type accountView struct {
	Username, Name, Email string
	EmailVerified         bool
	Emails                bool // the email address can be changed and verified
	Demo                  bool
	Done                  *catalog.Message // what has just been done
	Browsers              []loginView
	Programs              []loginView // logins of apps that do not belong to a browser
	Elsewhere             bool        // there is a login that is not this browser's
	More                  bool        // there are more logins than are shown
	Apps                  []appView
	Factors               []factorView
	RecoveryCodes         int  // that are left
	MustHaveFactor        bool // the last factor cannot be removed
	Passkeys              bool // the server has passkeys
	HasPasskey            bool
}

// loginView is a login in a browser, or of an app without one.
type loginView struct {
	ID    string           // of the session, or the number of the grant
	Name  string           // of the app, if it is a login of one
	Agent *catalog.Message // nil if it is not known
	Here  bool             // it is this browser
	At    moment
	From  string   // IP address
	Apps  []string // that were logged in to from the browser
}

// appView is a client that may do something for the user.
type appView struct {
	ID, Name, Host string
	Since          moment
	Access         []accessView
}

// accessView is what a client may do at an API.
type accessView struct {
	API    string
	Scopes []scopeView
}

// moment is a time that a page shows.
type moment struct{ time.Time }

// doneTexts are what the account page can say that has just been done, by the parameter done.
var doneTexts = map[string]*catalog.Message{
	"name":     say("Your name was changed."),
	"password": say("Your password was changed. You are logged out everywhere else."),
	"email":    say("An email is on its way to the new address. Open the link in it within {n} minutes.", linkMinutes),
	"verify":   say("An email is on its way to you. Open the link in it within {n} minutes.", linkMinutes),
	"login":    say("That browser or app is logged out."),
	"logins":   say("You are logged out everywhere else."),
	"app":      say("The app no longer has access."),
	"factor":   say("Your second factor was added. You are logged out everywhere else."),
	"removed":  say("The second factor was removed. You are logged out everywhere else."),
}

// showAccount serves GET /account.
func (e *endpoints) showAccount(w http.ResponseWriter, r *http.Request, s session) error {
	view := accountView{
		Username: s.user.Username, Name: s.user.Name, Email: s.user.Email, EmailVerified: s.user.EmailVerified,
		Emails: e.cfg.Emails != nil, Demo: s.user.Demo,
	}
	if !fromOtherSite(r) {
		view.Done = doneTexts[r.URL.Query().Get("done")]
	}
	if err := e.addLogins(r.Context(), &view, s); err != nil {
		return err
	}
	if err := e.addApps(r.Context(), &view, s); err != nil {
		return err
	}
	if err := e.addFactors(r.Context(), &view, s); err != nil {
		return err
	}
	e.render(w, r, http.StatusOK, "account", page{Title: say("Your account"), Wide: true, UserID: s.user.ID, View: view})
	return nil
}

// addLogins adds the logins of the user: in browsers, and those at clients that do not belong to one of them.
func (e *endpoints) addLogins(ctx context.Context, view *accountView, s session) error {
	sessions, err := e.cfg.Store.BrowserSessions(ctx, s.user.ID, e.cfg.Now(), maxSessions)
	if err != nil {
		return err
	}
	logins, err := e.cfg.Store.AppLogins(ctx, s.user.ID, e.cfg.Now(), maxLogins)
	if err != nil {
		return err
	}
	view.More = len(sessions) == maxSessions || len(logins) == maxLogins
	place := map[string]int{} // of a session in view.Browsers
	for _, b := range sessions {
		place[b.Digest] = len(view.Browsers)
		view.Browsers = append(view.Browsers, loginView{
			ID: grant.SessionID(b.Digest), Agent: cmp.Or(agentText(b.Place.Agent), say("Unknown browser")),
			Here: b.Digest == s.digest, At: moment{b.CreatedAt}, From: b.Place.Address,
		})
	}
	for _, l := range logins {
		if i, ok := place[l.Session]; ok {
			view.Browsers[i].addApp(l.ClientName)
			continue
		}
		view.Programs = append(view.Programs, loginView{
			ID: strconv.FormatInt(l.Number, 10), Name: l.ClientName, Agent: agentText(l.Place.Agent), At: moment{l.CreatedAt},
			From: l.Place.Address,
		})
	}
	slices.SortStableFunc(view.Browsers, func(a, b loginView) int { return -cmp.Compare(order(a), order(b)) })
	view.Elsewhere = len(view.Browsers) > 1 || len(view.Programs) > 0
	return nil
}

// order sorts this browser before the others.
func order(l loginView) int {
	if l.Here {
		return 1
	}
	return 0
}

// addApp adds the name of an app that was logged in to from the browser.
func (l *loginView) addApp(name string) {
	if !slices.Contains(l.Apps, name) {
		l.Apps = append(l.Apps, name)
	}
}

// addApps adds the clients that may do something for the user.
func (e *endpoints) addApps(ctx context.Context, view *accountView, s session) error {
	access, err := e.cfg.Store.AccessOf(ctx, s.user.ID, e.cfg.Now())
	if err != nil || len(access) == 0 {
		return err
	}
	apis, err := e.cfg.Store.APIs(ctx)
	if err != nil {
		return err
	}
	known, err := e.cfg.Store.ScopeDescriptions(ctx)
	if err != nil {
		return err
	}
	for _, a := range access {
		last := len(view.Apps) - 1
		if last < 0 || view.Apps[last].ID != a.ClientID {
			view.Apps = append(view.Apps, newAppView(a))
			last++
		}
		app := &view.Apps[last]
		if a.Since.Before(app.Since.Time) {
			app.Since = moment{a.Since}
		}
		app.Access = append(app.Access, accessView{API: nameOf(apis, a.Audience), Scopes: describe(known, a.Scope)})
	}
	return nil
}

func newAppView(a store.Access) appView {
	app := appView{ID: a.ClientID, Name: a.ClientName, Since: moment{a.Since}}
	if clientmeta.IsDocumentID(a.ClientID) {
		app.Host = client.Client{ID: a.ClientID, Source: client.SourceDocument}.DocumentHost()
	}
	return app
}

// nameOf returns the name of an API, or its audience if it is not registered any longer.
func nameOf(apis []resource.API, audience string) string {
	i := slices.IndexFunc(apis, func(a resource.API) bool { return a.Audience == audience })
	if i < 0 {
		return audience
	}
	return apis[i].Name
}

// endLogin serves POST /account/logins: it ends a session with its grants, a grant, or all others than this session.
func (e *endpoints) endLogin(w http.ResponseWriter, r *http.Request, form url.Values, s session) error {
	ctx, now := r.Context(), e.cfg.Now()
	var err error
	event, done := "account_login_ended", "login"
	switch {
	case form.Get("others") == "end":
		event, done = "account_logins_ended", "logins"
		err = e.cfg.Store.EndOtherLogins(ctx, s.user.ID, s.digest, now)
	case form.Has("session"):
		err = e.endSessionOf(ctx, s, form.Get("session"))
	default:
		number, parseErr := strconv.ParseInt(form.Get("login"), 10, 64)
		if parseErr != nil {
			return badForm(say("Open your account page again."))
		}
		err = e.cfg.Store.EndLogin(ctx, s.user.ID, number, now)
	}
	if errors.Is(err, record.ErrNotFound) { // it has ended already
		redirect(w, accountPath)
		return nil
	}
	if err != nil {
		return err
	}
	e.logAccount(r, event, s)
	redirect(w, accountPath+"?done="+done)
	return nil
}

// endSessionOf ends the session of the user with this id, and its grants. It returns record.ErrNotFound if the user
// has no such session.
func (e *endpoints) endSessionOf(ctx context.Context, s session, id string) error {
	sessions, err := e.cfg.Store.BrowserSessions(ctx, s.user.ID, e.cfg.Now(), maxSessions)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(sessions, func(b store.BrowserSession) bool { return grant.SessionID(b.Digest) == id })
	if i < 0 {
		return record.ErrNotFound
	}
	return e.cfg.Store.DeleteSession(ctx, sessions[i].Digest, true, e.cfg.Now())
}

// endApp serves POST /account/apps: it revokes the grants of a client and forgets the consent.
func (e *endpoints) endApp(w http.ResponseWriter, r *http.Request, form url.Values, s session) error {
	id := form.Get("client")
	err := e.cfg.Store.RevokeConsent(r.Context(), s.user.ID, id, e.cfg.Now())
	if errors.Is(err, record.ErrNotFound) { // it has ended already
		redirect(w, accountPath)
		return nil
	}
	if err != nil {
		return err
	}
	e.logAccount(r, "account_app_ended", s, "client", id)
	redirect(w, accountPath+"?done=app")
	return nil
}

// logAccount logs what a user has done on the account page.
func (e *endpoints) logAccount(r *http.Request, event string, s session, more ...any) {
	fields := append([]any{"event", event, "user", s.user.ID, "address", httpserver.Host(r.RemoteAddr)}, more...)
	e.cfg.Log.InfoContext(r.Context(), "account page used", fields...)
}

// recordAccount logs and records what a user has done on the account page that does not change the account yet.
func (e *endpoints) recordAccount(r *http.Request, event string, s session) {
	e.logAccount(r, event, s)
	err := e.cfg.Store.Record(context.WithoutCancel(r.Context()), audit.Event{
		Name: event, At: e.cfg.Now(), Subject: audit.Subject{Kind: audit.SubjectUser, ID: s.user.ID},
	})
	if err != nil {
		e.cfg.Log.WarnContext(r.Context(), "cannot record what a user has done", "event", event, "error", err)
	}
}
