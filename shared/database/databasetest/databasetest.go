// Package databasetest provides tests of a store with new databases on both engines, and records its statements.
package databasetest

import (
	"context"
	"database/sql/driver"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hallpass-auth/hallpass/shared/database"
	"github.com/hallpass-auth/hallpass/shared/postgrestest"
)

// Pool has timeouts that a busy machine does not reach.
var Pool = database.Pool{ConnectTimeout: 5 * time.Minute, StatementTimeout: 5 * time.Minute}

// Wrapped returns Pool with a wrapper of connectors.
func Wrapped(wrap func(driver.Connector) driver.Connector) database.Pool {
	limits := Pool
	limits.Wrap = wrap
	return limits
}

// server is the PostgreSQL server of all tests of a package.
var server = sync.OnceValues(postgrestest.Shared)

// Main runs the tests of a package and stops the PostgreSQL server that they started. Call it from TestMain.
func Main(m *testing.M) {
	code := m.Run()
	if s, err := server(); err == nil {
		if err := s.Close(); err != nil {
			panic(err)
		}
	}
	os.Exit(code)
}

// URL returns the URL of a new database without tables. For PostgreSQL, it skips the test if that is not
// installed.
func URL(t testing.TB, engine database.Engine) string {
	t.Helper()
	if engine == database.PostgreSQL {
		return postgrestest.Database(t, server)
	}
	return "sqlite:" + filepath.Join(t.TempDir(), "test.db")
}

// Each runs a test once for each engine, with the URL of a new database.
func Each(t *testing.T, test func(t *testing.T, url string)) {
	t.Helper()
	for _, engine := range []database.Engine{database.SQLite, database.PostgreSQL} {
		t.Run(engine.String(), func(t *testing.T) {
			t.Parallel()
			test(t, URL(t, engine))
		})
	}
}

// Recorder records the texts of the statements that a store runs. It is safe for concurrent use.
type Recorder struct {
	mu   sync.Mutex
	seen map[string]bool
}

// Wrap returns a connector whose statements are recorded, for database.Pool.
func (r *Recorder) Wrap(c driver.Connector) driver.Connector { return recordedConnector{c, r} }

// Statements returns the texts, sorted, without those of migrations.
func (r *Recorder) Statements() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var texts []string
	for text := range r.seen {
		if !strings.Contains(text, "goose") {
			texts = append(texts, text)
		}
	}
	slices.Sort(texts)
	return texts
}

func (r *Recorder) add(text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.seen == nil {
		r.seen = map[string]bool{}
	}
	r.seen[strings.TrimSpace(text)] = true
}

type recordedConnector struct {
	driver.Connector
	recorder *Recorder
}

func (c recordedConnector) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.Connector.Connect(ctx)
	return &recordedConn{conn, c.recorder}, err
}

// recordedConn has no optional methods, so that database/sql prepares every statement.
type recordedConn struct {
	driver.Conn
	recorder *Recorder
}

func (c *recordedConn) Prepare(query string) (driver.Stmt, error) {
	c.recorder.add(query)
	return c.Conn.Prepare(query)
}

// CheckStatements checks that statements are valid in the schema of a database. Each statement ends with a
// semicolon at the end of a line.
func CheckStatements(t testing.TB, db *database.DB, file string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, statement := range strings.Split(strings.TrimSpace(string(text)), ";\n") {
		if err := prepare(t.Context(), db, strings.TrimSuffix(statement, ";")); err != nil {
			t.Errorf("%s: %v in\n%s", file, err, statement)
		}
	}
}

func prepare(ctx context.Context, db *database.DB, query string) error {
	statement, err := db.Write.PrepareContext(ctx, query)
	if err != nil {
		return fmt.Errorf("prepare: %w", err)
	}
	return statement.Close()
}
