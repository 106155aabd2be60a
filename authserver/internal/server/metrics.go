package server

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
	"github.com/hallpass-auth/hallpass/authserver/internal/issuing"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
)

// tokenMetrics counts token requests; it is an issuing.Observer.
type tokenMetrics struct {
	requests  *prometheus.CounterVec
	refreshes *prometheus.CounterVec
}

// newTokenMetrics registers the metrics of token requests.
func newTokenMetrics(reg prometheus.Registerer) *tokenMetrics {
	m := &tokenMetrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "hallpass_grants_total",
			Help: "Token requests of authenticated clients by grant type and result: ok, the error code that the client " +
				"is told, throttled, overloaded or error.",
		}, []string{"type", "result"}),
		refreshes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "hallpass_refreshes_total",
			Help: "Requests with a refresh token by result: ok, repeated within the grace period, reused, unknown, " +
				"malformed, other_client, revoked, expired, refused for another reason, or error.",
		}, []string{"result"}),
	}
	for _, t := range grant.Types {
		m.requests.WithLabelValues(t.String(), "ok")
	}
	for _, result := range issuing.RefreshResults {
		m.refreshes.WithLabelValues(result)
	}
	reg.MustRegister(m.requests, m.refreshes)
	return m
}

// Token implements issuing.Observer.
func (m *tokenMetrics) Token(grantType, result string) {
	m.requests.WithLabelValues(grantType, result).Inc()
}

// Refresh implements issuing.Observer.
func (m *tokenMetrics) Refresh(result string) { m.refreshes.WithLabelValues(result).Inc() }

// observeLogins registers the metrics of logins and of the gate where they wait. It sets the observers of both.
func observeLogins(reg prometheus.Registerer, login *account.Login) {
	logins := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "hallpass_logins_total",
		Help: "Logins with a password, or a passkey instead, by result: ok, wrong_password, wrong_passkey, " +
			"unknown_passkey, second_factor_needed, unknown_user, disabled_user, demo_off, throttled, overloaded, or error.",
	}, []string{"result"})
	for _, result := range account.LoginResults() {
		logins.WithLabelValues(result)
	}
	login.Observe = func(result string) { logins.WithLabelValues(result).Inc() }

	refused := prometheus.NewCounter(prometheus.CounterOpts{
		Name: "hallpass_password_checks_refused_total",
		Help: "Logins refused because too many wait for their password to be checked.",
	})
	wait := prometheus.NewHistogram(prometheus.HistogramOpts{
		Name:    "hallpass_password_check_wait_seconds",
		Help:    "How long logins waited for their password to be checked.",
		Buckets: []float64{.001, .005, .01, .05, .1, .25, .5, 1, 2.5, 5, 10},
	})
	gate := login.Gate
	gate.Observe = func(waited time.Duration, err error) {
		var overloaded *account.OverloadedError
		switch {
		case err == nil:
			wait.Observe(waited.Seconds())
		case errors.As(err, &overloaded):
			refused.Inc()
		}
	}
	reg.MustRegister(logins, refused, wait,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "hallpass_password_checks_running",
			Help: "Passwords being checked right now.",
		}, func() float64 { return float64(gate.Running()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "hallpass_password_checks_waiting",
			Help: "Logins waiting for their password to be checked.",
		}, func() float64 { return float64(gate.Waiting()) }),
	)
}

// observeRevocations registers the metrics of published revocations, and returns what counts them.
func observeRevocations(reg prometheus.Registerer) func(grants int, delay time.Duration) {
	published := prometheus.NewCounter(prometheus.CounterOpts{
		Name: "hallpass_revocations_published_total",
		Help: "Grants that this server's status lists call revoked since they were read first.",
	})
	delay := prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "hallpass_revocation_publish_delay_seconds",
		Help: "Time from the second in which a grant was revoked until this server's status list had it, " +
			"for the newest grant of each update.",
		Buckets: []float64{1, 2, 3, 5, 10, 30, 60, 300},
	})
	reg.MustRegister(published, delay)
	return func(grants int, took time.Duration) {
		published.Add(float64(grants))
		delay.Observe(took.Seconds())
	}
}

// observeReplica registers the metric of the reads that a replica of the database may answer.
func observeReplica(reg prometheus.Registerer, data *store.Store) {
	for _, by := range []string{"replica", "primary"} {
		reg.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "hallpass_replica_reads_total",
			Help: "Reads that a replica of the database may answer, by the server that has answered them: replica, or " +
				"primary because the replica was down, lagged or did not have the record. 0 without a replica.",
			ConstLabels: prometheus.Labels{"by": by},
		}, func() float64 {
			answered, left := data.ReplicaReads()
			if by == "replica" {
				return float64(answered)
			}
			return float64(left)
		}))
	}
}

// observeStore registers the metrics of the database: its pools of connections, and the expired rows that were
// deleted.
func observeStore(reg prometheus.Registerer, data *store.Store) {
	for name, pool := range data.Pools() {
		reg.MustRegister(collectors.NewDBStatsCollector(pool, name))
	}
	observeReplica(reg, data)
	for table := range data.Swept() {
		reg.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name:        "hallpass_rows_swept_total",
			Help:        "Expired rows that were deleted, by table.",
			ConstLabels: prometheus.Labels{"table": table},
		}, func() float64 { return float64(data.Swept()[table]) }))
	}
}
