package store

import (
	"context"

	"github.com/hallpass-auth/hallpass/shared/database"
)

// What the statements of this package are written with, by short names.
type (
	transaction = database.Tx
	row         = database.Row
	pool        struct{ *database.Conns }
)

// scanRow runs a query for one row and scans it into variables.
func (p pool) scanRow(ctx context.Context, query string, args []any, into ...any) error {
	return p.ScanRow(ctx, query, args, into...)
}

// one runs a query for one row and returns what scan makes of it.
func one[T any](ctx context.Context, p pool, scan func(row) (T, error), query string, args ...any) (T, error) {
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
	return database.List(ctx, p.Conns, doing, scan, query, args...)
}

// inTx runs steps in a transaction: see [database.DB.InTx].
func (s *Store) inTx(ctx context.Context, doing string, steps func(context.Context, transaction) error) error {
	var last *countedTx // steps may be called more than once: the last time counts
	err := s.db.InTx(ctx, doing, func(ctx context.Context, tx transaction) error {
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

// unavailable wraps an error of the driver in ErrUnavailable. It returns nil for nil.
func unavailable(doing string, err error) error { return database.Unavailable(doing, err) }
