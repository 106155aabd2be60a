package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
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

// The variants: servers that send a response of the API and check no token. Each adds a
// layer of the API to the one before.
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

// variant is what a variant reads from its standard input.
type variant struct {
	Address, Admin, Path string
	Response             response
}

// serveVariant serves until ctx ends.
func serveVariant(ctx context.Context, name string, input io.Reader) error {
	debug.SetGCPercent(gcPercent)
	var v variant
	if err := json.NewDecoder(input).Decode(&v); err != nil {
		return err
	}
	router := mux.NewRouter()
	var handler http.Handler = router
	switch name {
	case bare:
		handler = v.Response
	case withMux:
		router.Path(v.Path).Methods(http.MethodGet).Handler(v.Response)
	default:
		v.register(router)
	}
	switch name {
	case withMetrics:
		return v.run(ctx, handler, "error")
	case withLog:
		return v.run(ctx, handler, "info")
	}
	s := &http.Server{Addr: v.Address, Handler: handler}
	defer context.AfterFunc(ctx, func() { _ = s.Close() })()
	if err := s.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// ServeHTTP sends the response to any request. It parses the form of a POST.
func (a response) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPost {
		if err := r.ParseForm(); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
	}
	for name, values := range a.Header {
		w.Header()[name] = values
	}
	_, _ = w.Write(a.Body) // fails if the client is gone
}

// register registers a huma operation whose output is the body of the response.
func (v variant) register(router *mux.Router) {
	type output struct {
		Body struct {
			Username string `json:"username"`
			FullName string `json:"full_name"`
		}
	}
	var out output
	if err := json.Unmarshal(v.Response.Body, &out.Body); err != nil {
		panic(err) // the API sends JSON
	}
	config := huma.DefaultConfig("bench", "1")
	config.CreateHooks = nil // would add $schema to the body
	huma.Get(humamux.New(router, config), v.Path, func(context.Context, *struct{}) (*output, error) {
		copied := out
		return &copied, nil
	})
}

// run serves through shared/httpserver, with the default settings of the API.
func (v variant) run(ctx context.Context, handler http.Handler, logLevel string) error {
	settings := httpserver.Settings{Listen: v.Address, AdminListen: v.Admin, StopTimeout: time.Minute, LogLevel: logLevel}
	s := httpserver.Server{
		Settings: settings, Registry: httpserver.NewRegistry("bench"), Log: httpserver.NewLogger(os.Stderr, settings),
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			httpserver.SetRoute(w, v.Path)
			handler.ServeHTTP(w, r)
		}),
	}
	return s.Run(ctx)
}

// serveVariant starts a variant that sends model to the load, and checks that it does.
func (b *bench) serveVariant(ctx context.Context, name string, l load, model response) (*server, error) {
	prepare := func(s *server) {
		input, _ := json.Marshal(variant{s.address, s.admin, l.path, model}) // strings and bytes: cannot fail
		s.cmd.Args, s.cmd.Stdin = append(s.cmd.Args, variantMode, name), bytes.NewReader(input)
	}
	return b.start(ctx, b.self, half(), prepare, func(s *server) error {
		got, err := l.send(ctx, s, http.StatusOK)
		if err == nil && !bytes.Equal(bytes.TrimSpace(got.Body), bytes.TrimSpace(model.Body)) {
			err = fmt.Errorf("variant %s sends %s instead of %s", name, got.Body, model.Body)
		}
		return err
	})
}
