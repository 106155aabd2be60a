package httpserver

import (
	"net/http"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// Every request is counted in the series of its method, route and status, however
// many come at once.
func TestSeries(t *testing.T) {
	vec := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "test"}, []string{"method", "route", "status"})
	registry := prometheus.NewRegistry()
	registry.MustRegister(vec)
	s := series{of: vec}
	keys := []seriesKey{
		{http.MethodGet, "/a", http.StatusOK},
		{http.MethodGet, "/a", http.StatusNotFound},
		{http.MethodPost, "/a", http.StatusOK},
		{http.MethodGet, "/b", http.StatusOK},
	}
	var requests sync.WaitGroup
	for range 50 {
		requests.Go(func() {
			for _, key := range keys {
				s.observer(key).Observe(1)
			}
		})
	}
	requests.Wait()
	families, err := registry.Gather()
	if err != nil || len(families) != 1 {
		t.Fatalf("%d families of metrics (%v), not one", len(families), err)
	}
	if got := len(families[0].GetMetric()); got != len(keys) {
		t.Errorf("%d series, not %d", got, len(keys))
	}
	for _, m := range families[0].GetMetric() {
		if got := m.GetHistogram().GetSampleCount(); got != 50 {
			t.Errorf("%v: %d samples, not 50", m.GetLabel(), got)
		}
	}
}
