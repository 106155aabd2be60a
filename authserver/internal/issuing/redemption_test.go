package issuing_test

import (
	"context"
	"database/sql/driver"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/hallpass-auth/hallpass/shared/database/databasetest"
	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/issuing"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
)

// fate is what happens to a commit.
type fate int

const (
	acknowledged fate = iota
	lost              // it happens, and the server is not told
	failed            // it does not happen
)

// commits wraps the connections of a pool and decides what happens to its commits.
type commits struct {
	driver.Connector

	mu   sync.Mutex
	next []fate // of the next commits; those after them are acknowledged
}

func (c *commits) will(next ...fate) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.next = next
}

// pop returns the fate of a commit.
func (c *commits) pop() fate {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.next) == 0 {
		return acknowledged
	}
	first := c.next[0]
	c.next = c.next[1:]
	return first
}

var errNoAcknowledgement = errors.New("the connection broke during the commit")

func (c *commits) wrap(connector driver.Connector) driver.Connector {
	c.Connector = connector
	return c
}

func (c *commits) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.Connector.Connect(ctx)
	return commitConn{conn, c}, err
}

type commitConn struct {
	driver.Conn
	commits *commits
}

func (c commitConn) BeginTx(ctx context.Context, o driver.TxOptions) (driver.Tx, error) {
	tx, err := c.Conn.(driver.ConnBeginTx).BeginTx(ctx, o)
	return commitTx{tx, c.commits}, err
}

func (c commitConn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	return c.Conn.(driver.ConnPrepareContext).PrepareContext(ctx, query)
}

func (c commitConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	return c.Conn.(driver.ExecerContext).ExecContext(ctx, query, args)
}

func (c commitConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	return c.Conn.(driver.QueryerContext).QueryContext(ctx, query, args)
}

type commitTx struct {
	driver.Tx
	commits *commits
}

func (t commitTx) Commit() error {
	fate := t.commits.pop()
	if fate == failed {
		return errors.Join(t.Rollback(), errNoAcknowledgement)
	}
	err := t.Tx.Commit()
	if fate == lost {
		err = errors.Join(err, errNoAcknowledgement)
	}
	return err
}

// copyDatabase copies the database of a bench to a file.
func copyDatabase(t *testing.T, b *bench, file string) {
	t.Helper()
	must(t, b.data.BackUp(t.Context(), file))
	must(t, os.Chmod(file, 0o600))
}

// withCommits returns a bench whose commits can be lost.
func withCommits(t *testing.T) (*bench, *commits) {
	t.Helper()
	b, c := newBench(t), &commits{}
	file := filepath.Join(t.TempDir(), "lossy.db")
	copyDatabase(t, b, file)
	pool := databasetest.Pool
	pool.Wrap = c.wrap
	data, err := store.Open(t.Context(), "sqlite:"+file, pool)
	must(t, err)
	t.Cleanup(func() { _ = data.Close() })
	_, err = data.SetDefaultAPI(t.Context(), audience, b.now)
	must(t, err)
	b.data, b.cfg.Store = data, data
	return b, c
}

// A client whose redemption got 503 redeems the code again and gets tokens, whether or not the first time was stored.
// Only these tokens exist. The next use of the code ends them (RFC 6749 section 4.1.2).
func TestUnacknowledgedRedemption(t *testing.T) {
	for name, fates := range map[string][]fate{
		"it was stored":                           {lost},
		"it was not stored":                       {failed},
		"it was stored, and taking it back fails": {lost, failed, failed, lost},
	} {
		t.Run(name, func(t *testing.T) {
			b, c := withCommits(t)
			b.session()
			e := issuing.New(b.cfg)
			form := b.redemption(e)
			c.will(fates...)
			if _, err := b.issue(e, form, b.app); !errors.Is(err, store.ErrUnavailable) {
				t.Fatalf("without an acknowledgement: %v, want ErrUnavailable", err)
			}
			again := b.untilDecided(e, form)
			b.claims(again)
			b.expectGrants(1)
			if _, err := b.issue(issuing.New(b.cfg), form, b.app); !errors.Is(err, oauth.ErrInvalidGrant) {
				t.Errorf("the replay: %v, want invalid_grant", err)
			}
			b.expectGrants(0)
		})
	}
}

// untilDecided sends a request again until it gets no ErrUnavailable.
func (b *bench) untilDecided(s *issuing.Service, form map[string][]string) oauth.TokenResponse {
	b.t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); {
		response, err := b.issue(s, form, b.app)
		if !errors.Is(err, store.ErrUnavailable) {
			must(b.t, err)
			return response
		}
	}
	b.t.Fatal("the redemption is not decided")
	return oauth.TokenResponse{}
}

// Tokens are given once the redemption is stored, also if it cannot be confirmed at once. A replay meanwhile gets none.
func TestUnconfirmedRedemption(t *testing.T) {
	b, c := withCommits(t)
	b.session()
	e := issuing.New(b.cfg)
	form := b.redemption(e)
	c.will(acknowledged, failed, failed)
	response, err := b.issue(e, form, b.app)
	must(t, err)
	b.claims(response)
	for end := time.Now().Add(time.Minute); ; {
		_, err := b.issue(e, form, b.app)
		if errors.Is(err, oauth.ErrInvalidGrant) {
			break
		}
		if !errors.Is(err, store.ErrUnavailable) || time.Now().After(end) {
			t.Fatalf("a replay: %v, want ErrUnavailable until the confirmation, then invalid_grant", err)
		}
	}
	b.expectGrants(0)
}
