// Package bff is a backend for frontend: an http.Handler between a page in a browser and an API. It keeps OAuth
// 2.0 tokens out of the browser ("OAuth 2.0 for Browser-Based Applications",
// draft-ietf-oauth-browser-based-apps, section 6.1).
//
//	app, err := bff.New(bff.Config{ ... })
//	mux.Handle("/bff/", app)
//	mux.Handle("/api/", app)
//	mux.Handle("/", http.FileServer(http.Dir("static")))
//
// The page calls the API at /api/, on its own origin. The Handler adds the access token and refreshes it when
// needed. The browser only has a cookie, which scripts cannot read and only the Handler can decrypt. The
// endpoints are
//
//	GET  /bff/login               log in, then go to ?return_to=/path
//	GET  /bff/callback            the redirect URI of the client
//	GET  /bff/session             who is logged in
//	POST /bff/logout              end the login
//	POST /bff/backchannel-logout  for the authorization server, if there is a Store
//	     /api/...                 the API
//
// The page sends the header "X-CSRF: 1" with every request to /bff/session, /bff/logout and /api/.
//
// All state is in the cookie, so any replica can serve any request. Replicas share only Config.Secrets.
package bff

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/hallpass-auth/hallpass/shared/bearer"
	"github.com/hallpass-auth/hallpass/shared/internal/sparselog"
	"github.com/hallpass-auth/hallpass/shared/oauth"
	"github.com/hallpass-auth/hallpass/shared/problem"
)

// Defaults of Config.
const (
	DefaultLifetime      = 12 * time.Hour
	DefaultRefreshBefore = 30 * time.Second
	DefaultMaxBody       = 10 << 20
)

// MinSecret is the minimum length of a secret in Config.Secrets, in bytes.
const MinSecret = 32

// Paths that a Handler serves.
const (
	loginPath       = "/bff/login"
	callbackPath    = "/bff/callback"
	sessionPath     = "/bff/session"
	logoutPath      = "/bff/logout"
	backchannelPath = "/bff/backchannel-logout"
	apiPath         = "/api"
)

// Timeouts of requests to the authorization server and to the API.
const (
	authTimeout   = 10 * time.Second
	headerTimeout = 30 * time.Second // until the API sends the header of its response
)

var errPlainHTTP = errors.New("http is only for this machine: use https")

// Config configures a Handler. Issuer, ClientID, URL, API and Secrets are required.
type Config struct {
	// Issuer is the identifier of the authorization server: an https URL, or http on this machine.
	Issuer string
	// ClientID and ClientSecret are those of the client. Its redirect URI is URL + "/bff/callback".
	ClientID, ClientSecret string
	// URL is the origin of the page, such as https://app.example.com. After a logout the browser returns to
	// URL + "/", which must be registered as post_logout_redirect_uri.
	URL string
	// API is the base URL of the API: the page's /api/users/me is API + "/users/me".
	API string

	// Secrets encrypt the cookies. Each is a random string of at least MinSecret bytes. The first one encrypts,
	// and all of them decrypt. To replace a secret without ending sessions, append the new one at all
	// replicas, then move it to the front, and remove the old one after Lifetime.
	Secrets []string

	// Scopes are the scopes that the page needs at the API. openid is always requested too.
	Scopes []string
	// Resource is the API's identifier, if it is not the authorization server's default API (RFC 8707).
	Resource string
	// Guard checks the access token of every request as the API does, and ends the session within a second if
	// the login was ended elsewhere. If nil, the session ends at its next refresh, and until then only the API
	// refuses a revoked token.
	Guard *bearer.Guard
	// Store remembers which sessions of the authorization server have ended. It is asked at each request. Nil
	// disables back-channel logout.
	Store Store

	// Lifetime is how long a session lasts after its login; 0 means DefaultLifetime.
	Lifetime time.Duration
	// RefreshBefore is how long before its expiry an access token is refreshed; 0 means DefaultRefreshBefore.
	RefreshBefore time.Duration
	// MaxBody limits the body of a request to the API, in bytes; 0 means DefaultMaxBody.
	MaxBody int64
	// InsecureCookies omits Secure and the prefix __Host-. It is allowed only with an http URL of this machine,
	// and needed only for browsers that do not trust such URLs, such as Safari.
	InsecureCookies bool

	// Transport sends the requests to the authorization server and to the API; nil means one like
	// http.DefaultTransport that waits at most 30 seconds for the header of a response.
	Transport http.RoundTripper
	// Log receives failed logins and refreshes, without secrets; nil means slog.Default().
	Log *slog.Logger
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// Handler serves the paths of the package comment, and 404 for all others. It is safe for concurrent use.
type Handler struct {
	cfg       Config
	cookies   *cookies
	http      *http.Client // for the authorization server
	server    atomic.Pointer[authServer]
	discovery discovery // of server
	flights   flights
	proxy     *httputil.ReverseProxy
	api       *url.URL
	mux       *http.ServeMux

	// Why logout tokens are not accepted.
	refused, unverified *sparselog.Reasons
}

// New returns a Handler. It makes no request: the metadata of the authorization server is fetched when it is
// first needed. The error names the field of cfg that is wrong.
func New(cfg Config) (*Handler, error) {
	if field, err := cfg.check(); err != nil {
		return nil, fmt.Errorf("bff.Config.%s: %w", field, err)
	}
	cfg.setDefaults()
	api, err := url.Parse(strings.TrimSuffix(cfg.API, "/"))
	if err != nil {
		return nil, err // cannot happen: check has parsed it
	}
	h := &Handler{
		cfg:     cfg,
		cookies: newCookies(cfg),
		api:     api,
		http: &http.Client{
			Transport:     cfg.Transport,
			Timeout:       authTimeout,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		refused:    sparselog.New(slog.LevelWarn, "more_before"),
		unverified: sparselog.New(slog.LevelWarn, "more_before"),
	}
	h.flights.byToken = map[tokenKey]*flight{}
	h.proxy = h.newProxy()
	h.mux = http.NewServeMux()
	h.mux.HandleFunc("GET "+loginPath, h.login)
	h.mux.HandleFunc("GET "+callbackPath, h.callback)
	h.mux.Handle("GET "+sessionPath, h.fromPage(h.showSession))
	h.mux.Handle("POST "+logoutPath, h.fromPage(h.logout))
	h.mux.Handle(apiPath+"/", h.fromPage(h.callAPI))
	if cfg.Store != nil {
		h.mux.HandleFunc("POST "+backchannelPath, h.backchannelLogout)
	}
	return h, nil
}

// check returns the name of a wrong field and what is wrong with it.
func (c *Config) check() (field string, err error) {
	if err := oauth.ValidateIssuer(c.Issuer); err != nil {
		return "Issuer", err
	}
	if !secureURL(c.Issuer) {
		return "Issuer", errPlainHTTP
	}
	if c.ClientID == "" {
		return "ClientID", errors.New("it is not set")
	}
	u, err := url.Parse(c.URL)
	if err != nil || u.Host == "" || u.Scheme+"://"+u.Host != c.URL || c.URL != strings.ToLower(c.URL) {
		return "URL", fmt.Errorf("%q is not an origin like https://app.example.com", c.URL)
	}
	if port := u.Port(); u.Scheme == "https" && port == "443" || u.Scheme == "http" && port == "80" {
		return "URL", errors.New("browsers leave out the default port: do so too")
	}
	if !secureURL(c.URL) {
		return "URL", errPlainHTTP
	}
	if c.InsecureCookies && u.Scheme == "https" {
		return "InsecureCookies", errors.New("it is only for http on this machine")
	}
	api, err := url.Parse(c.API)
	if err != nil || api.Host == "" || api.Scheme != "https" && api.Scheme != "http" || api.User != nil ||
		api.RawQuery != "" || api.Fragment != "" {
		return "API", fmt.Errorf("%q is not a URL like https://api.example.com", c.API)
	}
	if len(c.Secrets) == 0 || slices.ContainsFunc(c.Secrets, func(s string) bool { return len(s) < MinSecret }) {
		return "Secrets", fmt.Errorf("at least one is needed, and each must have %d bytes or more", MinSecret)
	}
	return "", nil
}

// setDefaults replaces zero values by the defaults.
func (c *Config) setDefaults() {
	if c.Lifetime == 0 {
		c.Lifetime = DefaultLifetime
	}
	if c.RefreshBefore == 0 {
		c.RefreshBefore = DefaultRefreshBefore
	}
	if c.MaxBody == 0 {
		c.MaxBody = DefaultMaxBody
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Transport == nil {
		t := http.DefaultTransport.(*http.Transport).Clone()
		t.ResponseHeaderTimeout = headerTimeout
		t.MaxIdleConnsPerHost = 64
		t.DisableCompression = true // a compressed response is passed on as it is
		c.Transport = t
	}
}

// secureURL reports whether a URL is https or points to this machine.
func secureURL(text string) bool {
	u, err := url.Parse(text)
	if err != nil {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Scheme == "https" || u.Scheme == "http" && (u.Hostname() == "localhost" || ip.IsLoopback())
}

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("Cache-Control", "no-store")
	header.Set("Referrer-Policy", "no-referrer") // the URL of the callback has a code
	header.Set("X-Content-Type-Options", "nosniff")
	if !plainPath(r.URL.Path) {
		problem.Write(w, http.StatusBadRequest, "The path has a . or .. segment, a backslash or a control character")
		return
	}
	h.mux.ServeHTTP(w, r)
}

// plainPath reports whether every proxy and server reads the decoded path in the same way.
func plainPath(path string) bool {
	for segment := range strings.SplitSeq(path, "/") {
		if segment == "." || segment == ".." || strings.ContainsFunc(segment, func(r rune) bool {
			return r == '\\' || r < ' ' || r == 0x7f
		}) {
			return false
		}
	}
	return true
}
