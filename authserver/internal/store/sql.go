package store

import (
	"context"
	"time"

	"github.com/hallpass-auth/hallpass/shared/database"
)

// What the statements of this package are written with, by short names.
type (
	transaction = database.Tx
	row         = database.Row
	pool        struct{ *database.Conns }
)

// txKey is the key of the transaction of Together in a context.
type txKey struct{}

// txOf returns the transaction of Together, if the context is of one.
func txOf(ctx context.Context) (tx transaction, ok bool) {
	tx, ok = ctx.Value(txKey{}).(transaction)
	return tx, ok
}

// Together runs steps in one transaction. Every method of this store that steps calls with the context that it gets
// takes part in it. If steps returns an error, nothing is written; steps must return every error of a call that writes.
// Steps may be called more than once: it must assign its results, and must not use the context after it returns.
//
// A name that is not empty is locked: of calls of Together with the same name, one runs at a time, also of other
// processes. The time now says when the lock was taken.
func (s *Store) Together(ctx context.Context, name string, now time.Time, steps func(context.Context) error) error {
	run := func(ctx context.Context, tx transaction) error {
		if name != "" {
			if err := s.lock(ctx, tx, "together "+name, now); err != nil {
				return err
			}
		}
		return steps(context.WithValue(ctx, txKey{}, tx))
	}
	if tx, ok := txOf(ctx); ok {
		return run(ctx, tx)
	}
	return s.counted(func(steps func(context.Context, transaction) error) error {
		return s.db.InLongTx(ctx, "commit changes", steps)
	}, run)
}

// scanRow runs a query for one row and scans it into variables.
func (p pool) scanRow(ctx context.Context, query string, args []any, into ...any) error {
	if tx, ok := txOf(ctx); ok {
		return tx.QueryRowContext(ctx, query, args...).Scan(into...)
	}
	return p.ScanRow(ctx, query, args, into...)
}

// one runs a query for one row and returns what scan makes of it.
func one[T any](ctx context.Context, p pool, scan func(row) (T, error), query string, args ...any) (T, error) {
	if tx, ok := txOf(ctx); ok {
		return scan(tx.QueryRowContext(ctx, query, args...))
	}
	return database.One(ctx, p.Conns, scan, query, args...)
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
	if tx, ok := txOf(ctx); ok {
		return database.ListTx(ctx, tx, doing, scan, query, args...)
	}
	return database.List(ctx, p.Conns, doing, scan, query, args...)
}

// inTx runs steps in a transaction: that of Together, or one of their own. See [database.DB.InTx].
func (s *Store) inTx(ctx context.Context, doing string, steps func(context.Context, transaction) error) error {
	if tx, ok := txOf(ctx); ok {
		return steps(ctx, tx)
	}
	return s.counted(func(steps func(context.Context, transaction) error) error {
		return s.db.InTx(ctx, doing, steps)
	}, steps)
}

// counted runs steps in a transaction that run begins, and counts the expired rows that they delete.
func (s *Store) counted(
	run func(func(context.Context, transaction) error) error,
	steps func(context.Context, transaction) error,
) error {
	var last *countedTx // steps may be called more than once: the last time counts
	err := run(func(ctx context.Context, tx transaction) error {
		last = &countedTx{transaction: tx}
		return steps(ctx, last)
	})
	if err == nil && last != nil {
		s.swept.add(last.swept)
	}
	return err
}

// exec runs one statement in a transaction and returns how many rows it changed.
func (s *Store) exec(ctx context.Context, doing, query string, args ...any) (int64, error) {
	if tx, ok := txOf(ctx); ok {
		return changed(ctx, tx, doing, query, args...)
	}
	return s.db.Exec(ctx, doing, query, args...)
}

// execOne runs one statement and returns missing if it changes no row.
func (s *Store) execOne(ctx context.Context, doing string, missing error, query string, args ...any) error {
	n, err := s.exec(ctx, doing, query, args...)
	if err == nil && n == 0 {
		return missing
	}
	return err
}

// changed runs one statement of a transaction and returns how many rows it changed.
func changed(ctx context.Context, tx transaction, doing, query string, args ...any) (int64, error) {
	return database.Changed(ctx, tx, doing, query, args...)
}

// changedOne runs one statement of a transaction and returns missing if it changes no row.
func changedOne(ctx context.Context, tx transaction, doing string, missing error, query string, args ...any) error {
	n, err := changed(ctx, tx, doing, query, args...)
	if err == nil && n == 0 {
		return missing
	}
	return err
}

// unavailable wraps an error of the driver in ErrUnavailable. It returns nil for nil.
func unavailable(doing string, err error) error { return database.Unavailable(doing, err) }
