package httpserver

import (
	"maps"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// seriesKey is what the requests that are counted together have in common.
type seriesKey struct {
	method, route string
	status        int
}

// knownMethod keeps the number of series bounded: anybody can make a method up.
func knownMethod(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return method
	}
	return "other"
}

// series finds the histogram of a request. Its look-up takes no lock and allocates
// nothing, where the vector hashes label names and values on each.
type series struct {
	of    *prometheus.HistogramVec
	known atomic.Pointer[map[seriesKey]prometheus.Observer] // never changed, only replaced

	mu sync.Mutex // is held while known is replaced
}

func (s *series) observer(key seriesKey) prometheus.Observer {
	if known := s.known.Load(); known != nil {
		if o, ok := (*known)[key]; ok {
			return o
		}
	}
	return s.add(key)
}

func (s *series) add(key seriesKey) prometheus.Observer {
	s.mu.Lock()
	defer s.mu.Unlock()
	known := map[seriesKey]prometheus.Observer{}
	if before := s.known.Load(); before != nil {
		known = maps.Clone(*before)
	}
	o := s.of.WithLabelValues(key.method, key.route, strconv.Itoa(key.status))
	known[key] = o
	s.known.Store(&known)
	return o
}
