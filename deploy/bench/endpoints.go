package main

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"

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

// measureEndpoints compares the endpoints, on both engines, with a bare handler and with
// their SQL alone.
func measureEndpoints(ctx context.Context, b *bench) ([]row, error) {
	rows, err := b.measureEngine(ctx, "SQLite", b.sqlite("endpoints"))
	if err != nil {
		return nil, err
	}
	postgres, err := postgrestest.New()
	if errors.Is(err, postgrestest.ErrNotInstalled) {
		return append(rows, row{what: "**PostgreSQL is not installed**"}), nil
	}
	if err != nil {
		return rows, err
	}
	defer func() { _ = postgres.Close() }()
	database, err := postgres.Database()
	if err != nil {
		return rows, err
	}
	more, err := b.measureEngine(ctx, "PostgreSQL", database)
	return append(rows, more...), err
}

// measureEngine returns the rows of the endpoints with a database of the engine.
func (b *bench) measureEngine(ctx context.Context, engine, database string) (rows []row, err error) {
	s, err := b.serveAuth(ctx, half(), database, lowCost)
	if err != nil {
		return nil, err
	}
	defer s.stop()
	secret, err := b.run(ctx, authserver, "client", "add", serviceClient, "--grant", "client_credentials",
		"--scope", "items:read", "--introspects", "--database-url", database)
	if err != nil {
		return nil, err
	}
	credentials := url.QueryEscape(serviceClient) + ":" + url.QueryEscape(secret) // RFC 6749 section 2.3.1
	a := &authority{s, database, "Basic " + base64.StdEncoding.EncodeToString([]byte(credentials))}
	for _, e := range endpoints {
		our, floor, alone, err := b.measureEndpoint(ctx, a, e)
		if err != nil {
			return nil, fmt.Errorf("%s, %s: %w", e.name, engine, err)
		}
		heading := fmt.Sprintf("**%s, %s** (floor: a bare net/http handler that parses the form)", e.name, engine)
		rows = append(rows, compareAll(heading, our, floor, 0)...)
		rows = append(rows, compareFigure("requests a second (floor: its SQL alone)", perSecond, our, alone, 0))
	}
	return rows, nil
}

// measureEndpoint measures an endpoint, a bare handler and the SQL, in turns.
func (b *bench) measureEndpoint(
	ctx context.Context, a *authority, e endpoint,
) (our, floor, alone []sample, err error) {
	l, errLoad := e.load(ctx, a)
	body, errSend := l.send(ctx, a.server, http.StatusOK)
	if err := errors.Join(errLoad, errSend); err != nil {
		return nil, nil, nil, err
	}
	handler, err := b.serveVariant(ctx, bare, l, body)
	if err != nil {
		return nil, nil, nil, err
	}
	defer handler.stop()
	for range b.endpointRounds() + 1 {
		l, errLoad := e.load(ctx, a)
		one, errOne := b.round(ctx, a.server, l)
		l.follow = false
		other, errOther := b.round(ctx, handler, l)
		statements, errSQL := runSQL(ctx, a.database, e.sql)
		if err := errors.Join(errLoad, errOne, errOther, errSQL); err != nil {
			return nil, nil, nil, err
		}
		our, floor, alone = append(our, one), append(floor, other), append(alone, sample{perSecond: statements})
	}
	return our[1:], floor[1:], alone[1:], nil // the first round warms up
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
