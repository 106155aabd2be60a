package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
)

const (
	stormRounds   = 3
	stormTime     = 3 * time.Second
	stormBegins   = 500 * time.Millisecond // until the queue of logins is filled
	readyInterval = 10 * time.Millisecond  // a probe does not ask again at once
)

// stormGoals are the goals beside a storm, in ms.
var stormGoals = []struct {
	what     string
	p50, p99 float64
}{{"refresh", 2, 6}, {"GET /readyz", 1, 5}}

// storm is what two clients see while others log in: one that refreshes in a chain, one that asks
// whether the server is ready.
type storm [2]sample

// measureStorms measures both clients beside several numbers of others and beside none.
func measureStorms(ctx context.Context, b *bench) ([]row, error) {
	return b.onEngines("storms", func(e engine) ([]row, error) {
		auth, err := b.serveAuth(ctx, share{}, e.database, bcryptCost)
		if err != nil {
			return nil, err
		}
		defer auth.stop()
		storms := map[int][]storm{}
		for range stormRounds {
			for _, n := range append([]int{0}, loginClients...) {
				s, err := measureStorm(ctx, auth, n)
				if err != nil {
					return nil, fmt.Errorf("beside %d clients, %s: %w", n, e.name, err)
				}
				storms[n] = append(storms[n], s)
			}
		}
		return stormRows(e, storms), nil
	})
}

// stormRows compares with the same server without the storm. The goals in milliseconds are for
// SQLite; on both engines a refresh may take twice what it takes without the storm.
func stormRows(e engine, storms map[int][]storm) (rows []row) {
	for _, n := range loginClients {
		heading := "**Beside %d clients that log in, %s** (floor: beside none)"
		rows = append(rows, row{what: fmt.Sprintf(heading, n, e.name)})
		for i, g := range stormGoals {
			for _, f := range []struct {
				name   string
				figure int
				limit  float64
			}{{"median", p50, g.p50}, {"99th percentile", p99, g.p99}} {
				limit := under(f.limit, "ms")
				switch {
				case i == 0 && e.name == "SQLite":
					limit = limit.and(atMost(2))
				case i == 0:
					limit = atMost(2)
				}
				rows = append(rows, compare(g.what+", "+f.name, "%.2f ms",
					milliseconds(storms[n], i, f.figure), milliseconds(storms[0], i, f.figure), limit))
			}
		}
	}
	return rows
}

func milliseconds(storms []storm, client, figure int) (values []float64) {
	for _, s := range storms {
		values = append(values, s[client][figure]/1e3)
	}
	return values
}

// measureStorm measures the clients while n others log in, each again and again.
func measureStorm(ctx context.Context, auth *server, n int) (s storm, err error) {
	login, err := logIn(ctx, auth)
	if err != nil {
		return s, err
	}
	stormy, stop := context.WithCancel(ctx)
	defer stop()
	var others, clients errgroup.Group
	for range n {
		others.Go(func() error {
			for stormy.Err() == nil {
				if _, err := tryLogIn(stormy, auth); err != nil && stormy.Err() == nil {
					return err
				}
			}
			return nil
		})
	}
	time.Sleep(stormBegins)
	clients.Go(func() (err error) {
		s[0], err = latencies(0, func() error {
			login, err = refreshGrant(login.Refresh).getTokens(ctx, auth)
			return err
		})
		return err
	})
	clients.Go(func() (err error) {
		probe := load{method: http.MethodGet, path: "/readyz", bodies: []string{""}}
		admin := &server{address: auth.admin}
		s[1], err = latencies(readyInterval, func() error { _, err := probe.send(ctx, admin, http.StatusOK); return err })
		return err
	})
	err = clients.Wait()
	stop()
	return s, errors.Join(err, others.Wait(), settle(ctx, auth))
}

// settle returns when the server is idle again: a login has had its turn.
func settle(ctx context.Context, auth *server) error {
	for ctx.Err() == nil {
		if succeeded, err := tryLogIn(ctx, auth); succeeded || err != nil {
			return err
		}
	}
	return ctx.Err()
}

// latencies calls work again and again for stormTime, with a pause after each call.
func latencies(pause time.Duration, work func() error) (s sample, err error) {
	var all []float64
	for end := time.Now().Add(stormTime); time.Now().Before(end); time.Sleep(pause) {
		begin := time.Now()
		if err := work(); err != nil {
			return s, err
		}
		all = append(all, float64(time.Since(begin).Microseconds()))
	}
	slices.Sort(all)
	s[p50], s[p99] = all[len(all)/2], all[len(all)*99/100]
	s[perSecond] = float64(len(all)) / stormTime.Seconds()
	return s, nil
}
