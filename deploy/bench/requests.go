package main

import (
	"context"
	"fmt"
)

// minRatioToOpen is the goal of GET /users/me: its requests per second, relative to the same
// server without the token check.
const minRatioToOpen = 0.95

// roundsPerStart is the number of rounds after which servers are restarted. The memory
// layout of a process makes it up to a fifth faster or slower for as long as it runs.
const roundsPerStart = 3

// layers are the layers of the API, and the servers with and without each.
var layers = []struct{ name, with, without string }{
	{"gorilla/mux", withMux, bare},
	{"huma", withHuma, withMux},
	{"timeouts, request id, metrics, the API's middleware", openQuiet, withHuma},
	{"log", open, openQuiet},
	{"token check", resourceserver, open},
}

// measureRequests compares the requests to the API with the same server without the token check
// and with bare handlers.
func measureRequests(ctx context.Context, b *bench) (rows []row, err error) {
	auth, err := b.serveAuth(ctx, share{}, b.sqlite("requests"), lowCost)
	if err != nil {
		return nil, err
	}
	defer auth.stop()
	login, err := logIn(ctx, auth)
	if err != nil {
		return nil, err
	}
	tests, err := b.compileTests(ctx, "resourceserver/internal/api")
	if err != nil {
		return nil, err
	}
	all := map[string]results{}
	for left := b.rounds; left > 0; left -= roundsPerStart {
		if err := b.measureStarted(ctx, auth, tests, login.Access, min(left, roundsPerStart), all); err != nil {
			return nil, err
		}
	}
	for _, p := range paths {
		for _, n := range []int{few, many} {
			rows = append(rows, requestRows(p.request, n, all[series(p.request, n)])...)
		}
	}
	return rows, nil
}

func series(path string, connections int) string {
	return fmt.Sprintf("GET %s, %d connections", path, connections)
}

// measureStarted starts the servers and measures some rounds.
func (b *bench) measureStarted(
	ctx context.Context, auth *server, tests, token string, rounds int, all map[string]results,
) error {
	servers, err := b.startAll(ctx, auth, tests)
	defer func() {
		for _, s := range servers {
			s.stop()
		}
	}()
	if err != nil {
		return err
	}
	for _, p := range paths {
		for _, n := range []int{few, many} {
			name := series(p.request, n)
			if all[name] == nil {
				all[name] = results{}
			}
			if err := all[name].warm(ctx, rounds, b.compared(servers, get(p.request, token), n)...); err != nil {
				return err
			}
		}
	}
	return nil
}

// compared returns the servers under a load on n connections. The layers are measured once.
func (b *bench) compared(servers map[string]*server, l load, n int) (subjects []subject) {
	names := []string{resourceserver, open, bare}
	if l.path == "/users/me" && n == few {
		names = append(names, openQuiet, withHuma, withMux)
	}
	for _, name := range names {
		subjects = append(subjects, b.loaded(name, servers[name], l.on(n)))
	}
	return subjects
}

// startAll starts the API and all that it is compared with.
func (b *bench) startAll(ctx context.Context, auth *server, tests string) (map[string]*server, error) {
	servers := map[string]*server{}
	var err error
	add := func(name string, start func() (*server, error)) {
		if err == nil {
			var s *server
			if s, err = start(); err == nil {
				servers[name] = s
			}
		}
	}
	add(resourceserver, func() (*server, error) { return b.serveAPI(ctx, half(), auth) })
	add(open, func() (*server, error) { return b.serveOpen(ctx, half(), tests, "info") })
	add(openQuiet, func() (*server, error) { return b.serveOpen(ctx, half(), tests, "error") })
	for _, name := range []string{bare, withMux, withHuma} {
		add(name, func() (*server, error) { return b.serveFloor(ctx, half(), name, "") })
	}
	return servers, err
}

// requestRows returns the rows of a path and a number of connections.
func requestRows(path string, n int, r results) []row {
	var g goal
	if path == "/users/me" {
		g = atLeast(minRatioToOpen)
	}
	heading := "**" + series(path, n) + "** (floor: "
	rows := append([]row{{what: heading + "the same server without the token check)"}},
		r.compareAll(resourceserver, open, g)...)
	rows = append(rows,
		row{what: heading + "a bare net/http handler)"},
		r.compare("", perSecond, resourceserver, bare, goal{}),
		r.compare("", cpu, resourceserver, bare, goal{}))
	if r[openQuiet] == nil {
		return rows
	}
	rows = append(rows, row{what: "**Server CPU for a request, layer by layer** (floor: without the layer)"})
	for _, layer := range layers {
		rows = append(rows, r.compare(layer.name, cpu, layer.with, layer.without, goal{}))
	}
	return rows
}
