package store

import (
	"context"
	"sync"
)

// sweptTables are the tables whose expired rows are deleted when rows are added, or by Sweep.
var sweptTables = []string{
	"apis", "clients", "codes", "device_codes", "grants", "inbox_mails", "invitations",
	"known_addresses", "links", "locks", "login_failures", "mail_requests", "pending_logins", "pushed_requests",
	"sessions",
	"sign_ups", "used_assertions", "webhook_deliveries",
}

// sweep runs a statement of a transaction that deletes expired rows of a table, and returns how many there were.
func sweep(ctx context.Context, tx transaction, table, query string, args ...any) (int64, error) {
	n, err := changed(ctx, tx, "sweep "+table, query, args...)
	if counted, ok := tx.(*countedTx); ok && n > 0 {
		counted.add(table, n)
	}
	return n, err
}

// sweep deletes expired rows of a table in a transaction of its own, and returns how many there were.
func (s *Store) sweep(ctx context.Context, table, query string, args ...any) (int64, error) {
	n, err := s.exec(ctx, "sweep "+table, query, args...)
	if err == nil {
		s.swept.add(map[string]int64{table: n})
	}
	return n, err
}

// countedTx is a transaction that knows how many expired rows it has deleted, by table.
type countedTx struct {
	transaction
	swept map[string]int64 // nil if it has deleted none
}

func (t *countedTx) add(table string, rows int64) {
	if t.swept == nil {
		t.swept = map[string]int64{}
	}
	t.swept[table] += rows
}

// sweeps counts the expired rows that were deleted. It is safe for concurrent use.
type sweeps struct {
	mu   sync.Mutex
	rows map[string]int64 // by table; nil before the first
}

// add adds rows by their table.
func (s *sweeps) add(rows map[string]int64) {
	if len(rows) == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.rows == nil {
		s.rows = map[string]int64{}
	}
	for table, n := range rows {
		s.rows[table] += n
	}
}

// Swept returns how many expired rows this Store has deleted since it was opened, by table.
func (s *Store) Swept() map[string]int64 {
	s.swept.mu.Lock()
	defer s.swept.mu.Unlock()
	rows := map[string]int64{}
	for _, table := range sweptTables {
		rows[table] = s.swept.rows[table]
	}
	return rows
}
