package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/hallpass-auth/hallpass/deploy/bench/internal/load"
	"github.com/hallpass-auth/hallpass/deploy/bench/internal/statement"
	"github.com/hallpass-auth/hallpass/shared/postgrestest"
)

// statementMode is the argument that makes this program run SQL and nothing else, on
// the CPUs that a server gets.
const statementMode = "statements"

// endpoint is a kind of request to the authorization server, and its SQL.
type endpoint struct {
	name      string
	operation statement.Operation
	follow    string // load.Plan.Follow
	requests  func(a *authority, logins []login) [][]byte
}

var endpoints = []endpoint{
	{"POST /token, refresh_token", statement.Refresh, "refresh_token", refreshRequests},
	{"POST /token, client_credentials", statement.Service, "", serviceRequests},
	{"POST /introspect", statement.Introspect, "", introspectRequests},
}

// endpointRounds is how many rounds there are of each endpoint: a quarter, rounded up.
func (o options) endpointRounds() int { return (o.rounds + 3) / 4 }

// measureEndpoints compares requests to the authorization server with a bare handler
// that sends the same, and with the SQL that each needs on the same database.
func measureEndpoints(ctx context.Context, h *house, o options) ([]row, error) {
	inSQLite, err := h.measureOn(ctx, h.sqlite("endpoints"), func(a *authority, e endpoint) ([]row, error) { return h.besideAll(ctx, a, e, o) })
	if err != nil {
		return slices.Concat(inSQLite...), err
	}
	inPostgres, err := h.measurePostgres(ctx, o)
	var rows []row
	for i := range endpoints {
		rows = append(append(rows, inSQLite[i]...), inPostgres[i]...)
	}
	return rows, err
}

// measurePostgres measures the endpoints beside their SQL in PostgreSQL, or says for
// each that there is none.
func (h *house) measurePostgres(ctx context.Context, o options) (rows [][]row, err error) {
	postgres, err := postgrestest.New()
	if errors.Is(err, postgrestest.ErrNotInstalled) {
		return slices.Repeat([][]row{{{what: "the same in PostgreSQL: left out, it is not installed"}}}, len(endpoints)), nil
	}
	rows = make([][]row, len(endpoints))
	if err != nil {
		return rows, err
	}
	defer func() { err = errors.Join(err, postgres.Close()) }()
	address, err := postgres.Database()
	if err != nil {
		return rows, err
	}
	return h.measureOn(ctx, address, func(a *authority, e endpoint) ([]row, error) { return h.besideSQL(ctx, a, e, o) })
}

// measureOn measures every endpoint of an authorization server with the database. The
// lines of those that could be measured come with the error, too.
func (h *house) measureOn(ctx context.Context, database string, measure func(*authority, endpoint) ([]row, error)) (rows [][]row, err error) {
	rows = make([][]row, len(endpoints))
	a, err := h.startAuthority(ctx, database)
	if err != nil {
		return rows, err
	}
	defer a.stopInto(&err)
	for i, e := range endpoints {
		if rows[i], err = measure(a, e); err != nil {
			return rows, fmt.Errorf("%s: %w", e.name, err)
		}
	}
	return rows, nil
}

// besideAll compares an endpoint with a bare handler and with its SQL.
func (h *house) besideAll(ctx context.Context, a *authority, e endpoint, o options) (rows []row, err error) {
	ours := &contestant{server: a.server, plan: e.plan(a)}
	ours.plan.Spin = true
	if _, err := h.load(ctx, ours, o.round); err != nil { // warms up
		return nil, err
	}
	model := e.requests(a, a.model())
	bare, err := h.startFloor(ctx, a.address, model[0])
	if err != nil {
		return nil, err
	}
	defer bare.stopInto(&err)
	floor := &contestant{server: bare, plan: ours.plan}
	floor.plan.Requests = slices.Repeat(model, connections)
	if _, err := h.load(ctx, floor, o.round); err != nil {
		return nil, err
	}
	alone := &statements{plan: e.statements(a, o)}
	if err := inTurns(ctx, o.endpointRounds(), h.round(floor, o.round), h.round(ours, o.round), h.run(alone)); err != nil {
		return nil, err
	}
	rows = compared("**"+e.name+"** (floor: a bare net/http handler that reads the form, same answer)", ours.samples, floor.samples)
	return append(rows, share("SQLite", ours.samples, alone.samples)), nil
}

// besideSQL compares an endpoint with its SQL alone.
func (h *house) besideSQL(ctx context.Context, a *authority, e endpoint, o options) ([]row, error) {
	ours := &contestant{server: a.server, plan: e.plan(a)}
	if _, err := h.load(ctx, ours, o.round); err != nil {
		return nil, err
	}
	alone := &statements{plan: e.statements(a, o)}
	if err := inTurns(ctx, o.endpointRounds(), h.round(ours, o.round), h.run(alone)); err != nil {
		return nil, err
	}
	return []row{share("PostgreSQL", ours.samples, alone.samples)}, nil
}

// share is the line that says which part of the rate of its SQL a request reaches.
func share(engine string, ours, alone []sample) row {
	return row{
		what:  "requests a second, " + engine + " (floor: the SQL alone)",
		ours:  wholeNumber(middle(ours, perSecond)),
		floor: wholeNumber(middle(alone, perSecond)),
		ratio: ratioText(ratios(ours, alone, perSecond)),
	}
}

// statements is the SQL of an endpoint, and how often a second it was run, round by
// round.
type statements struct {
	plan    statement.Plan
	samples []sample
}

// run is the turn of the statements.
func (h *house) run(s *statements) turn {
	return func(ctx context.Context) error {
		var one generated
		err := h.runSelf(ctx, statementMode, serverCPUs(), s.plan, &one)
		s.samples = append(s.samples, sample{perSecond: one.PerSecond})
		return err
	}
}

// runStatements follows the statement.Plan read from in and writes what came of it to
// out.
func runStatements(ctx context.Context, in io.Reader, out io.Writer) error {
	var plan statement.Plan
	if err := json.NewDecoder(in).Decode(&plan); err != nil {
		return err
	}
	rate, err := statement.Run(ctx, plan)
	if err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(generated{PerSecond: rate})
}

// plan is the load on the endpoint.
func (e endpoint) plan(a *authority) load.Plan {
	return load.Plan{Requests: e.requests(a, a.loaded()), Follow: e.follow, Connections: connections}
}

// statements is the SQL of the endpoint.
func (e endpoint) statements(a *authority, o options) statement.Plan {
	plan := statement.Plan{Database: a.database, Operation: e.operation, Client: service, Duration: o.round}
	for _, l := range a.set() {
		plan.Grants = append(plan.Grants, l.grant)
	}
	return plan
}
