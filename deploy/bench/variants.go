package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"runtime/debug"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humamux"
	"github.com/gorilla/mux"
)

// floorMode is the argument that makes this program one of the floors.
const floorMode = "floor"

// The floors that this program serves. The first three send the responses of the API to the
// demo's user, each with a layer of the API more than the one before.
const (
	bare     = "bare"   // net/http
	withMux  = "mux"    // gorilla/mux
	withHuma = "huma"   // huma on it, which encodes the body
	inMemory = "memory" // the authorization server's endpoints

	verifiesES256 = "es256" // net/http, and one signature verified
)

// The floors that the test binary of the API serves: the API without the token check.
const (
	open      = "open"
	openQuiet = "open, without its log"
)

// gcPercent is the GOGC that package program sets for the servers.
const gcPercent = 400

// The responses of the API to the demo's user.
type (
	user struct {
		Username string `json:"username"`
		FullName string `json:"full_name"`
	}
	item struct {
		ItemID int64  `json:"item_id"`
		Owner  string `json:"owner"`
	}
)

const (
	userBody = `{"username":"john.doe","full_name":"John Doe"}`
	itemBody = `{"item_id":42,"owner":"john.doe"}`
)

// paths are the routes of the API with a request for each, and the body of its response.
var paths = []struct{ route, request, body string }{
	{"/users/me", "/users/me", userBody},
	{"/items/{item_id}", "/items/42", itemBody},
}

// serveFloor serves a floor on an address until ctx ends. The secret is that of the service
// client; for sameBytes it is the path of the page.
func serveFloor(ctx context.Context, name, address, secret string) error {
	debug.SetGCPercent(gcPercent)
	s := &http.Server{Addr: address, Handler: floorHandler(name, secret)}
	defer context.AfterFunc(ctx, func() { _ = s.Close() })()
	if err := s.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func floorHandler(name, secret string) http.Handler {
	router := mux.NewRouter()
	switch name {
	case inMemory:
		return newMemory(secret)
	case sameBytes:
		page, _ := os.ReadFile(secret) // empty if it fails: then the server is not ready
		return sendAs("text/html; charset=utf-8", page)
	case verifiesES256:
		return verifySignature(floorHandler(bare, ""))
	case withMux:
		for _, p := range paths {
			router.Path(p.route).Methods(http.MethodGet).Handler(send(p.body))
		}
		return router
	case withHuma:
		register(router)
		return router
	}
	users, items := send(userBody), send(itemBody)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/users/me" {
			users(w, r)
			return
		}
		items(w, r)
	})
}

// send returns a handler that sends the body.
func send(body string) http.HandlerFunc { return sendAs("application/json", []byte(body)) }

// sendAs returns a handler that sends the body as a media type.
func sendAs(kind string, body []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", kind)
		_, _ = w.Write(body) // fails if the client is gone
	}
}

// register registers the API's operations with huma.
func register(router *mux.Router) {
	type userOutput struct{ Body user }
	type itemOutput struct{ Body item }
	type itemInput struct {
		ItemID int64 `path:"item_id"`
	}
	config := huma.DefaultConfig("bench", "1")
	config.CreateHooks = nil // would add $schema to the body
	api := humamux.New(router, config)
	huma.Get(api, "/users/me", func(context.Context, *struct{}) (*userOutput, error) {
		return &userOutput{user{"john.doe", "John Doe"}}, nil
	})
	huma.Get(api, "/items/{item_id}", func(_ context.Context, in *itemInput) (*itemOutput, error) {
		return &itemOutput{item{in.ItemID, "john.doe"}}, nil
	})
}

// serveFloor starts a floor that this program serves.
func (b *bench) serveFloor(ctx context.Context, part share, name, secret string) (*server, error) {
	return b.start(ctx, part, command{
		path: b.self,
		args: func(s *server) []string { return []string{floorMode, name, s.address, secret} },
		ready: func(s *server) error {
			switch name {
			case inMemory:
				_, err := logIn(ctx, s)
				return err
			case sameBytes:
				body, err := get("/", "").send(ctx, s, http.StatusOK)
				if err == nil && len(body) == 0 {
					err = errors.New("the floor has no page")
				}
				return err
			}
			return sendsBodies(ctx, s)
		},
	})
}

// serveOpen starts the API without the token check, from the test binary of its package.
func (b *bench) serveOpen(ctx context.Context, part share, binary, logLevel string) (*server, error) {
	return b.start(ctx, part, command{
		path: binary,
		args: func(*server) []string { return []string{"-test.run=^$", "-test.bench=^BenchmarkOpenServer$"} },
		environment: func(s *server) []string {
			return []string{fmt.Sprintf("HALLPASS_BENCH_OPEN=%s %s %s", s.address, s.admin, logLevel)}
		},
		ready: func(s *server) error { return sendsBodies(ctx, s) },
	})
}

// sendsBodies checks that s responds as the API does to the demo's user.
func sendsBodies(ctx context.Context, s *server) error {
	for _, p := range paths {
		got, err := get(p.request, "").send(ctx, s, http.StatusOK)
		if err != nil {
			return err
		}
		if !bytes.Equal(bytes.TrimSpace(got), []byte(p.body)) {
			return fmt.Errorf("%s: %s instead of %s", p.request, got, p.body)
		}
	}
	return nil
}
