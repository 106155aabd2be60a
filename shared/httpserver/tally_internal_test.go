package httpserver

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// counted returns how many requests the metrics that c collects say there were: by method,
// route and status.
func counted(t *testing.T, c prometheus.Collector) map[string]uint64 {
	t.Helper()
	counts := map[string]uint64{}
	for series, h := range histograms(t, c) {
		counts[series] = h.GetSampleCount()
	}
	return counts
}

// histograms returns the series of the metrics that c collects.
func histograms(t *testing.T, c prometheus.Collector) map[string]*dto.Histogram {
	t.Helper()
	registry := prometheus.NewRegistry()
	registry.MustRegister(c)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	series := map[string]*dto.Histogram{}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, l.GetValue())
			}
			series[strings.Join(labels, " ")] = m.GetHistogram()
		}
	}
	return series
}

// Every request is counted once, in the series of its method, route and status, however
// many come at once and whoever looks meanwhile.
func TestTally(t *testing.T) {
	tally := newTally()
	const each = 50 // times one request of a kind, and once more for a name that anybody makes up
	var all sync.WaitGroup
	for range each {
		all.Go(func() {
			tally.add(http.MethodGet, "/a", http.StatusOK, time.Second)
			tally.add(http.MethodGet, "/a", http.StatusNotFound, time.Second)
			tally.add(http.MethodPost, "/a", http.StatusOK, time.Second)
			_ = counted(t, tally)
			tally.add(http.MethodGet, "/b", http.StatusOK, time.Second)
			tally.add("BREW", "/b", http.StatusOK, time.Second)
			tally.add("MILK", "/b", http.StatusOK, time.Second)
		})
	}
	all.Wait()
	got := counted(t, tally)
	for series, want := range map[string]uint64{
		"GET /a 200": each, "GET /a 404": each, "POST /a 200": each, "GET /b 200": each, "other /b 200": 2 * each,
	} {
		if got[series] != want {
			t.Errorf("%s: %d, not %d", series, got[series], want)
		}
	}
	if len(got) != 5 {
		t.Errorf("%d series, not 5: %v", len(got), got)
	}
}

// The time of a request is counted in seconds, from its arrival to the end of its handler.
func TestTallyOfTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out shared
		log := NewLogger(&out, Settings{LogFormat: "json"})
		o := newObserver(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
			time.Sleep(1500 * time.Millisecond)
		}), log.Logger, prometheus.NewRegistry(), new(atomic.Bool))
		for range 2 {
			o.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", http.NoBody))
		}
		h := histograms(t, o.tally)["GET unmatched 200"]
		if h.GetSampleSum() != 3 || h.GetSampleCount() != 2 {
			t.Errorf("%d requests took %v s, not 2 and 3", h.GetSampleCount(), h.GetSampleSum())
		}
		log.Close()
		now := time.Now().Format(time.RFC3339Nano)
		if text := out.text.String(); strings.Count(text, `"took":1500000000,`) != 2 || strings.Count(text, `"time":"`+now) != 1 {
			t.Errorf("at %s the log says %s", now, text)
		}
	})
}

// What is counted keeps no memory of the request, and to count one more needs none.
func TestTallyNeedsNoMemory(t *testing.T) {
	tally := newTally()
	method := strings.Clone(http.MethodGet)
	if n := testing.AllocsPerRun(10*maxUncounted, func() { tally.add(method, "/", http.StatusOK, time.Second) }); n != 0 {
		t.Errorf("counting takes %v allocations", n)
	}
	for key := range tally.series {
		if unsafe.StringData(key.method) == unsafe.StringData(method) {
			t.Error("the request's own method is kept")
		}
	}
}

// A server that nobody asks for its metrics does not gather requests for ever.
func TestTallyIsBounded(t *testing.T) {
	tally := newTally()
	for i := range 3 * maxUncounted {
		if want := i % maxUncounted; len(tally.waiting) != want {
			t.Fatalf("after %d requests %d wait, not %d", i, len(tally.waiting), want)
		}
		tally.add(http.MethodGet, "/", http.StatusOK, time.Second)
	}
}

// stuck is an output that takes nothing until it is let go.
type stuck chan struct{}

func (s stuck) Write(p []byte) (int, error) {
	<-s
	return len(p), nil
}

// Metrics are shown even while the log cannot be written: that is when they are needed.
func TestMetricsWhileTheLogIsStuck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := make(stuck)
		log := NewLogger(out, Settings{})
		o := newObserver(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusInternalServerError) // the line of an error does not wait
		}), log.Logger, prometheus.NewRegistry(), new(atomic.Bool))
		go o.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", http.NoBody))
		synctest.Wait()
		if got := counted(t, o.tally)["GET unmatched 500"]; got != 1 {
			t.Errorf("%d requests are counted, not 1", got)
		}
		if got := o.inFlight.Load(); got != 1 {
			t.Errorf("%d requests are said to be in flight, not the one that hangs", got)
		}
		close(out)
		log.Close()
	})
}

// What is not logged is counted all the same.
func TestTallyOfWhatIsNotLogged(t *testing.T) {
	log := NewLogger(io.Discard, Settings{LogLevel: "error"})
	defer log.Close()
	o := newObserver(http.NotFoundHandler(), log.Logger, prometheus.NewRegistry(), new(atomic.Bool))
	o.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", http.NoBody))
	if got := counted(t, o.tally)["GET unmatched 404"]; got != 1 {
		t.Errorf("%d requests are counted, not 1", got)
	}
}
