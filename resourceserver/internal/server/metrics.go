package server

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/hallpass-auth/hallpass/shared/bearer"
)

// listMetrics returns metrics that show how current the API's status lists are, and which revocations they have
// brought.
func listMetrics(guard *bearer.Guard) []prometheus.Collector {
	return []prometheus.Collector{
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "hallpass_status_lists",
			Help: "Status lists that are kept up to date.",
		}, func() float64 { return float64(guard.Stats().Lists) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "hallpass_status_list_age_seconds",
			Help: "Age of the stalest status list: seconds since it was last fetched or found unchanged; " +
				"later revocations may be unknown.",
		}, func() float64 { return guard.Stats().Oldest.Seconds() }),
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "hallpass_status_list_failures_total",
			Help: "Failed fetches of status lists.",
		}, func() float64 { return float64(guard.Stats().Failures) }),
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "hallpass_revocations_seen_total",
			Help: "Revocations that status lists have brought since their first fetch.",
		}, func() float64 { return float64(guard.Delays().Count) }),
		delays{guard},
	}
}

// delays is a histogram of how long revocations took from the authorization server to this API.
type delays struct{ guard *bearer.Guard }

var delayDescription = prometheus.NewDesc("hallpass_revocation_delivery_delay_seconds",
	"Time from the second in which a status list with a revocation was issued until this API had it.", nil, nil)

// Describe implements prometheus.Collector.
func (d delays) Describe(descriptions chan<- *prometheus.Desc) { descriptions <- delayDescription }

// Collect implements prometheus.Collector.
func (d delays) Collect(metrics chan<- prometheus.Metric) {
	now := d.guard.Delays()
	within := map[float64]uint64{}
	for bound, n := range now.Within {
		within[bound.Seconds()] = n
	}
	metrics <- prometheus.MustNewConstHistogram(delayDescription, now.Count, now.Sum.Seconds(), within)
}
