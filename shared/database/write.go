package database

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// Tx runs the statements of one write.
type Tx interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// InTx runs steps in a transaction. If steps returns an error, it undoes what steps has written and
// returns the error.
//
// Steps may be called more than once: on SQLite because other writes may share the transaction, and on PostgreSQL
// because it aborts one of two deadlocked transactions. So steps must assign its results, not append to
// them or increment them. It must not call another method that writes: that would deadlock.
func (d *DB) InTx(ctx context.Context, doing string, steps func(context.Context, Tx) error) error {
	ctx, cancel := context.WithTimeout(ctx, d.Write.CallTimeout)
	defer cancel()
	if d.committer != nil {
		return d.committer.commit(ctx, doing, steps)
	}
	return d.Write.inTxAgain(ctx, doing, steps)
}

// longTx is how many times as long as InTx a call of InLongTx may take.
const longTx = 10

// InLongTx is InTx for many statements: it may take ten times as long.
func (d *DB) InLongTx(ctx context.Context, doing string, steps func(context.Context, Tx) error) error {
	ctx, cancel := context.WithTimeout(ctx, longTx*d.Write.CallTimeout)
	defer cancel()
	if d.committer != nil {
		return d.committer.commit(ctx, doing, steps)
	}
	return d.Write.inTxAgain(ctx, doing, steps)
}

// Exec runs one statement in a transaction and returns how many rows it changed.
func (d *DB) Exec(ctx context.Context, doing, query string, args ...any) (n int64, err error) {
	if d.committer == nil {
		return d.Write.exec(ctx, doing, query, args...)
	}
	err = d.InTx(ctx, doing, func(ctx context.Context, tx Tx) error {
		n, err = Changed(ctx, tx, doing, query, args...)
		return err
	})
	return n, err
}

// Changed runs one statement of a transaction and returns how many rows it changed.
func Changed(ctx context.Context, tx Tx, doing, query string, args ...any) (int64, error) {
	result, err := tx.ExecContext(ctx, query, args...)
	return rowsAffected(doing, result, err)
}

// deadlockTries limits the tries of inTxAgain. It pauses after each, so that those who waited get their locks first.
const (
	deadlockTries = 5
	deadlockPause = 20 * time.Millisecond
)

// inTxAgain is inTx with retries: if PostgreSQL has rolled the transaction back to break a deadlock, it runs steps
// again. Most transactions lock in the same order, but those that end the logins of
// a user and those that end the logins at several clients cannot.
func (c *Conns) inTxAgain(ctx context.Context, doing string, steps func(context.Context, Tx) error) (err error) {
	for range deadlockTries {
		if err = c.inTx(ctx, doing, steps); !isDeadlock(err) {
			return err
		}
		select {
		case <-time.After(deadlockPause):
		case <-ctx.Done():
			return err
		}
	}
	return err
}

// isDeadlock reports whether an error is PostgreSQL's deadlock_detected.
func isDeadlock(err error) bool {
	var refused *pgconn.PgError
	return errors.As(err, &refused) && refused.Code == "40P01"
}

// inTx runs steps in its own transaction. If steps returns an error, inTx rolls back and returns it.
func (c *Conns) inTx(ctx context.Context, doing string, steps func(context.Context, Tx) error) error {
	tx, err := c.BeginTx(ctx, nil)
	if err != nil {
		return Unavailable(doing, err)
	}
	defer func() { _ = tx.Rollback() }() // no effect after Commit
	if c.statements == nil {
		if err := steps(ctx, tx); err != nil {
			return err
		}
		return Unavailable(doing, tx.Commit())
	}
	prepared := &preparedTx{Tx: tx, conns: c}
	if err := steps(ctx, prepared); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return Unavailable(doing, err)
	}
	prepared.prepareNew(ctx)
	return nil
}

// preparedTx is a transaction that uses the prepared statements of a pool.
type preparedTx struct {
	*sql.Tx
	conns *Conns
	// compiled are the queries that had no prepared statement yet. They cannot be prepared while the
	// transaction uses the only connection of the pool.
	compiled []string
}

func (t *preparedTx) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	if s := t.statement(ctx, query); s != nil { //nolint:sqlclosecheck // the end of the transaction closes it
		return s.ExecContext(ctx, args...)
	}
	return t.Tx.ExecContext(ctx, query, args...)
}

func (t *preparedTx) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	if s := t.statement(ctx, query); s != nil { //nolint:sqlclosecheck // the end of the transaction closes it
		return s.QueryRowContext(ctx, args...)
	}
	return t.Tx.QueryRowContext(ctx, query, args...)
}

// statement returns the prepared statement of a query, or nil if it is not prepared yet.
func (t *preparedTx) statement(ctx context.Context, query string) *sql.Stmt {
	if s, ok := t.conns.statements.Load(query); ok {
		return t.StmtContext(ctx, s.(*sql.Stmt))
	}
	t.compiled = append(t.compiled, query)
	return nil
}

// prepareNew prepares the queries that the transaction has compiled, for the next one. If it fails,
// they are compiled again.
func (t *preparedTx) prepareNew(ctx context.Context) {
	for _, query := range t.compiled {
		_, _ = t.conns.prepared(ctx, query) //nolint:sqlclosecheck // Close closes it
	}
}
