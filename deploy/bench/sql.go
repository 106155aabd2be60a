package main

import (
	"context"
	"crypto/rand"
	"database/sql"
	"fmt"
	"net/url"
	"runtime"
	"strings"
	"sync/atomic"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // PostgreSQL
	"golang.org/x/sync/errgroup"
	_ "modernc.org/sqlite" // SQLite
)

// step is a statement of a request and its arguments. The statement must return a row.
type step struct {
	text      string
	arguments func(g grant) []any
}

// grant is a user's grant. Each worker has its own; refreshSQL invalidates its refresh token.
type grant struct {
	number int64
	user   string
}

// grantOf selects the grant of a worker.
const grantOf = "SELECT number, user_id FROM grants WHERE user_id IS NOT NULL ORDER BY number LIMIT 1 OFFSET $1"

// The statements of a request: the rows that the authorization server reads, by the same
// keys, and the columns that it writes.
var (
	client = step{"SELECT * FROM clients WHERE id = $1", func(grant) []any { return []any{serviceClient} }}
	login  = step{"SELECT * FROM grants WHERE number = $1", func(g grant) []any { return []any{g.number} }}
	holder = step{"SELECT * FROM users WHERE id = $1", func(g grant) []any { return []any{g.user} }}

	serviceGrant = step{
		"SELECT number FROM grants WHERE client_id = $1 AND type = 'client_credentials' AND revoked_at IS NULL",
		func(grant) []any { return []any{serviceClient} },
	}
	rotation = step{
		"UPDATE grants SET refresh_digest = $2, expires_at = $3, refresh_expires_at = $3 " +
			"WHERE number = $1 AND revoked_at IS NULL RETURNING number",
		func(g grant) []any { return []any{g.number, rand.Text(), time.Now().Add(720 * time.Hour).Unix()} },
	}

	refreshSQL    = []step{login, rotation}
	serviceSQL    = []step{client, serviceGrant}
	introspectSQL = []step{client, login, holder}
)

// runSQL runs the steps for a round, prepared, with the CPUs of a server and a worker for
// each connection. It returns how often a second they ran.
func runSQL(ctx context.Context, address string, steps []step) (float64, error) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(half()))
	db, err := openDatabase(address, steps)
	if err != nil {
		return 0, err
	}
	defer db.Close()
	prepared := make([]*sql.Stmt, len(steps))
	for i, s := range steps {
		prepared[i], err = db.PrepareContext(ctx, s.text) //nolint:sqlclosecheck // closed with db
		if err != nil {
			return 0, fmt.Errorf("%s: %w", s.text, err)
		}
	}
	var total atomic.Int64
	begin := time.Now()
	workers, ctx := errgroup.WithContext(ctx)
	for i := range connections[0] {
		workers.Go(func() error {
			var g grant
			if err := db.QueryRowContext(ctx, grantOf, i).Scan(&g.number, &g.user); err != nil {
				return fmt.Errorf("%s: %w", grantOf, err)
			}
			for ; time.Since(begin) < roundSeconds*time.Second; total.Add(1) {
				for i, s := range steps {
					if err := runStep(ctx, prepared[i], s.arguments(g)); err != nil {
						return fmt.Errorf("%s: %w", s.text, err)
					}
				}
			}
			return nil
		})
	}
	err = workers.Wait()
	return float64(total.Load()) / time.Since(begin).Seconds(), err
}

func runStep(ctx context.Context, prepared *sql.Stmt, arguments []any) error {
	rows, err := prepared.QueryContext(ctx, arguments...)
	if err != nil {
		return err
	}
	defer rows.Close()
	if !rows.Next() && rows.Err() == nil {
		return sql.ErrNoRows
	}
	return rows.Err()
}

// openDatabase opens a database with the options and pools of the server. Steps that write
// to SQLite share one connection, as all its writers do.
func openDatabase(address string, steps []step) (*sql.DB, error) {
	driver, size := "pgx", 10
	if path, isSQLite := strings.CutPrefix(address, "sqlite:"); isSQLite {
		driver, size = "sqlite", 4
		if steps[len(steps)-1].text == rotation.text {
			size = 1
		}
		options := url.Values{"mode": {"rw"}, "_pragma": {"journal_mode(WAL)", "foreign_keys(1)", "synchronous(FULL)"}}
		address = "file:" + (&url.URL{Path: path}).EscapedPath() + "?" + options.Encode()
	}
	db, err := sql.Open(driver, address)
	if err == nil {
		db.SetMaxOpenConns(size)
		db.SetMaxIdleConns(size)
	}
	return db, err
}
