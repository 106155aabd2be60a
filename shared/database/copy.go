package database

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
)

// Errors of CopyTo.
var (
	// ErrNotEmpty means that the database to copy to already has rows.
	ErrNotEmpty = errors.New("the database is not empty")
	// ErrCopyDiffers means that the copy differs from the original.
	ErrCopyDiffers = errors.New("the copy differs from the original")
	// ErrCopyUnknown means that the connection was lost while a copy was committed: it is complete, or nothing was
	// copied.
	ErrCopyUnknown = errors.New("the database did not confirm the copy")
)

// progressRows is how many rows are copied between two calls of a progress function.
const progressRows = 5000

// CopiedTable is a table that CopyTo has copied.
type CopiedTable struct {
	Name string
	Rows int64
}

// CopyProgress is how far CopyTo is.
type CopyProgress struct {
	// Doing is "copy" or "check".
	Doing, Table string
	// Done and Total count rows of all tables. Each row is copied and checked, so it counts twice.
	Done, Total int64
}

// CopyTo copies all rows to a PostgreSQL database with the same schema, reads them back and compares them. What
// migrations have inserted there is replaced. It returns ErrNotEmpty if one of the tables in empty has
// rows, and ErrCopyDiffers if what it reads back is not what it has written. After an error the database is as before,
// except after ErrCopyUnknown, which leaves all rows or none.
//
// Columns must be text or BIGINT. Rows that are inserted later get numbers as they would have in
// the original.
func (l *SQLiteLock) CopyTo(
	ctx context.Context,
	to *DB,
	empty []string,
	progress func(CopyProgress),
) (copied []CopiedTable, err error) {
	if to.Engine != PostgreSQL {
		return nil, fmt.Errorf("%w: a copy goes to PostgreSQL", ErrURL)
	}
	tables, err := l.tables(ctx)
	if err != nil {
		return nil, Unavailable("read the tables", err)
	}
	conn, err := to.Write.Conn(ctx)
	if err != nil {
		return nil, Unavailable("connect", err)
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	err = conn.Raw(func(driver any) error {
		direct, ok := driver.(*stdlib.Conn)
		if !ok {
			return errors.New("the connection is wrapped")
		}
		c := &copying{from: l, tables: tables, progress: progress}
		return c.in(ctx, direct.Conn(), empty)
	})
	if err != nil {
		return nil, canceled(ctx, err)
	}
	for _, t := range tables {
		copied = append(copied, CopiedTable{t.name, t.rows})
	}
	return copied, nil
}

// in copies in a transaction of its own.
func (c *copying) in(ctx context.Context, conn *pgx.Conn, empty []string) (err error) {
	if c.to, err = conn.Begin(ctx); err != nil {
		return Unavailable("begin", err)
	}
	if err := c.run(ctx, empty); err != nil {
		_ = c.to.Rollback(ctx) // without a connection, PostgreSQL rolls back by itself
		return err
	}
	err = c.to.Commit(ctx)
	var refused *pgconn.PgError
	switch {
	case err == nil:
		return nil
	// A FATAL error may come while PostgreSQL waits for a standby: the copy is stored then.
	case errors.As(err, &refused) && refused.Severity == "ERROR", errors.Is(err, pgx.ErrTxCommitRollback):
		return Unavailable("commit", err)
	}
	return fmt.Errorf("%w: %w", ErrCopyUnknown, err)
}

// canceled adds the reason to an error that a canceled context may have caused: pgx returns that of the
// connection, which it closes then.
func canceled(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil && !errors.Is(err, cause) {
		return fmt.Errorf("%w: %w", cause, err)
	}
	return err
}

// copying is a copy in progress, in one transaction.
type copying struct {
	from     *SQLiteLock
	to       pgx.Tx
	tables   []*table
	progress func(CopyProgress)
	done     int64
}

func (c *copying) run(ctx context.Context, empty []string) error {
	if err := c.begin(ctx, empty); err != nil {
		return err
	}
	for _, t := range c.tables {
		written, err := c.copy(ctx, t)
		if err != nil {
			return Unavailable("copy table "+t.name, err)
		}
		read, err := c.read(ctx, t)
		if err != nil {
			return Unavailable("check table "+t.name, err)
		}
		if read != written || written.rows != t.rows {
			return fmt.Errorf("%w: table %s: %d rows were read, %d written and %d read back",
				ErrCopyDiffers, t.name, t.rows, written.rows, read.rows)
		}
		if err := c.continueSerial(ctx, t); err != nil {
			return Unavailable("set the next number of table "+t.name, err)
		}
	}
	return nil
}

// begin locks the tables, checks that they are empty, and deletes what migrations have inserted.
func (c *copying) begin(ctx context.Context, empty []string) error {
	for _, statement := range PostgreSQL.LongTransaction() {
		if _, err := c.to.Exec(ctx, statement); err != nil {
			return Unavailable("begin", err)
		}
	}
	for _, t := range c.tables {
		if _, err := c.to.Exec(ctx, "LOCK TABLE "+quote(t.name)+" IN SHARE ROW EXCLUSIVE MODE"); err != nil {
			return Unavailable("lock table "+t.name, err)
		}
	}
	for _, name := range empty {
		var exists bool
		err := c.to.QueryRow(ctx, "SELECT EXISTS (SELECT 1 FROM "+quote(name)+")").Scan(&exists)
		if err != nil {
			return Unavailable("read table "+name, err)
		}
		if exists {
			return fmt.Errorf("%w: table %s has rows", ErrNotEmpty, name)
		}
	}
	for _, t := range slices.Backward(c.tables) {
		if _, err := c.to.Exec(ctx, "DELETE FROM "+quote(t.name)); err != nil {
			return Unavailable("empty table "+t.name, err)
		}
	}
	return nil
}

// copy copies the rows of a table and returns their sum.
func (c *copying) copy(ctx context.Context, t *table) (s rowSum, err error) {
	rows, err := c.from.QueryContext(ctx, t.selectAll()) //nolint:sqlclosecheck // CopyFrom does not keep them
	if err != nil {
		return s, err
	}
	defer rows.Close()
	values, into := make([]any, len(t.columns)), make([]any, len(t.columns))
	for i := range values {
		into[i] = &values[i]
	}
	next := func() ([]any, error) {
		if !rows.Next() {
			return nil, rows.Err() // nil ends the copy
		}
		if err := rows.Scan(into...); err != nil {
			return nil, err
		}
		c.count("copy", t)
		return values, s.add(values)
	}
	_, err = c.to.CopyFrom(ctx, pgx.Identifier{t.name}, t.columns, pgx.CopyFromFunc(next))
	return s, err
}

// read reads the rows of a table back and returns their sum.
func (c *copying) read(ctx context.Context, t *table) (s rowSum, err error) {
	rows, err := c.to.Query(ctx, t.selectAll())
	if err != nil {
		return s, err
	}
	defer rows.Close()
	for rows.Next() {
		values, err := rows.Values()
		if err != nil {
			return s, err
		}
		if err := s.add(values); err != nil {
			return s, err
		}
		c.count("check", t)
	}
	return s, rows.Err()
}

// count counts a row, and reports some of them.
func (c *copying) count(doing string, t *table) {
	if c.done++; c.done%progressRows != 0 || c.progress == nil {
		return
	}
	total := int64(0)
	for _, t := range c.tables {
		total += 2 * t.rows
	}
	c.progress(CopyProgress{Doing: doing, Table: t.name, Done: c.done, Total: total})
}

// continueSerial lets the next row of a table have the number that it would have in the original. Numbers
// of rows that were deleted are not used again.
func (c *copying) continueSerial(ctx context.Context, t *table) error {
	if t.serial == "" || t.last == 0 {
		return nil
	}
	_, err := c.to.Exec(ctx, "SELECT setval(pg_get_serial_sequence($1, $2), $3)", quote(t.name), t.serial, t.last)
	return err
}
