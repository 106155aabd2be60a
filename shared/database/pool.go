package database

import (
	"context"
	"database/sql"
	"sync"
	"time"
)

// Conns is a pool of connections with a limit on the time that one call takes. The limit
// includes the wait for a connection, and holds even if the server stops responding.
type Conns struct {
	*sql.DB
	// CallTimeout limits one call. Only tests change it.
	CallTimeout time.Duration
	// statements keeps prepared statements by their text. Compiling them for every call costs a quarter of a refresh
	// request on SQLite. Transactions use them too: see preparedTx. It is nil for PostgreSQL: pgx keeps its own.
	statements *sync.Map
}

// Row is what *sql.Row and *sql.Rows have in common.
type Row interface{ Scan(...any) error }

// ScanRow runs a query for one row and scans it into variables.
func (c *Conns) ScanRow(ctx context.Context, query string, args []any, into ...any) error {
	ctx, cancel := context.WithTimeout(ctx, c.CallTimeout)
	defer cancel()
	r, err := c.queryRow(ctx, query, args...)
	if err != nil {
		return err
	}
	return r.Scan(into...)
}

// One runs a query for one row and returns what scan makes of it. If there is no row,
// Scan returns sql.ErrNoRows to scan.
func One[T any](
	ctx context.Context,
	c *Conns,
	scan func(Row) (T, error),
	query string,
	args ...any,
) (item T, err error) {
	ctx, cancel := context.WithTimeout(ctx, c.CallTimeout)
	defer cancel()
	r, err := c.queryRow(ctx, query, args...)
	if err != nil {
		return item, Unavailable("prepare statement", err)
	}
	return scan(r)
}

// List runs a query and returns what scan makes of each row, in a list that is never nil. The text doing is
// for errors.
func List[T any](
	ctx context.Context,
	c *Conns,
	doing string,
	scan func(Row) (T, error),
	query string,
	args ...any,
) ([]T, error) {
	ctx, cancel := context.WithTimeout(ctx, c.CallTimeout)
	defer cancel()
	rows, err := c.query(ctx, query, args...)
	if err != nil {
		return nil, Unavailable(doing, err)
	}
	return scanAll(doing, scan, rows)
}

// ListTx is List in a transaction.
func ListTx[T any](
	ctx context.Context,
	tx Tx,
	doing string,
	scan func(Row) (T, error),
	query string,
	args ...any,
) ([]T, error) {
	rows, err := tx.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, Unavailable(doing, err)
	}
	return scanAll(doing, scan, rows)
}

// scanAll returns what scan makes of each row, and closes the rows.
func scanAll[T any](doing string, scan func(Row) (T, error), rows *sql.Rows) ([]T, error) {
	defer rows.Close()
	items := []T{}
	for rows.Next() {
		item, err := scan(rows)
		if err != nil {
			return nil, err
		}
		items = append(items, item)
	}
	return items, Unavailable(doing, rows.Err())
}

func (c *Conns) queryRow(ctx context.Context, query string, args ...any) (Row, error) {
	if c.statements == nil {
		return c.QueryRowContext(ctx, query, args...), nil
	}
	statement, err := c.prepared(ctx, query) //nolint:sqlclosecheck // Close closes it
	if err != nil {
		return nil, err
	}
	return statement.QueryRowContext(ctx, args...), nil
}

func (c *Conns) query(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	if c.statements == nil {
		return c.QueryContext(ctx, query, args...)
	}
	statement, err := c.prepared(ctx, query) //nolint:sqlclosecheck // Close closes it
	if err != nil {
		return nil, err
	}
	return statement.QueryContext(ctx, args...)
}

// exec runs one statement and returns how many rows it changed.
func (c *Conns) exec(ctx context.Context, doing, query string, args ...any) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, c.CallTimeout)
	defer cancel()
	if c.statements == nil {
		result, err := c.ExecContext(ctx, query, args...)
		return rowsAffected(doing, result, err)
	}
	statement, err := c.prepared(ctx, query) //nolint:sqlclosecheck // Close closes it
	if err != nil {
		return 0, Unavailable(doing, err)
	}
	result, err := statement.ExecContext(ctx, args...)
	return rowsAffected(doing, result, err)
}

// rowsAffected returns how many rows a statement changed.
func rowsAffected(doing string, result sql.Result, err error) (int64, error) {
	if err != nil {
		return 0, Unavailable(doing, err)
	}
	n, err := result.RowsAffected()
	return n, Unavailable(doing, err)
}

// prepared returns the prepared statement of a query. Close closes it with the connections.
func (c *Conns) prepared(ctx context.Context, query string) (*sql.Stmt, error) {
	if s, ok := c.statements.Load(query); ok {
		return s.(*sql.Stmt), nil
	}
	s, err := c.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	if first, lost := c.statements.LoadOrStore(query, s); lost { // two calls prepared it at once
		return first.(*sql.Stmt), s.Close() //nolint:sqlclosecheck // it is closed here, once
	}
	return s, nil
}
