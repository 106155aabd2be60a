package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/hallpass-auth/hallpass/shared/oauth"
	"github.com/hallpass-auth/hallpass/shared/postgrestest"
)

// engine is a database engine, with a database, and the goals on it.
type engine struct {
	name, database      string
	service, introspect float64 // requests a second, relative to the floor
	goalAt              int     // connections of the goals of a refresh:
	rotate              float64 // refreshes a second, relative to the SQL alone
	refreshCPU          float64 // µs
}

// onEngines calls measure for both engines. PostgreSQL is started, with fsync.
func (b *bench) onEngines(name string, measure func(engine) ([]row, error)) ([]row, error) {
	rows, err := measure(engine{"SQLite", b.sqlite(name), 0.85, 0.80, 64, 3, 300})
	if err != nil {
		return nil, err
	}
	postgres, err := postgrestest.NewDurable()
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
	more, err := measure(engine{"PostgreSQL", database, 0.80, 0.75, 8, 0.8, 250})
	return append(rows, more...), err
}

// measureEndpoints compares the endpoints, on both engines, with the floor in memory, and
// refreshing also with its SQL alone.
func measureEndpoints(ctx context.Context, b *bench) ([]row, error) {
	return b.onEngines("endpoints", func(e engine) ([]row, error) { return b.measureEngine(ctx, e) })
}

// alone is the subject that runs the SQL of a refresh.
const alone = "SQL alone"

// measureEngine returns the rows of the endpoints with a database of the engine.
func (b *bench) measureEngine(ctx context.Context, e engine) (rows []row, err error) {
	auth, err := b.serveAuth(ctx, half(), e.database, lowCost)
	if err != nil {
		return nil, err
	}
	defer auth.stop()
	secret, errService := b.addService(ctx, e.database)
	_, errLogin := refreshLoad(few)(ctx, auth) // starts the grants that statements rotates
	if err := errors.Join(errService, errLogin); err != nil {
		return nil, err
	}
	floor, err := b.serveFloor(ctx, half(), inMemory, secret)
	if err != nil {
		return nil, err
	}
	defer floor.stop()

	for _, endpoint := range []struct {
		name    string
		load    loader
		refresh int // connections of a refresh
		goals   []goal
	}{
		{"client_credentials", serviceLoad(secret, few), 0, []goal{atLeast(e.service)}},
		{"introspection", introspectLoad(secret), 0, []goal{atLeast(e.introspect)}},
		{"token exchange", exchangeLoad(secret), 0, nil},
		{"device poll that comes too soon", deviceLoad, 0, nil},
		{"refresh, 1 client", refreshLoad(1), 1, nil},
		{"refresh, 8 clients", refreshLoad(few), few, nil},
		{"refresh, 64 clients", refreshLoad(many), many, nil},
	} {
		r := results{}
		subjects := []subject{b.loaded(authserver, auth, endpoint.load), b.loaded(inMemory, floor, endpoint.load)}
		if endpoint.refresh > 0 {
			subjects = append(subjects, statements(alone, e.database))
		}
		if err := r.warm(ctx, b.fewerRounds(), subjects...); err != nil {
			return nil, fmt.Errorf("%s, %s: %w", endpoint.name, e.name, err)
		}
		goals := endpoint.goals
		var toSQL goal
		if endpoint.refresh == e.goalAt {
			goals, toSQL = []goal{{}, under(e.refreshCPU, "µs")}, atLeast(e.rotate)
		}
		rows = append(rows, row{what: fmt.Sprintf("**%s, %s** (floor: the same in memory)", endpoint.name, e.name)})
		rows = append(rows, r.compareAll(authserver, inMemory, goals...)...)
		if endpoint.refresh > 0 {
			rows = append(rows, r.compare("requests a second (floor: its SQL alone)", perSecond, authserver, alone, toSQL))
		}
	}
	return rows, nil
}

func serviceLoad(secret string, connections int) loader {
	return post("/token", basic(secret), url.Values{"grant_type": {"client_credentials"}}).on(connections)
}

// introspectLoad returns a loader that logs in for a token to introspect.
func introspectLoad(secret string) loader {
	return func(ctx context.Context, s *server) (load, error) {
		login, err := logIn(ctx, s)
		return post("/introspect", basic(secret), url.Values{"token": {login.Access}}), err
	}
}

// exchangeLoad returns a loader that logs in for a token to exchange (RFC 8693).
func exchangeLoad(secret string) loader {
	return func(ctx context.Context, s *server) (load, error) {
		login, err := logIn(ctx, s)
		return post("/token", basic(secret), url.Values{
			"grant_type": {string(oauth.GrantTokenExchange)}, "subject_token": {login.Access},
			"subject_token_type": {oauth.TokenTypeAccess}, "scope": {"items:read"}, "resource": {audience},
		}), err
	}
}

// devices is how many devices poll in a round. They share a network, which has a limit.
const devices = 4

// deviceLoad is a loader that asks for device codes. The devices poll without pause, so that each poll but the
// first is refused with slow_down (RFC 8628 section 3.5).
func deviceLoad(ctx context.Context, s *server) (load, error) {
	all := load{method: http.MethodPost, path: "/token", refused: true, connections: few}
	for range devices {
		body, err := post("/device_authorization", "", url.Values{"client_id": {deviceClient}}).send(ctx, s, http.StatusOK)
		if err != nil {
			return all, err
		}
		var device oauth.DeviceAuthorization
		if err := json.Unmarshal(body, &device); err != nil {
			return all, err
		}
		all.bodies = append(all.bodies, url.Values{
			"grant_type": {string(oauth.GrantDeviceCode)}, "device_code": {device.DeviceCode}, "client_id": {deviceClient},
		}.Encode())
	}
	return all, nil
}
