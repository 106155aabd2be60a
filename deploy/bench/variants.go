package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"runtime/debug"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humamux"
	"github.com/gorilla/mux"

	"github.com/hallpass-auth/hallpass/shared/httpserver"
)

// variantMode is the argument that makes this program a variant of the API.
const variantMode = "variant"

// The variants: servers that send a body of the API and check no token. Each adds a layer of
// the API to the one before.
const (
	bare        = "bare"    // net/http
	withMux     = "mux"     // gorilla/mux
	withHuma    = "huma"    // huma, which encodes the body
	withMetrics = "metrics" // shared/httpserver with timeouts, request id and metrics
	withLog     = "log"     // and the log: the API without its token check
)

var variants = []string{bare, withMux, withHuma, withMetrics, withLog}

// gcPercent is the GOGC that package program sets for the servers.
const gcPercent = 400

// serveVariant serves until ctx ends. The arguments are a variant, the addresses of the
// listener and the admin listener, a path and a body.
func serveVariant(ctx context.Context, args []string) error {
	debug.SetGCPercent(gcPercent)
	name, address, admin, path, body := args[0], args[1], args[2], args[3], []byte(args[4])
	router := mux.NewRouter()
	var handler http.Handler = router
	switch name {
	case bare:
		handler = send(body)
	case withMux:
		router.Path(path).Methods(http.MethodGet).Handler(send(body))
	default:
		register(router, path, body)
	}
	switch name {
	case withMetrics:
		return observe(ctx, address, admin, path, handler, "error")
	case withLog:
		return observe(ctx, address, admin, path, handler, "info")
	}
	s := &http.Server{Addr: address, Handler: handler}
	defer context.AfterFunc(ctx, func() { _ = s.Close() })()
	if err := s.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// send returns a handler that sends the body. It parses the form of a POST.
func send(body []byte) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			if err := r.ParseForm(); err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)
				return
			}
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(body) // fails if the client is gone
	})
}

// register registers a huma operation whose output is the body.
func register(router *mux.Router, path string, body []byte) {
	type output struct {
		Body struct {
			Username string `json:"username"`
			FullName string `json:"full_name"`
		}
	}
	var out output
	if err := json.Unmarshal(body, &out.Body); err != nil {
		panic(err) // the API sends JSON
	}
	config := huma.DefaultConfig("bench", "1")
	config.CreateHooks = nil // would add $schema to the body
	huma.Get(humamux.New(router, config), path, func(context.Context, *struct{}) (*output, error) {
		copied := out
		return &copied, nil
	})
}

// observe serves through shared/httpserver, with the default settings of the API.
func observe(ctx context.Context, address, admin, path string, handler http.Handler, logLevel string) error {
	settings := httpserver.Settings{Listen: address, AdminListen: admin, StopTimeout: time.Minute, LogLevel: logLevel}
	s := httpserver.Server{
		Settings: settings, Registry: httpserver.NewRegistry("bench"), Log: httpserver.NewLogger(os.Stderr, settings),
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			httpserver.SetRoute(w, path)
			handler.ServeHTTP(w, r)
		}),
	}
	return s.Run(ctx)
}

// serveVariant starts a variant that sends the body to the load, and checks that it does.
func (b *bench) serveVariant(ctx context.Context, name string, l load, body []byte) (*server, error) {
	prepare := func(s *server) {
		s.cmd.Args = append(s.cmd.Args, variantMode, name, s.address, s.admin, l.path, string(body))
	}
	return b.start(ctx, b.self, half(), prepare, func(s *server) error {
		got, err := l.send(ctx, s, http.StatusOK)
		if err == nil && !bytes.Equal(bytes.TrimSpace(got), bytes.TrimSpace(body)) {
			err = fmt.Errorf("variant %s sends %s instead of %s", name, got, body)
		}
		return err
	})
}
