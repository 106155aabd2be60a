package main

import (
	"context"
	"errors"
	"net/http"
	"time"
)

// starts is how often each program is started.
const starts = 10

// startFigures are the figures of a start, and the goals.
var startFigures = [3]struct {
	name, unit string
	limit      float64
}{
	{"start to first response", "ms", 100},
	{"memory after the start", "MiB", 30},
	{"memory after one request", "MiB", 30},
}

// measureStart measures the time until each program is ready, and its memory at rest.
func measureStart(ctx context.Context, b *bench) ([]row, error) {
	serveAuth := func() (*server, error) { return b.serveAuth(ctx, share{}, b.sqlite("start"), bcryptCost) }
	auth, err := serveAuth() // creates the database
	if err != nil {
		return nil, err
	}
	defer auth.stop()
	login, err := logIn(ctx, auth)
	if err != nil {
		return nil, err
	}
	serveAPI := func() (*server, error) { return b.serveAPI(ctx, share{}, auth) }
	ofAuth, errAuth := startRows(ctx, authserver, serveAuth, passwordGrant(username, password))
	ofAPI, errAPI := startRows(ctx, resourceserver, serveAPI, get("/users/me", login.Access))
	return append(append([]row{{what: "**Start and rest**"}}, ofAuth...), ofAPI...), errors.Join(errAuth, errAPI)
}

func startRows(ctx context.Context, name string, serve func() (*server, error), l load) (rows []row, err error) {
	var values [3][]float64
	for range starts {
		one, err := measureOneStart(ctx, serve, l)
		if err != nil {
			return nil, err
		}
		for i, value := range one {
			values[i] = append(values[i], value)
		}
	}
	for i, f := range startFigures {
		rows = append(rows, only(name+": "+f.name, "%.1f "+f.unit, values[i], under(f.limit, f.unit)))
	}
	return rows, nil
}

// measureOneStart starts a server and measures the startFigures.
func measureOneStart(ctx context.Context, serve func() (*server, error), l load) (figures [3]float64, err error) {
	begin := time.Now()
	s, err := serve()
	if err != nil {
		return figures, err
	}
	defer s.stop()
	figures[0] = float64(time.Since(begin).Microseconds()) / 1e3
	time.Sleep(300 * time.Millisecond) // until it is at rest
	_, fresh, errFresh := s.usage()
	_, errSend := l.send(ctx, s, http.StatusOK)
	time.Sleep(300 * time.Millisecond)
	_, used, errUsed := s.usage()
	figures[1], figures[2] = fresh, used
	return figures, errors.Join(errFresh, errSend, errUsed)
}
