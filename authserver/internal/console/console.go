package console

import (
	"context"
	"errors"
	"html/template"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"github.com/hallpass-auth/hallpass/shared/httpserver"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/adminapi"
	"github.com/hallpass-auth/hallpass/authserver/internal/audit"
	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
)

// basePath is the path of the first page. Those of all others begin with it and a slash.
const basePath = "/admin"

// Site is the web site that the console belongs to: the pages for people. It is safe for concurrent use.
type Site interface {
	// Session returns who is logged in with the browser, and how; the zero user if nobody is.
	Session(r *http.Request) (account.User, grant.Authentication, error)
	// HasSecondFactor reports whether a user has a second factor.
	HasSecondFactor(ctx context.Context, userID string) (bool, error)
	// LogIn writes the login page. After the login, the browser goes to next, a path and query of the console. A
	// username means that this user is logged in, and does it again.
	LogIn(w http.ResponseWriter, r *http.Request, username, next string)
	// NotFound writes the response for a path that does not exist.
	NotFound(w http.ResponseWriter, r *http.Request)
	// Brand returns the name of the service, which may be empty, and whether it has a logo.
	Brand() (name string, hasLogo bool)
}

// Config configures the console. All fields but Networks and WithoutSecondFactor are required.
type Config struct {
	Site Site
	// API has the operations.
	API *adminapi.API
	// Issuer is the server's public URL, without a path.
	Issuer string
	// Networks are those that administrators may come from; none means all.
	Networks []netip.Prefix
	// WithoutSecondFactor lets users administer who have logged in with one factor.
	WithoutSecondFactor bool
	// Now is the clock.
	Now func() time.Time
	// Log gets unexpected errors.
	Log *slog.Logger
}

// Console serves the pages. It is safe for concurrent use.
type Console struct {
	cfg       Config
	api       *adminapi.API
	routes    map[string]route
	templates *template.Template
}

// New returns the console.
func New(cfg Config) *Console {
	c := &Console{cfg: cfg, api: cfg.API, templates: parseTemplates()}
	c.routes = c.newRoutes()
	return c
}

// ServeHTTP serves requests whose path is /admin or below. The caller refuses forms of other sites.
func (c *Console) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !adminapi.Within(c.cfg.Networks, r.RemoteAddr) {
		c.cfg.Site.NotFound(w, r)
		return
	}
	if r.URL.Path == stylePath {
		httpserver.SetRoute(w, stylePath)
		serveStyle(w, r)
		return
	}
	found, ok := c.routes[r.URL.Path]
	if !ok {
		c.cfg.Site.NotFound(w, r)
		return
	}
	httpserver.SetRoute(w, r.URL.Path)
	v := &visit{w: w, r: r}
	if c.admit(v) {
		c.serve(v, found)
	}
}

// visit is a request of an administrator.
type visit struct {
	w    http.ResponseWriter
	r    *http.Request
	user account.User
	form url.Values // of a POST
}

// ctx returns the context of the request, with the administrator as the actor.
func (v *visit) ctx() context.Context { return v.r.Context() }

// query returns a parameter of the address; empty if it is missing.
func (v *visit) query(name string) string { return v.r.URL.Query().Get(name) }

// admit reports whether a request comes from an administrator whose login is good enough. If not, it has responded.
func (c *Console) admit(v *visit) bool {
	user, login, err := c.cfg.Site.Session(v.r)
	switch {
	case err != nil:
		c.fail(v, err)
		return false
	case user.ID == "":
		c.cfg.Site.LogIn(v.w, v.r, "", v.r.URL.RequestURI())
		return false
	case !user.Administers():
		c.refuse(v, http.StatusForbidden, notAdministratorPage(user))
		return false
	}
	v.user = user
	if !adminapi.Fresh(login, c.cfg.WithoutSecondFactor, c.cfg.Now()) {
		c.askLogin(v)
		return false
	}
	v.r = v.r.WithContext(audit.WithActor(v.ctx(), audit.Actor{
		Kind: audit.User, ID: user.ID, Name: user.Username,
		Address: httpserver.Host(v.r.RemoteAddr), RequestID: httpserver.RequestID(v.ctx()),
	}))
	return true
}

// askLogin lets an administrator log in again, or says where a second factor comes from.
func (c *Console) askLogin(v *visit) {
	has, err := c.cfg.Site.HasSecondFactor(v.ctx(), v.user.ID)
	switch {
	case err != nil:
		c.fail(v, err)
	case !has && !c.cfg.WithoutSecondFactor:
		c.refuse(v, http.StatusForbidden, noFactorPage(v.user))
	default:
		c.cfg.Site.LogIn(v.w, v.r, v.user.Username, v.r.URL.RequestURI())
	}
}

// serve serves an administrator's request for a page.
func (c *Console) serve(v *visit, found route) {
	var p page
	var err error
	switch {
	case !adminapi.IsTextQuery(v.r.URL.RawQuery):
		err = &refusal{http.StatusBadRequest, "This address could not be read", "Follow a link in the console."}
	case v.r.Method == http.MethodGet || v.r.Method == http.MethodHead:
		p, err = found.show(v)
	case v.r.Method == http.MethodPost && found.save != nil:
		p, err = c.submit(v, found)
	default:
		v.w.Header().Set("Allow", found.allow())
		p = notAllowedPage()
	}
	switch {
	case errors.Is(err, errWritten):
	case err != nil:
		c.fail(v, err)
	default:
		c.render(v, p)
	}
}

// errWritten says that a function has written the response.
var errWritten = errors.New("the response is written")

// submit serves a form. A form of somebody else, who was logged in when the page was opened, changes nothing.
func (c *Console) submit(v *visit, found route) (page, error) {
	form, err := readForm(v.w, v.r)
	if err != nil {
		return page{}, err
	}
	v.form = form
	if form.Get("user") != v.user.ID {
		return goTo(v.r.URL.RequestURI()), nil
	}
	next, err := found.save(v)
	if err == nil || errors.Is(err, errWritten) {
		return next, err
	}
	status, text := formProblem(err)
	if status >= http.StatusInternalServerError {
		return page{}, err
	}
	p, showErr := found.show(v)
	if showErr != nil {
		return page{}, showErr
	}
	p.status = status
	p.fill(form, err, text)
	return p, nil
}
