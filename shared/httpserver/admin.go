package httpserver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/pprof"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// readyTimeout bounds a readiness check, in the server and in CheckReady.
const readyTimeout = 3 * time.Second

// NewRegistry returns a registry with the metrics of the Go runtime, of the process, and of
// the build: hallpass_build_info has version as a label.
func NewRegistry(version string) *prometheus.Registry {
	reg := prometheus.NewRegistry()
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name:        "hallpass_build_info",
		Help:        "Always 1; the label is the version.",
		ConstLabels: prometheus.Labels{"version": version},
	})
	build.Set(1)
	reg.MustRegister(
		collectors.NewGoCollector(collectors.WithGoCollectorRuntimeMetrics(collectors.MetricsScheduler)),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		build)
	return reg
}

// health is what /healthz and /readyz report.
type health struct {
	prepared atomic.Bool
	stopping atomic.Bool
	ready    func(context.Context) error
}

// check returns nil if the server is ready, else the reason.
func (h *health) check(ctx context.Context) error {
	if h.stopping.Load() {
		return errors.New("stopping")
	}
	if !h.prepared.Load() {
		return errors.New("starting")
	}
	if h.ready == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	return h.ready(ctx)
}

// readyMetric returns a metric that says what /readyz says.
func (h *health) readyMetric() prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "hallpass_ready",
		Help: "Whether /readyz succeeds: 1 or 0.",
	}, func() float64 {
		if h.check(context.Background()) != nil {
			return 0
		}
		return 1
	})
}

// adminHandler returns the handler of the admin listener.
func adminHandler(
	health *health,
	reg *prometheus.Registry,
	s Settings,
	pages map[string]http.Handler,
) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		writeText(w, http.StatusOK, "alive\n")
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		if err := health.check(r.Context()); err != nil {
			writeText(w, http.StatusServiceUnavailable, "not ready: "+err.Error()+"\n")
			return
		}
		writeText(w, http.StatusOK, "ready\n")
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(reg, promhttp.HandlerOpts{EnableOpenMetrics: true}))
	for path, page := range pages {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, r *http.Request) {
			if !health.prepared.Load() {
				writeText(w, http.StatusServiceUnavailable, "not ready: starting\n")
				return
			}
			page.ServeHTTP(w, r)
		})
	}
	if s.Pprof {
		addProfiles(mux)
	}
	return checkHost(s.adminHosts(), mux)
}

// addProfiles adds the endpoints of net/http/pprof. It leaves out /debug/pprof/cmdline: the
// command line may hold a secret.
func addProfiles(mux *http.ServeMux) {
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
}

func writeText(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text)
}

// CheckReady requests /readyz from the admin listener at adminAddress, HOST:PORT, and
// returns nil if the server is ready. The error is the server's reason, or says why there
// was no response within 3 seconds.
func CheckReady(ctx context.Context, adminAddress string) error {
	const setting = "--admin-listen (HALLPASS_ADMIN_LISTEN)"
	if _, _, err := net.SplitHostPort(adminAddress); err != nil {
		return fmt.Errorf("%s must be HOST:PORT, not %q", setting, adminAddress)
	}
	adminAddress, err := ownAddress(setting, adminAddress)
	if err != nil {
		return err
	}
	host, port, err := net.SplitHostPort(adminAddress)
	if err != nil {
		return err
	}
	if ip := net.ParseIP(host); host == "" || (ip != nil && ip.IsUnspecified()) {
		host = "localhost" // it listens on all interfaces
	}
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+net.JoinHostPort(host, port)+"/readyz", nil)
	if err != nil {
		return err
	}
	direct := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}} // ignores HTTP_PROXY
	resp, err := direct.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 4<<10))
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s", bytes.TrimSpace(text))
	}
	return nil
}
