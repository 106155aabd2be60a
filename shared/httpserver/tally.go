package httpserver

import (
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// maxUncounted is how many requests wait to be counted, at the most.
const maxUncounted = 64

// tally counts the requests that handlers are done with and the time that they took, many of
// them at a time. To count one takes a fraction of a microsecond if the code and the tables
// for it are in the processor's caches. After the system calls of a request they are not,
// and it takes several times as long.
//
// Whoever asks for the metrics finds all requests counted that came to this before.
type tally struct {
	duration *prometheus.HistogramVec

	mu      sync.Mutex
	waiting []finished
	series  map[seriesKey]prometheus.Observer // of duration, which would hash names and values for each request
}

// finished is what is counted of a request.
type finished struct {
	seriesKey
	took time.Duration
}

// seriesKey is what the requests that are counted together have in common.
type seriesKey struct {
	method, route string
	status        int
}

func newTally() *tally {
	return &tally{
		waiting: make([]finished, 0, maxUncounted),
		series:  map[seriesKey]prometheus.Observer{},
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "http_request_duration_seconds",
			Help:    "Time to answer a request, by route and status; its count is the number of requests.",
			Buckets: []float64{.0001, .0005, .001, .005, .01, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}, []string{"method", "route", "status"}),
	}
}

// add takes a request that a handler is done with.
func (t *tally) add(method, route string, status int, took time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.waiting = append(t.waiting, finished{seriesKey{knownMethod(method), route, status}, took})
	if len(t.waiting) == maxUncounted {
		t.count()
	}
}

// count counts what waits; t.mu is held.
func (t *tally) count() {
	for i := range t.waiting {
		f := &t.waiting[i]
		of, ok := t.series[f.seriesKey]
		if !ok {
			of = t.duration.WithLabelValues(f.method, f.route, strconv.Itoa(f.status))
			t.series[f.seriesKey] = of
		}
		of.Observe(f.took.Seconds())
	}
	t.waiting = t.waiting[:0]
}

// Describe is for prometheus, as is Collect.
func (t *tally) Describe(to chan<- *prometheus.Desc) { t.duration.Describe(to) }

// Collect gives the metrics of all requests that were added before.
func (t *tally) Collect(to chan<- prometheus.Metric) {
	t.mu.Lock()
	t.count()
	t.mu.Unlock()
	t.duration.Collect(to)
}

// knownMethod keeps the number of series bounded: anybody can make a method up. What it
// returns is not a part of the request, whose memory it would keep.
func knownMethod(method string) string {
	for _, known := range [...]string{
		http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions,
	} {
		if method == known {
			return known
		}
	}
	return "other"
}
