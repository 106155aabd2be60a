package store

import (
	"context"
	"database/sql"
	"sync"
	"time"
)

// pool is a pool of connections with a limit on the time that one call takes. The limit
// includes the wait for a connection, and holds even if the server stops responding.
type pool struct {
	*sql.DB
	callTimeout time.Duration
	// statements keeps prepared statements by their text. Compiling them for every call costs
	// a quarter of a refresh request on SQLite. Transactions, which only logins and
	// administration need, compile theirs. It is nil for PostgreSQL: pgx keeps its own.
	statements *sync.Map
}

// row is what *sql.Row and *sql.Rows have in common.
type row interface{ Scan(...any) error }

// scanRow runs a query for one row and scans it into variables.
func (p pool) scanRow(ctx context.Context, query string, args []any, into ...any) error {
	ctx, cancel := context.WithTimeout(ctx, p.callTimeout)
	defer cancel()
	r, err := p.queryRow(ctx, query, args...)
	if err != nil {
		return err
	}
	return r.Scan(into...)
}

// one runs a query for one row and returns what scan makes of it.
func one[T any](
	ctx context.Context,
	p pool,
	scan func(row) (T, error),
	query string,
	args ...any,
) (item T, err error) {
	ctx, cancel := context.WithTimeout(ctx, p.callTimeout)
	defer cancel()
	r, err := p.queryRow(ctx, query, args...)
	if err != nil {
		return item, unavailable("prepare statement", err)
	}
	return scan(r)
}

// list runs a query and returns what scan makes of each row.
func list[T any](
	ctx context.Context,
	p pool,
	doing string,
	scan func(row) (T, error),
	query string,
	args ...any,
) ([]T, error) {
	ctx, cancel := context.WithTimeout(ctx, p.callTimeout)
	defer cancel()
	rows, err := p.query(ctx, query, args...)
	if err != nil {
		return nil, unavailable(doing, err)
	}
	defer rows.Close()
	items := []T{}
	for rows.Next() {
		item, err := scan(rows)
		if err != nil {
			return nil, err
		}
		items = append(items, item)
	}
	return items, unavailable(doing, rows.Err())
}

func (p pool) queryRow(ctx context.Context, query string, args ...any) (row, error) {
	if p.statements == nil {
		return p.QueryRowContext(ctx, query, args...), nil
	}
	statement, err := p.prepared(ctx, query) //nolint:sqlclosecheck // Close closes it
	if err != nil {
		return nil, err
	}
	return statement.QueryRowContext(ctx, args...), nil
}

func (p pool) query(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	if p.statements == nil {
		return p.QueryContext(ctx, query, args...)
	}
	statement, err := p.prepared(ctx, query) //nolint:sqlclosecheck // Close closes it
	if err != nil {
		return nil, err
	}
	return statement.QueryContext(ctx, args...)
}

// exec runs one statement and returns how many rows it changed.
func (p pool) exec(ctx context.Context, doing, query string, args ...any) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, p.callTimeout)
	defer cancel()
	if p.statements == nil {
		result, err := p.ExecContext(ctx, query, args...)
		return rowsAffected(doing, result, err)
	}
	statement, err := p.prepared(ctx, query) //nolint:sqlclosecheck // Close closes it
	if err != nil {
		return 0, unavailable(doing, err)
	}
	result, err := statement.ExecContext(ctx, args...)
	return rowsAffected(doing, result, err)
}

// rowsAffected returns how many rows a statement changed.
func rowsAffected(doing string, result sql.Result, err error) (int64, error) {
	if err != nil {
		return 0, unavailable(doing, err)
	}
	n, err := result.RowsAffected()
	return n, unavailable(doing, err)
}

// prepared returns the prepared statement of a query. Close closes it with the connections.
func (p pool) prepared(ctx context.Context, query string) (*sql.Stmt, error) {
	if s, ok := p.statements.Load(query); ok {
		return s.(*sql.Stmt), nil
	}
	s, err := p.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	if first, lost := p.statements.LoadOrStore(query, s); lost { // two calls prepared it at once
		return first.(*sql.Stmt), s.Close() //nolint:sqlclosecheck // it is closed here, once
	}
	return s, nil
}
