package web

import (
	"context"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/gorilla/mux"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/hallpass-auth/hallpass/shared/dpop"
	"github.com/hallpass-auth/hallpass/shared/httpserver"
	"github.com/hallpass-auth/hallpass/shared/keyring"
	"github.com/hallpass-auth/hallpass/shared/oauth"
	"github.com/hallpass-auth/hallpass/shared/problem"
	"github.com/hallpass-auth/hallpass/shared/statuslist"
	"github.com/hallpass-auth/hallpass/shared/token"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/assertion"
	"github.com/hallpass-auth/hallpass/authserver/internal/audit"
	"github.com/hallpass-auth/hallpass/authserver/internal/clientmeta"
	"github.com/hallpass-auth/hallpass/authserver/internal/emailcheck"
	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
	"github.com/hallpass-auth/hallpass/authserver/internal/issuing"
	"github.com/hallpass-auth/hallpass/authserver/internal/passkey"
	"github.com/hallpass-auth/hallpass/authserver/internal/recovery"
	"github.com/hallpass-auth/hallpass/authserver/internal/resource"
	"github.com/hallpass-auth/hallpass/authserver/internal/revocation"
	"github.com/hallpass-auth/hallpass/authserver/internal/secondfactor"
	"github.com/hallpass-auth/hallpass/authserver/internal/signup"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
	"github.com/hallpass-auth/hallpass/authserver/internal/theme"
)

// Scopes knows what scopes mean. It is safe for concurrent use.
type Scopes interface {
	// ScopeDescriptions returns the scopes that are described, ordered by name.
	ScopeDescriptions(ctx context.Context) ([]resource.ScopeDescription, error)
}

// Passwords checks usernames and passwords; *account.Login does. It is safe for concurrent use.
type Passwords interface {
	issuing.Passwords
	// WithLogin returns a browser that knows that the user has logged in with it. One without an id gets the given one,
	// which is random.
	WithLogin(b account.Browser, user account.User, id string) account.Browser
	// MinPasswordOf returns the minimum length of a user's new password, in characters.
	MinPasswordOf(u account.User) int
	// ReserveCode counts a try of a code of a user's second factor, or returns an *account.ThrottledError.
	ReserveCode(ctx context.Context, user account.User, address string) (account.FailureKey, error)
	// KeyOf returns what the failures of a user's logins in a browser are counted under.
	KeyOf(ctx context.Context, user account.User, address string, b account.Browser) (account.FailureKey, error)
}

// Config configures the endpoints. All fields but DefaultClient, AllowedOrigins, Documents, Registration,
// UnregisteredScope, Passkeys, Recovery, Emails, SignUp, Failures, Language and Theme are required.
type Config struct {
	// IssuerURL is the authorization server's identifier.
	IssuerURL string
	// DefaultClient is the id of the client assumed when a request omits client_id; empty
	// means that such a request is refused.
	DefaultClient string
	// AllowedOrigins are the origins of pages whose scripts may call the endpoints for apps.
	AllowedOrigins []string

	// Passwords, Sessions and Scopes are what the endpoints and pages look up.
	Passwords Passwords
	Sessions  *store.Store
	Scopes    Scopes
	// Tokens issues, inspects and revokes tokens, and finds clients.
	Tokens *issuing.Service
	// Assertions verifies the assertions by which clients authenticate.
	Assertions *assertion.Verifier
	// Documents finds clients by their metadata documents; nil means that none is accepted.
	Documents *clientmeta.Documents
	// Registration says who may register clients; the zero value means nobody.
	Registration Registration
	// UnregisteredScope is what clients of documents and of registration may ask for; empty means every scope
	// that is described.
	UnregisteredScope oauth.Scope
	// Accounts changes the accounts of users who are logged in.
	Accounts *account.Service
	// SecondFactors checks and changes second factors.
	SecondFactors *secondfactor.Service
	// Passkeys runs the ceremonies of passkeys; nil if the issuer has no domain name.
	Passkeys *passkey.Service
	// Recovery serves users who have forgotten their password; nil means that there are no such pages.
	Recovery *recovery.Service
	// Emails serves the links in mails about email addresses; nil means that there is no such page.
	Emails *emailcheck.Service
	// SignUp serves people who make an account; nil means that there are no such pages.
	SignUp *signup.Service
	// Language is the language of people who read none of catalog.Languages; empty for English.
	Language string
	// Theme is how the pages look, and the texts that they do not take from the built-in catalog; nil for the built-in
	// look and texts.
	Theme *theme.Theme
	// AdminAPI serves the admin API, at issuing.AdminPath and below; nil if it is off.
	AdminAPI http.Handler
	// AdminWithoutSecondFactor lets users who have logged in with one factor have tokens of the admin API.
	AdminWithoutSecondFactor bool
	// Console returns the administrators' console, at /admin and below; nil if it is off.
	Console func(Site) http.Handler
	// Revocations publishes status lists, and Lists knows where.
	Revocations *revocation.Provider
	Lists       grant.Lists
	// Verifier accepts access tokens for the default API, as /userinfo does.
	Verifier *token.Verifier
	// Proofs verifies DPoP proofs, at the URL of the issuer.
	Proofs *dpop.Verifier
	// Keys has the public keys.
	Keys keyring.Source
	// Failures, unless nil, records failed logins in the audit log.
	Failures account.FailureRecorder
	// Now is the clock.
	Now func() time.Time
	// Log gets unexpected errors and security events.
	Log *slog.Logger
	// Registry gets the counters of the endpoints.
	Registry prometheus.Registerer
}

// methods are the handlers of one path by method.
type methods map[string]http.Handler

// route is a path with its methods.
type route struct {
	path    string
	page    bool     // a page for people: forms are accepted from our own pages only
	origins []string // of other pages whose scripts may call it
	methods methods
}

// everybody lets scripts of every origin call a route.
var everybody = []string{"*"}

// New returns the handler of the public listener. Use each registry for one handler only.
func New(cfg Config) http.Handler {
	e := newEndpoints(cfg)
	routes := slices.Concat(e.apiRoutes(), e.pageRoutes(), e.secondStepRoutes(), e.accountRoutes(),
		e.accountFactorRoutes())
	if cfg.AdminAPI != nil {
		routes = append(routes, e.enrolRoutes()...)
	}
	if cfg.Registration.On() {
		routes = append(routes, e.registrationRoutes()...)
	}
	if cfg.Recovery != nil {
		routes = append(routes, e.recoveryRoutes()...)
	}
	if cfg.Emails != nil {
		routes = slices.Concat(routes, e.emailRoutes(), e.accountEmailRoutes())
	}
	if cfg.SignUp != nil {
		routes = append(routes, e.signUpRoutes()...)
	}
	if len(e.theme.Logo.Content) > 0 {
		routes = append(routes, route{logoPath, true, nil, methods{"GET": http.HandlerFunc(e.logo)}})
	}

	router := mux.NewRouter().SkipClean(true) // mux would redirect POST //token with 301
	for _, route := range routes {
		handler := route.methods.handler(http.HandlerFunc(notAllowed))
		if route.page {
			handler = e.negotiate(e.sameOrigin(route.methods.handler(http.HandlerFunc(e.notAllowedPage))))
		}
		router.Path(route.path).Handler(httpserver.CORS(route.origins, route.methods.names()...)(handler))
	}
	if cfg.AdminAPI != nil {
		router.PathPrefix(issuing.AdminPath).Handler(cfg.AdminAPI)
		router.Path(adminMetadataPath).Handler(cfg.AdminAPI)
	}
	if cfg.Console != nil {
		console := e.negotiate(e.sameOrigin(cfg.Console(Site{e})))
		router.Path(consolePath).Handler(console)
		router.PathPrefix(consolePath + "/").Handler(console)
	}
	router.Use(nameRoute, nameActor)
	// Every origin may read that there is nothing: a script that asks is told so, not of CORS.
	router.NotFoundHandler = httpserver.CORS(everybody, http.MethodGet, http.MethodHead, http.MethodPost)(
		http.HandlerFunc(e.notFound))
	return router
}

// apiRoutes returns the routes of programs. Scripts of the allowed origins may call most of them.
func (e *endpoints) apiRoutes() []route {
	apps := e.cfg.AllowedOrigins
	var nobody []string
	const api = false
	metadata := methods{"GET": e.endpoint("metadata", e.metadata)}
	return []route{
		{"/token", api, apps, methods{"POST": e.endpoint("token", e.token)}},
		{"/device_authorization", api, apps, methods{"POST": e.endpoint("device_authorization", e.authorizeDevice)}},
		{"/par", api, apps, methods{"POST": e.endpointWithStatus("par", http.StatusCreated, e.push)}},
		{"/revoke", api, apps, methods{"POST": e.endpoint("revoke", e.revoke)}},
		{"/introspect", api, nobody, methods{"POST": e.endpoint("introspect", e.introspect)}},
		{"/userinfo", api, apps, methods{
			"GET":  http.HandlerFunc(e.userinfo),
			"POST": http.HandlerFunc(e.userinfo),
		}},
		{"/.well-known/oauth-authorization-server", api, everybody, metadata},
		// The same document for the many clients that look nowhere else (RFC 8414 section 5).
		{"/.well-known/openid-configuration", api, everybody, metadata},
		{"/jwks.json", api, everybody, methods{"GET": e.endpoint("jwks", e.jwks)}},
		{statuslist.Path, api, everybody, methods{"GET": e.endpoint("status_lists", e.statusLists)}},
		{statuslist.Path + "/{list}", api, everybody, methods{"GET": http.HandlerFunc(e.statusList)}},
		{statuslist.Path + "/{list}/{api}", api, everybody, methods{"GET": http.HandlerFunc(e.statusList)}},
		{statuslist.Path + "/{epoch}/{list}/{api}", api, everybody, methods{"GET": http.HandlerFunc(e.statusList)}},
	}
}

// pageRoutes returns the routes of pages.
func (e *endpoints) pageRoutes() []route {
	var nobody []string
	const page = true
	return []route{
		{"/", page, nobody, methods{"GET": e.pageHandler("home", e.home)}},
		{authorizePath, page, nobody, methods{
			"GET":  e.pageHandler("authorize", e.authorize),
			"POST": e.pageHandler("authorize", e.authorizeByPost),
		}},
		{"/login", page, nobody, methods{"POST": e.pageHandler("login", e.login)}},
		{"/consent", page, nobody, methods{"POST": e.pageHandler("consent", e.consent)}},
		{issuing.DevicePath, page, nobody, methods{
			"GET":  e.pageHandler("device", e.device),
			"POST": e.pageHandler("device", e.decideDevice),
		}},
		{deviceLoginPath, page, nobody, methods{"POST": e.pageHandler("device_login", e.deviceLogin)}},
		{"/logout", page, nobody, methods{
			"GET":  e.pageHandler("logout", e.showLogout),
			"POST": e.pageHandler("logout", e.logout),
		}},
		{endSessionPath, page, nobody, methods{
			"GET":  e.pageHandler("end_session", e.endSession),
			"POST": e.pageHandler("end_session", e.endSessionByPost),
		}},
		{confirmEndSessionPath, page, nobody, methods{
			"POST": e.pageHandler("end_session", e.confirmEndSession),
		}},
		{"/style.css", page, nobody, methods{"GET": http.HandlerFunc(e.style)}},
		{"/passkey.js", page, nobody, methods{"GET": http.HandlerFunc(e.passkeyScript)}},
	}
}

// nameRoute sets the route under which metrics count a request.
func nameRoute(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if template, err := mux.CurrentRoute(r).GetPathTemplate(); err == nil {
			httpserver.SetRoute(w, template)
		}
		next.ServeHTTP(w, r)
	})
}

// nameActor puts the actor into the context for the audit log: a person at an address. The change itself knows which
// user it is.
func nameActor(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(w, r.WithContext(audit.WithActor(r.Context(), audit.Actor{
			Kind: audit.User, Address: httpserver.Host(r.RemoteAddr), RequestID: httpserver.RequestID(r.Context()),
		})))
	})
}

// withUser returns the context with the user who is logged in.
func withUser(ctx context.Context, userID string) context.Context {
	a := audit.ActorFrom(ctx)
	a.ID = userID
	return audit.WithActor(ctx, a)
}

// asClient returns the context with a client that acts by itself, in place of a person.
func asClient(ctx context.Context, id string) context.Context {
	a := audit.ActorFrom(ctx)
	a.Kind, a.ID, a.ClientID = audit.Client, id, id
	return audit.WithActor(ctx, a)
}

// withClient returns the request with the client that the actor uses.
func withClient(r *http.Request, clientID string) *http.Request {
	return r.WithContext(audit.WithClientID(r.Context(), clientID))
}

// names returns the methods in order. HEAD comes with GET (RFC 9110 section 9.1).
func (m methods) names() []string {
	names := slices.Collect(maps.Keys(m))
	if _, ok := m[http.MethodGet]; ok {
		names = append(names, http.MethodHead)
	}
	slices.Sort(names)
	return names
}

// handler serves the methods. For all others it calls other with the Allow header of RFC 9110
// section 15.5.6, which mux leaves out.
func (m methods) handler(other http.Handler) http.Handler {
	allow := strings.Join(m.names(), ", ")
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		method := r.Method
		if method == http.MethodHead {
			method = http.MethodGet // net/http omits the body
		}
		if h, ok := m[method]; ok {
			h.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Allow", allow)
		other.ServeHTTP(w, r)
	})
}

// notAllowed serves requests with a method that an endpoint does not have.
func notAllowed(w http.ResponseWriter, _ *http.Request) {
	problem.Write(w, http.StatusMethodNotAllowed, "Method Not Allowed")
}

// originOf returns the origin of a URL as browsers send it (RFC 6454 section 6.1).
func originOf(issuer string) string {
	u, err := url.Parse(issuer)
	if err != nil {
		return issuer
	}
	host := strings.ToLower(u.Host)
	if port := u.Port(); port == map[string]string{"http": "80", "https": "443"}[u.Scheme] {
		host = strings.TrimSuffix(host, ":"+port)
	}
	return u.Scheme + "://" + host
}

// sameOrigin refuses forms that another site has made the browser send. The issuer's origin is
// our own even if a proxy has rewritten Host.
func (e *endpoints) sameOrigin(next http.Handler) http.Handler {
	protection := http.NewCrossOriginProtection()
	if err := protection.AddTrustedOrigin(originOf(e.cfg.IssuerURL)); err != nil {
		e.cfg.Log.Warn("forms are accepted by their Host only", "issuer", e.cfg.IssuerURL, "reason", err)
	}
	for _, path := range []string{authorizePath, endSessionPath} { // they change nothing, see continueByGet
		protection.AddInsecureBypassPattern("POST " + path)
	}
	protection.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		e.message(w, r, http.StatusForbidden, say("This form came from another site"),
			say("It was not accepted."), say("To log in, go back to the app and start again."))
	}))
	return protection.Handler(next)
}
