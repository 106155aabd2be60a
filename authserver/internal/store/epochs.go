package store

import (
	"context"
	"time"
)

// Epochs returns the names of the epochs that restores have begun, oldest first. All grants that are
// not revoked belong to the last of them, or to the unnamed first epoch if there are no others.
func (s *Store) Epochs(ctx context.Context) ([]string, error) {
	return list(ctx, s.read, "list epochs", func(r row) (name string, err error) {
		return name, unavailable("list epochs", r.Scan(&name))
	}, "SELECT name FROM epochs ORDER BY id")
}

// StartEpoch begins an epoch, for a database that was restored from an older copy. The copy does not
// know what happened after it was made, so StartEpoch revokes all grants, deletes all browser sessions,
// authorization codes, device codes and consents, and returns how many grants it revoked. It may take as long as ctx
// allows.
func (s *Store) StartEpoch(ctx context.Context, name string, now time.Time) (revoked int64, err error) {
	tx, err := s.write.BeginTx(ctx, nil)
	if err != nil {
		return 0, unavailable("start epoch", err)
	}
	defer func() { _ = tx.Rollback() }() // no effect after Commit
	for _, statement := range append(s.db.Engine.LongTransaction(), s.dialect.lockGrants...) {
		if _, err := tx.ExecContext(ctx, statement); err != nil {
			return 0, unavailable("start epoch", err)
		}
	}
	if revoked, err = startEpoch(ctx, tx, name, now); err != nil {
		return 0, err
	}
	return revoked, unavailable("start epoch", tx.Commit())
}

func startEpoch(ctx context.Context, tx transaction, name string, now time.Time) (revoked int64, err error) {
	if err := addNotices(ctx, tx, now, ofActive); err != nil {
		return 0, err
	}
	for _, statement := range []string{
		"DELETE FROM codes", "DELETE FROM device_codes", "DELETE FROM pushed_requests",
		"DELETE FROM sessions", "DELETE FROM api_consents", "DELETE FROM links", "DELETE FROM sign_ups",
		"DELETE FROM mail_requests", "DELETE FROM pending_logins",
	} {
		if _, err := changed(ctx, tx, "start epoch", statement); err != nil {
			return 0, err
		}
	}
	if revoked, err = revokeGrants(ctx, tx, now, "number > 0"); err != nil {
		return 0, err
	}
	_, err = changed(ctx, tx, "start epoch",
		"INSERT INTO epochs (name, started_at) VALUES ($1, $2)", name, seconds(now))
	if err != nil {
		return 0, err
	}
	return revoked, auditThing(ctx, tx, "database_restored", name, now)
}
