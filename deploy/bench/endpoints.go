package main

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"

	"github.com/hallpass-auth/hallpass/shared/postgrestest"
)

// serviceClient is the client that calls the endpoints with its own credentials.
const serviceClient = "service"

// endpoint is an endpoint of the authorization server, the load on it and its SQL.
type endpoint struct {
	name string
	load func(ctx context.Context, a *authority) (load, error)
	sql  []step
}

var endpoints = []endpoint{
	{"POST /token, refresh_token", refreshLoad, refreshSQL},
	{"POST /token, client_credentials", func(_ context.Context, a *authority) (load, error) {
		return post("/token", a.authorization, url.Values{"grant_type": {"client_credentials"}}), nil
	}, serviceSQL},
	{"POST /introspect", func(ctx context.Context, a *authority) (load, error) {
		login, err := logIn(ctx, a.server)
		return post("/introspect", a.authorization, url.Values{"token": {login.Access}}), err
	}, introspectSQL},
}

// authority is a running authorization server with the service client.
type authority struct {
	*server
	database      string
	authorization string // of the client
}

// endpointRounds is the number of rounds of each endpoint and engine.
func (b *bench) endpointRounds() int { return (b.rounds + 1) / 2 }

// measureEndpoints compares the endpoints with a bare handler, and with their SQL alone on
// both engines.
func measureEndpoints(ctx context.Context, b *bench) ([]row, error) {
	rows := make([][]row, len(endpoints))
	if err := b.measureEngine(ctx, "SQLite", b.sqlite("endpoints"), rows); err != nil {
		return nil, err
	}
	postgres, err := postgrestest.New()
	if errors.Is(err, postgrestest.ErrNotInstalled) {
		return append(slices.Concat(rows...), row{what: "PostgreSQL is not installed"}), nil
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = postgres.Close() }()
	database, err := postgres.Database()
	if err == nil {
		err = b.measureEngine(ctx, "PostgreSQL", database, rows)
	}
	return slices.Concat(rows...), err
}

// measureEngine appends to the rows of each endpoint.
func (b *bench) measureEngine(ctx context.Context, engine, database string, rows [][]row) error {
	s, err := b.serveAuth(ctx, half(), database, lowCost)
	if err != nil {
		return err
	}
	defer s.stop()
	secret, err := b.run(ctx, authserver, "client", "add", serviceClient, "--grant", "client_credentials",
		"--scope", "items:read", "--introspects", "--database-url", database)
	if err != nil {
		return err
	}
	credentials := url.QueryEscape(serviceClient) + ":" + url.QueryEscape(secret) // RFC 6749 section 2.3.1
	a := &authority{s, database, "Basic " + base64.StdEncoding.EncodeToString([]byte(credentials))}
	for i, e := range endpoints {
		more, err := b.measureEndpoint(ctx, a, e, engine)
		if err != nil {
			return fmt.Errorf("%s, %s: %w", e.name, engine, err)
		}
		if rows[i] != nil {
			more = more[len(more)-1:] // one comparison with a handler is enough
		}
		rows[i] = append(rows[i], more...)
	}
	return nil
}

// measureEndpoint compares an endpoint with a bare handler and with its SQL.
func (b *bench) measureEndpoint(ctx context.Context, a *authority, e endpoint, engine string) ([]row, error) {
	l, err := e.load(ctx, a)
	if err != nil {
		return nil, err
	}
	model, err := l.send(ctx, a.server, http.StatusOK)
	if err != nil {
		return nil, err
	}
	handler, err := b.serveVariant(ctx, bare, l, model)
	if err != nil {
		return nil, err
	}
	defer handler.stop()
	var our, floor []sample
	var alone []float64
	for round := -1; round < b.endpointRounds(); round++ { // the first one warms up
		l, errLoad := e.load(ctx, a)
		one, errOne := b.round(ctx, a.server, l)
		l.follow = false
		other, errOther := b.round(ctx, handler, l)
		statements, errSQL := runSQL(ctx, a.database, e.sql)
		if err := errors.Join(errLoad, errOne, errOther, errSQL); err != nil {
			return nil, err
		}
		if round >= 0 {
			our, floor, alone = append(our, one), append(floor, other), append(alone, statements)
		}
	}
	rows := compareAll("**"+e.name+"** (floor: a bare net/http handler that parses the form)", our, floor, 0)
	name := "requests a second, " + engine + " (floor: its SQL alone)"
	return append(rows, compare(name, figures[perSecond].format, column(our, perSecond), alone, 0)), nil
}

// refreshLoad logs in for each connection. At the end of a round wrk drops responses, and
// with them refresh tokens, so each round needs new logins.
func refreshLoad(ctx context.Context, a *authority) (l load, err error) {
	var bodies []string
	for range connections[0] {
		login, err := logIn(ctx, a.server)
		if err != nil {
			return load{}, err
		}
		l = post("/token", "", url.Values{
			"client_id": {demoClient}, "grant_type": {"refresh_token"}, "refresh_token": {login.Refresh},
		})
		bodies = append(bodies, l.bodies...)
	}
	l.bodies, l.follow = bodies, true
	return l, nil
}
