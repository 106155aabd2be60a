package issuing_test

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/hallpass-auth/hallpass/shared/database/databasetest"
	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
	"github.com/hallpass-auth/hallpass/authserver/internal/issuing"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
)

// gate stops a request of a server before it reads a grant, and before it begins to write. It wraps the connections of
// one request.
type gate struct {
	driver.Connector
	closed  atomic.Bool
	reached chan struct{}
	pass    chan error // an error is that of the connection
}

func (g *gate) wrap(c driver.Connector) driver.Connector {
	g.Connector = c
	return g
}

func (g *gate) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := g.Connector.Connect(ctx)
	return gateConn{conn, g}, err
}

// stop waits until the gate lets the request pass.
func (g *gate) stop() error {
	if !g.closed.Load() {
		return nil
	}
	g.reached <- struct{}{}
	return <-g.pass
}

// open lets every request pass from now on.
func (g *gate) open() {
	g.closed.Store(false)
	close(g.pass)
	go func() {
		for range g.reached {
		}
	}()
}

type gateConn struct {
	driver.Conn
	gate *gate
}

func (c gateConn) BeginTx(ctx context.Context, o driver.TxOptions) (driver.Tx, error) {
	if err := c.gate.stop(); err != nil {
		return nil, err
	}
	return c.Conn.(driver.ConnBeginTx).BeginTx(ctx, o)
}

func (c gateConn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	s, err := c.Conn.(driver.ConnPrepareContext).PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	return gateStmt{s, c.gate, strings.Contains(query, "FROM grants LEFT JOIN users")}, nil
}

func (c gateConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	return c.Conn.(driver.ExecerContext).ExecContext(ctx, query, args)
}

func (c gateConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	return c.Conn.(driver.QueryerContext).QueryContext(ctx, query, args)
}

type gateStmt struct {
	driver.Stmt
	gate  *gate
	stops bool
}

func (s gateStmt) ExecContext(ctx context.Context, args []driver.NamedValue) (driver.Result, error) {
	return s.Stmt.(driver.StmtExecContext).ExecContext(ctx, args)
}

func (s gateStmt) QueryContext(ctx context.Context, args []driver.NamedValue) (driver.Rows, error) {
	if s.stops {
		if err := s.gate.stop(); err != nil {
			return nil, err
		}
	}
	return s.Stmt.(driver.StmtQueryContext).QueryContext(ctx, args)
}

// replay is the real service, with connections of its own for each request of the model: the requests of one server
// also run at once.
type replay struct {
	*bench
	gates    [4]*gate
	services [4]*issuing.Service
}

func newReplay(t *testing.T) *replay {
	t.Helper()
	file := filepath.Join(t.TempDir(), "shared.db")
	p := &replay{bench: newRefreshBench(t)}
	copyDatabase(t, p.bench, file)
	for i := range p.gates {
		g := &gate{reached: make(chan struct{}), pass: make(chan error)}
		pool := databasetest.Pool
		pool.Wrap = g.wrap
		data, err := store.Open(t.Context(), "sqlite:"+file, pool)
		must(t, err)
		t.Cleanup(func() { _ = data.Close() })
		t.Cleanup(g.open) // for requests that stop there because the test has failed
		_, err = data.SetDefaultAPI(t.Context(), audience, p.now)
		must(t, err)
		cfg, login := p.cfg, p.cfg.Passwords.(*account.Login)
		cfg.Store, cfg.Passwords = data, &account.Login{
			Store: data, Hasher: login.Hasher, Gate: login.Gate, Now: login.Now, Log: login.Log,
		}
		p.gates[i], p.services[i], p.data = g, issuing.New(cfg), data
	}
	return p
}

// run runs a schedule and returns what each request got, as the model says it.
func (p *replay) run(schedule []step) (results [4]result, generation int, revoked bool, err error) {
	first, err := p.issue(p.services[firstClient], request(), p.app)
	if err != nil {
		return results, 0, false, err
	}
	var ends [4]chan error
	var tokens [4]string
	crashed := false
	for _, s := range schedule {
		if s == crash {
			crashed = true
			if end := ends[firstClient]; end != nil && !results[firstClient].ended {
				p.gates[firstClient].pass <- errors.New("the server has crashed")
				if err := <-end; err == nil {
					return results, 0, false, errors.New("a request succeeded though its server has crashed")
				}
			}
			results[firstClient], tokens[firstClient] = result{ended: true, unknown: true}, ""
			continue
		}
		if results[s].ended {
			return results, 0, false, fmt.Errorf("%v: %v ended a step before the model says", schedule, s)
		}
		if ends[s] == nil {
			ends[s] = p.start(s, first.RefreshToken, &tokens[s])
			<-p.gates[s].reached
		}
		p.gates[s].pass <- nil
		select {
		case <-p.gates[s].reached:
		case err := <-ends[s]:
			if err != nil && !errors.Is(err, oauth.ErrInvalidGrant) {
				return results, 0, false, fmt.Errorf("%v (crashed: %v): %w", s, crashed, err)
			}
			results[s] = result{ended: true, refused: err != nil}
		}
	}
	for s, end := range ends {
		if end != nil && !results[s].ended {
			return results, 0, false, fmt.Errorf("%v: %v has not ended as the model says", schedule, step(s))
		}
	}
	return p.read(results, tokens, first.RefreshToken)
}

// start starts a request, which stops at its gate.
func (p *replay) start(s step, refresh string, got *string) chan error {
	end := make(chan error, 1)
	p.gates[s].closed.Store(true)
	go func() {
		err := p.send(s, refresh, got)
		p.gates[s].closed.Store(false) // before the next schedule can begin
		end <- err
	}()
	return end
}

// send sends the request of a client, and sets the refresh token that it got.
func (p *replay) send(s step, refresh string, got *string) error {
	if s == revoker {
		return p.services[s].Revoke(p.t.Context(), p.app, refresh)
	}
	response, err := p.issue(p.services[s], request(refreshing(refresh)...), p.app)
	*got = response.RefreshToken
	return err
}

// read returns what the requests got, with the generations of their tokens, and what the database has.
func (p *replay) read(results [4]result, tokens [4]string, first string) ([4]result, int, bool, error) {
	parsed, err := grant.ParseRefreshToken(first)
	if err != nil {
		return results, 0, false, err
	}
	g, err := p.data.GrantByNumber(p.t.Context(), parsed.Number)
	if err != nil {
		return results, 0, false, err
	}
	for s, text := range tokens {
		if text == "" {
			continue
		}
		given, err := grant.ParseRefreshToken(text)
		if err != nil {
			return results, 0, false, err
		}
		results[s].given = -1 // a token that leads nowhere
		if verdict, _ := g.Refresh.Judge(given, p.now, p.cfg.RefreshGrace); verdict == grant.Current {
			results[s].given = len(g.Refresh.Replaced)
		}
	}
	return results, len(g.Refresh.Replaced), !g.RevokedAt.IsZero(), nil
}

// differs runs a schedule and returns how the service differs from the end that a model predicts; empty if it does not.
func (p *replay) differs(schedule []step, end world) string {
	results, generation, revoked, err := p.run(schedule)
	if err != nil {
		return err.Error()
	}
	for s := range results {
		if results[s] != end.requests[s].result {
			return fmt.Sprintf("%v: %v got %+v, the model says %+v", schedule, step(s), results[s], end.requests[s].result)
		}
	}
	if generation != end.generation || revoked != end.revoked {
		return fmt.Sprintf("%v: generation %d, revoked %v, the model says %d, %v",
			schedule, generation, revoked, end.generation, end.revoked)
	}
	return ""
}

// Every schedule of the model has the same end in the real service, on a real database.
func TestProtocolReplay(t *testing.T) {
	t.Parallel()
	p, count := newReplay(t), 0
	newWorld().schedules(nil, false, func(schedule []step, end world) {
		if testing.Short() && slices.Contains(schedule, crash) || t.Failed() {
			return
		}
		count++
		if difference := p.differs(schedule, end); difference != "" {
			t.Error(difference)
		}
	})
	t.Logf("%d schedules", count)
}

// A model whose rotation does not compare differs from the service.
func TestProtocolReplaySaysNo(t *testing.T) {
	t.Parallel()
	p := newReplay(t)
	end, schedule := world{}, []step{firstClient, secondClient, firstClient, secondClient, revoker, revoker}
	for _, s := range schedule {
		end = end.do(s)
	}
	if difference := p.differs(schedule, end); !strings.Contains(difference, "the model says") {
		t.Errorf("the service does what a wrong model says: %q", difference)
	}
}
