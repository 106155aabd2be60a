package main

import (
	"context"
	"fmt"
	"net/http"
)

// minRatioToOpen is the goal of GET /users/me: its requests per second, relative to the same
// server without the token check.
const minRatioToOpen = 0.95

// connections are the numbers of concurrent connections. Endpoints get the first.
var connections = []int{8, 64}

// roundsPerStart is the number of rounds after which servers are restarted. The memory
// layout of a process makes it up to a fifth faster or slower for as long as it runs.
const roundsPerStart = 4

// series is a server under the load of a number of connections.
type series struct {
	server      string
	connections int
}

// measureRequests compares GET /users/me of the API with the variants.
func measureRequests(ctx context.Context, b *bench) (rows []row, err error) {
	auth, err := b.serveAuth(ctx, 0, b.sqlite("requests"), lowCost)
	if err != nil {
		return nil, err
	}
	defer auth.stop()
	login, err := logIn(ctx, auth)
	if err != nil {
		return nil, err
	}
	samples := map[series][]sample{}
	for left := b.rounds; left > 0; left -= roundsPerStart {
		l := get("/users/me", login.Access)
		if err := b.measureStarted(ctx, auth, l, min(left, roundsPerStart), samples); err != nil {
			return nil, err
		}
	}
	for _, n := range connections {
		rows = append(rows, requestRows(n, samples)...)
	}
	return rows, nil
}

// measureStarted starts the API and its variants and measures some rounds.
func (b *bench) measureStarted(
	ctx context.Context, auth *server, l load, rounds int, samples map[series][]sample,
) error {
	api, err := b.serveAPI(ctx, half(), auth)
	if err != nil {
		return err
	}
	defer api.stop()
	body, err := l.send(ctx, api, http.StatusOK)
	if err != nil {
		return err
	}
	servers := map[string]*server{resourceserver: api}
	for _, name := range variants {
		if servers[name], err = b.serveVariant(ctx, name, l, body); err != nil {
			return err
		}
		defer servers[name].stop()
	}
	for round := -1; round < rounds; round++ { // the first one warms up
		for _, l.connections = range connections {
			for name, s := range servers {
				one, err := b.round(ctx, s, l)
				if err != nil {
					return fmt.Errorf("%s: %w", name, err)
				}
				if key := (series{name, l.connections}); round >= 0 {
					samples[key] = append(samples[key], one)
				}
			}
		}
	}
	return nil
}

// requestRows returns the rows of one number of connections.
func requestRows(n int, samples map[series][]sample) []row {
	of := func(server string) []sample { return samples[series{server, n}] }
	api := of(resourceserver)
	heading := fmt.Sprintf("**GET /users/me, %d connections** (floor: ", n)
	rows := compareAll(heading+"the same server without the token check)", api, of(withLog), minRatioToOpen)
	rows = append(rows,
		row{what: heading + "a bare net/http handler)"},
		compareFigure("requests a second", perSecond, api, of(bare), 0),
		compareFigure("server CPU for a request", cpu, api, of(bare), 0),
		row{what: "**Server CPU for a request, layer by layer** (floor: without the layer)"})
	for _, layer := range []struct{ name, with, without string }{
		{"gorilla/mux", withMux, bare},
		{"huma", withHuma, withMux},
		{"timeouts, request id and metrics", withMetrics, withHuma},
		{"log", withLog, withMetrics},
		{"token check", resourceserver, withLog},
	} {
		rows = append(rows, compareFigure(layer.name, cpu, of(layer.with), of(layer.without), 0))
	}
	return rows
}
