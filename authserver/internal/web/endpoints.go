package web

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
)

// endpoints is what the endpoints share.
type endpoints struct {
	cfg     Config
	auth    *clientAuth
	answers *prometheus.CounterVec
}

func newEndpoints(cfg Config) *endpoints {
	e := &endpoints{
		cfg:  cfg,
		auth: newClientAuth(cfg),
		answers: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "hallpass_oauth_requests_total",
			Help: "Requests to the OAuth endpoints by endpoint and result: ok, the error code that the client is told, no_token, not_found, or refused for a page that only the user is told of.",
		}, []string{"endpoint", "result"}),
	}
	cfg.Registry.MustRegister(e.answers)
	return e
}

// endpoint makes a handler of a function that returns the members of a JSON answer or
// an error: it counts, logs what is unexpected, and writes.
func (e *endpoints) endpoint(name string, answer func(http.ResponseWriter, *http.Request) (map[string]any, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		members, err := answer(w, r)
		if err == nil {
			e.answers.WithLabelValues(name, "ok").Inc()
			writeJSON(w, http.StatusOK, members)
			return
		}
		e.fail(w, r, name, err)
	})
}

// fail answers with an error of the protocol.
func (e *endpoints) fail(w http.ResponseWriter, r *http.Request, endpoint string, err error) {
	e.failed(r, endpoint, err).write(w, e.cfg.IssuerURL)
}

// failed counts an error, logs it if it is unexpected, and returns what to answer.
func (e *endpoints) failed(r *http.Request, endpoint string, err error) failure {
	f := failureOf(err)
	e.answers.WithLabelValues(endpoint, string(f.code)).Inc()
	if f.unexpected {
		e.cfg.Log.ErrorContext(r.Context(), "request failed", "endpoint", endpoint, "error", err)
	}
	return f
}
