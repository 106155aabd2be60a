package web

import (
	"cmp"
	"net/http"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/hallpass-auth/hallpass/shared/bearer"

	"github.com/hallpass-auth/hallpass/authserver/internal/catalog"
	"github.com/hallpass-auth/hallpass/authserver/internal/ratelimit"
	"github.com/hallpass-auth/hallpass/authserver/internal/theme"
)

// endpoints is what the endpoints share.
type endpoints struct {
	cfg  Config
	auth *clientAuth
	// registrations counts registrations and their changes by network.
	registrations *ratelimit.Limiter
	// documents counts fetched client metadata documents by the network of the browser.
	documents *ratelimit.Limiter
	// forms counts the forms of users by login.
	forms *ratelimit.Limiter
	// registrationsFull is until when no client is registered, because there are too many; Unix nanoseconds.
	registrationsFull atomic.Int64
	// userinfoGuard checks the tokens of /userinfo.
	userinfoGuard *bearer.Guard
	answers       *prometheus.CounterVec
	secondSteps   *prometheus.CounterVec

	languages  *catalog.Matcher
	theme      *theme.Theme
	pages      map[string]func() templates // by language
	styleSheet []byte
}

func newEndpoints(cfg Config) *endpoints {
	look := cmp.Or(cfg.Theme, theme.BuiltIn())
	e := &endpoints{
		cfg:           cfg,
		auth:          newClientAuth(cfg),
		registrations: ratelimit.New(cfg.Now, registrationBurst, registrationInterval),
		documents:     ratelimit.New(cfg.Now, documentBurst, documentInterval),
		forms:         ratelimit.New(cfg.Now, formBurst, formInterval),
		userinfoGuard: bearer.New(cfg.Verifier, cfg.Log),
		answers: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "hallpass_oauth_requests_total",
			Help: "Requests to the OAuth endpoints by endpoint and result: ok, the error code that the client is told, " +
				"no_token, not_found, or refused for a page that only the user is told of.",
		}, []string{"endpoint", "result"}),
		secondSteps: newSecondSteps(),
	}
	e.userinfoGuard.AcceptDPoP(cfg.Proofs)
	e.languages = mustMatcher(cmp.Or(cfg.Language, catalog.English))
	e.theme, e.pages, e.styleSheet = look, translate(look.Texts), mustStyleSheet(look.StyleSheet())
	cfg.Registry.MustRegister(e.answers, e.secondSteps)
	return e
}

// endpoint returns a handler for a function that returns a JSON response or an error. It
// counts the request, logs an unexpected error, and writes the response.
func (e *endpoints) endpoint(name string, serve func(http.ResponseWriter, *http.Request) (any, error)) http.Handler {
	return e.endpointWithStatus(name, http.StatusOK, serve)
}

// endpointWithStatus is endpoint with another status of a success.
func (e *endpoints) endpointWithStatus(
	name string,
	status int,
	serve func(http.ResponseWriter, *http.Request) (any, error),
) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		response, err := serve(w, r)
		if err != nil {
			e.fail(w, r, name, err)
			return
		}
		e.answers.WithLabelValues(name, "ok").Inc()
		writeJSON(w, status, response)
	})
}

// fail writes an error response by RFC 6749 section 5.2.
func (e *endpoints) fail(w http.ResponseWriter, r *http.Request, endpoint string, err error) {
	e.failed(r, endpoint, err).write(w, e.cfg.IssuerURL)
}

// failed counts an error, logs it if it is unexpected, and returns its response.
func (e *endpoints) failed(r *http.Request, endpoint string, err error) failure {
	f := failureOf(err)
	e.answers.WithLabelValues(endpoint, string(f.code)).Inc()
	if f.unexpected {
		e.cfg.Log.ErrorContext(r.Context(), "request failed", "endpoint", endpoint, "error", err)
	}
	return f
}
