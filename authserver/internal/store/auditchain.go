package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/hallpass-auth/hallpass/authserver/internal/audit"
	"github.com/hallpass-auth/hallpass/authserver/internal/record"
	"github.com/hallpass-auth/hallpass/shared/database"
)

var errNoAuditRecord = fmt.Errorf("audit record %w", record.ErrNotFound)

// errOvertaken rolls back the sealing of records that another server has sealed first.
var errOvertaken = errors.New("another server seals")

// SealAudit adds up to limit records that wait to the chain, and for each a delivery to the webhooks that want it. It
// returns how many. Records do not change, so they are read before. If another server seals at the same time, one of
// them adds the next number, and the other returns 0. A record that is in the chain and still in the queue, which no
// server writes, is left out: it would stop the sealing.
func (s *Store) SealAudit(ctx context.Context, limit int) (sealed int, err error) {
	records, err := list(ctx, s.read, "read queue", func(r row) (audit.Record, error) {
		var columns auditRow
		err := r.Scan(columns.columns()...)
		return columns.record(), unavailable("read queue", err)
	}, "SELECT "+auditColumns+" FROM audit_queue JOIN audit_records AS r ON r.id = audit_queue.id "+
		"WHERE NOT EXISTS (SELECT 1 FROM audit_chain WHERE audit_chain.record = audit_queue.id) ORDER BY audit_queue.id "+
		"LIMIT $1", limit)
	if err != nil || len(records) == 0 {
		return 0, err
	}
	hooks, err := s.Webhooks(ctx)
	if err != nil {
		return 0, err
	}
	var dropped int64
	err = s.inTx(ctx, "seal", func(ctx context.Context, tx transaction) error {
		dropped = 0
		hooks := slices.Clone(hooks)
		last, err := auditHead(ctx, tx)
		if err != nil {
			return err
		}
		for _, r := range records {
			if last, err = sealRecord(ctx, tx, last, r); err != nil {
				return err
			}
			n, err := addDeliveries(ctx, tx, hooks, r)
			if err != nil {
				return err
			}
			dropped += n
		}
		return nil
	})
	if errors.Is(err, errOvertaken) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	s.droppedDeliveries.Add(dropped)
	return len(records), nil
}

// sealRecord adds a record to the chain after the last link, and returns its link.
func sealRecord(ctx context.Context, tx transaction, last audit.Link, r audit.Record) (audit.Link, error) {
	hash, err := audit.HashOf(last.Hash, last.Number+1, r)
	if err != nil {
		return last, err
	}
	link := audit.Link{Number: last.Number + 1, RecordID: r.ID, Hash: hash}
	for _, step := range []struct {
		query string
		args  []any
	}{
		{
			"INSERT INTO audit_chain (number, record, hash) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
			[]any{link.Number, link.RecordID, link.Hash},
		},
		{"DELETE FROM audit_queue WHERE id = $1", []any{r.ID}},
	} {
		if err := changedOne(ctx, tx, "seal", errOvertaken, step.query, step.args...); err != nil {
			return last, err
		}
	}
	return link, nil
}

// lastLinks are the last link of the chain, and the last cut, which it follows.
const lastLinks = "SELECT number, hash FROM (SELECT number, hash FROM " +
	"(SELECT number, hash FROM audit_chain ORDER BY number DESC LIMIT 1) AS link UNION ALL SELECT number, hash FROM " +
	"(SELECT number, hash FROM audit_cuts ORDER BY number DESC LIMIT 1) AS cut) AS ends ORDER BY number DESC LIMIT 1"

// auditHead returns the last link of the chain, without its record.
func auditHead(ctx context.Context, tx transaction) (l audit.Link, err error) {
	err = tx.QueryRowContext(ctx, lastLinks).Scan(&l.Number, &l.Hash)
	if errors.Is(err, sql.ErrNoRows) {
		return audit.Link{Hash: audit.Genesis}, nil
	}
	return l, unavailable("read the end of the chain", err)
}

// AuditHead returns the number and the hash of the last link of the chain.
func (s *Store) AuditHead(ctx context.Context) (l audit.Link, err error) {
	err = s.read.scanRow(ctx, lastLinks, nil, &l.Number, &l.Hash)
	if errors.Is(err, sql.ErrNoRows) {
		return audit.Link{Hash: audit.Genesis}, nil
	}
	return l, unavailable("read the end of the chain", err)
}

// CutAudit marks the oldest part of the chain, all of which is older than a time, to be dropped, and keeps its last
// hash. It marks nothing that is younger than audit.MinRetention at now.
func (s *Store) CutAudit(ctx context.Context, before, now time.Time) error {
	if latest := now.Add(-audit.MinRetention); before.After(latest) {
		before = latest
	}
	var upto sql.NullInt64
	err := s.read.scanRow(ctx, "SELECT COALESCE((SELECT audit_chain.number - 1 FROM audit_chain "+
		"JOIN audit_records ON audit_records.id = audit_chain.record WHERE audit_records.at >= $1 "+
		"ORDER BY audit_chain.number LIMIT 1), (SELECT MAX(number) FROM audit_chain))", []any{seconds(before)}, &upto)
	if err != nil || !upto.Valid {
		return unavailable("cut the chain", err)
	}
	if s.db.Engine == database.PostgreSQL {
		var cut int64
		return unavailable("cut the chain", s.write.scanRow(ctx, "SELECT audit_cut($1)", []any{upto.Int64}, &cut))
	}
	_, err = s.exec(ctx, "cut the chain", "INSERT INTO audit_cuts (number, hash, cut_at) "+
		"SELECT number, hash, $2 FROM audit_chain WHERE number = $1 "+
		"AND NOT EXISTS (SELECT 1 FROM audit_cuts WHERE number = $1)", upto.Int64, seconds(now))
	return err
}

// DropAudit deletes up to limit records before the last cut, oldest first, and their places in the chain. It returns
// how many.
func (s *Store) DropAudit(ctx context.Context, limit int) (dropped int64, err error) {
	if s.db.Engine == database.PostgreSQL {
		err = s.write.scanRow(ctx, "SELECT audit_drop($1)", []any{limit}, &dropped)
		return dropped, unavailable("drop audit records", err)
	}
	const oldest = "FROM audit_chain WHERE number <= (SELECT MAX(number) FROM audit_cuts) ORDER BY number LIMIT $1)"
	err = s.inTx(ctx, "drop audit records", func(ctx context.Context, tx transaction) error {
		_, err := changed(ctx, tx, "drop audit records",
			"DELETE FROM audit_records WHERE id IN (SELECT record "+oldest, limit)
		if err != nil {
			return err
		}
		dropped, err = changed(ctx, tx, "drop links", "DELETE FROM audit_chain WHERE number IN (SELECT number "+oldest, limit)
		return err
	})
	return dropped, err
}

// AuditCuts returns where the chain was cut, oldest first.
func (s *Store) AuditCuts(ctx context.Context) ([]audit.Cut, error) {
	return list(ctx, s.read, "list cuts", func(r row) (c audit.Cut, err error) {
		return c, unavailable("list cuts", r.Scan(&c.Number, &c.Hash))
	}, "SELECT number, hash FROM audit_cuts ORDER BY number")
}

// AuditLinks returns up to limit links after a number, in order, with their records.
func (s *Store) AuditLinks(ctx context.Context, after int64, limit int) ([]audit.Linked, error) {
	return list(ctx, s.read, "list links", func(r row) (l audit.Linked, err error) {
		var columns auditRow
		err = r.Scan(append(columns.columns(), &l.Number, &l.RecordID, &l.Hash)...)
		l.Record, l.Text, l.Found = columns.record(), columns.details.String, columns.id.Valid
		return l, unavailable("list links", err)
	}, "SELECT "+auditColumns+", audit_chain.number, audit_chain.record, audit_chain.hash FROM audit_chain "+
		"LEFT JOIN audit_records AS r ON r.id = audit_chain.record WHERE audit_chain.number > $1 "+
		"ORDER BY audit_chain.number LIMIT $2", after, limit)
}

// AuditLoose returns the first of up to limit records after an id that are neither in the chain nor in the queue, and
// the last id that it has looked at; both are empty after the last record.
func (s *Store) AuditLoose(ctx context.Context, after string, limit int) (loose, last string, err error) {
	var first, end sql.NullString
	err = s.read.scanRow(ctx, "SELECT MIN(CASE WHEN audit_chain.record IS NULL AND audit_queue.id IS NULL "+
		"THEN page.id END), MAX(page.id) FROM (SELECT id FROM audit_records WHERE id > $1 ORDER BY id LIMIT $2) AS page "+
		"LEFT JOIN audit_chain ON audit_chain.record = page.id LEFT JOIN audit_queue ON audit_queue.id = page.id",
		[]any{after, limit}, &first, &end)
	return first.String, end.String, unavailable("look for loose records", err)
}

// AuditWaiting returns how many records wait to be sealed, and the first of those that are gone meanwhile, if any.
func (s *Store) AuditWaiting(ctx context.Context) (waiting int64, gone string, err error) {
	var first sql.NullString
	err = s.read.scanRow(ctx, "SELECT COUNT(*), MIN(CASE WHEN audit_records.id IS NULL THEN audit_queue.id END) "+
		"FROM audit_queue LEFT JOIN audit_records ON audit_records.id = audit_queue.id", nil, &waiting, &first)
	return waiting, first.String, unavailable("count the queue", err)
}
