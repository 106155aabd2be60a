package httpserver

import (
	"log/slog"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

// maxWaiting is how many requests wait to be counted and logged, at the most.
const maxWaiting = 64

// journal counts and logs the requests that have been answered, many of them at a time.
// To count and log one takes half a microsecond, if the code and the tables that it needs
// are in the processor's caches. After the system calls of a request they are not, and it
// takes several times as long.
//
// Nobody can tell: whoever asks for metrics, and any other line of the log, finds that all
// requests before have been counted and logged.
type journal struct {
	log      *slog.Logger
	out      *batchWriter // that log writes to; nil if it is not of NewLogger: then no request waits
	duration *prometheus.HistogramVec
	series   series

	mu      sync.Mutex
	waiting []requestLine

	writing sync.Mutex // is held while lines are written, so that they keep their order
	spare   []requestLine
	line    []byte
}

func newJournal(log *slog.Logger) *journal {
	j := &journal{
		log:   log,
		spare: make([]requestLine, 0, maxWaiting),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "http_request_duration_seconds",
			Help:    "Time to answer a request, by route and status; its count is the number of requests.",
			Buckets: []float64{.0001, .0005, .001, .005, .01, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}, []string{"method", "route", "status"}),
	}
	j.series.of = j.duration
	if h, ok := log.Handler().(*logHandler); ok {
		j.out = h.out
		j.out.precede(j.write)
	}
	return j
}

// add takes a request that has been answered.
func (j *journal) add(l requestLine) {
	j.mu.Lock()
	j.waiting = append(j.waiting, l)
	n := len(j.waiting)
	j.mu.Unlock()
	urgent := l.level >= slog.LevelWarn
	if urgent || n >= maxWaiting || j.out == nil || n == 1 && !j.out.wake() {
		j.write()
	}
	if urgent && j.out != nil {
		j.out.flush()
	}
}

// write counts and logs the requests that wait.
func (j *journal) write() {
	j.writing.Lock()
	defer j.writing.Unlock()
	j.mu.Lock()
	lines := j.waiting
	j.waiting = j.spare
	j.mu.Unlock()
	for i := range lines {
		l := &lines[i]
		j.series.observer(l.series()).Observe(l.took.Seconds())
		j.line = l.log(j.log, j.line[:0])
	}
	clear(lines) // or they would keep the memory of their requests
	j.spare = lines[:0]
}

// Describe is for prometheus, as is Collect.
func (j *journal) Describe(to chan<- *prometheus.Desc) { j.duration.Describe(to) }

// Collect gives the metrics of all requests that have been answered.
func (j *journal) Collect(to chan<- prometheus.Metric) {
	j.write()
	j.duration.Collect(to)
}
