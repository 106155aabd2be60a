package store

import (
	"context"
	"strconv"
	"time"

	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
)

// Bounds of the notices that wait.
const (
	// maxNotices is how many may wait before new ones are dropped.
	maxNotices = 100_000
	// maxNewNotices is how many one logout can add.
	maxNewNotices = 10_000
)

// addNotices adds a notice for each client and session of the grants that meet the condition, whose arguments
// start at $2. It locks nothing. Call it before the grants are revoked and the sessions deleted.
func addNotices(ctx context.Context, tx transaction, now time.Time, condition string, args ...any) error {
	_, err := changed(ctx, tx, "add logout notices",
		"INSERT INTO logout_notices (client_id, subject, sid, created_at, due_at) "+
			"SELECT DISTINCT grants.client_id, grants.user_id, grants.sid, CAST($1 AS BIGINT), CAST($1 AS BIGINT) "+
			"FROM grants JOIN clients ON clients.id = grants.client_id AND clients.backchannel_logout_uri <> '' "+
			"WHERE grants.sid <> '' AND grants.user_id IS NOT NULL AND "+condition+" "+
			"AND (SELECT COUNT(*) FROM logout_notices) < "+strconv.Itoa(maxNotices)+
			" LIMIT "+strconv.Itoa(maxNewNotices),
		append([]any{seconds(now)}, args...)...)
	return err
}

// Conditions of addNotices.
const (
	// ofSession selects the grants of a session that has not ended yet.
	ofSession = "grants.session = $2 AND grants.session <> '' " +
		"AND EXISTS (SELECT 1 FROM sessions WHERE sessions.digest = $2)"
	// ofActive selects the grants that are active, or whose session is. A client that has revoked its tokens
	// still knows the session.
	ofActive = "(grants.revoked_at IS NULL OR EXISTS (SELECT 1 FROM sessions WHERE sessions.digest = grants.session))"
	// ofUser selects those of a user.
	ofUser = "grants.user_id = (SELECT id FROM users WHERE username = $2) AND " + ofActive
)

// TakeLogoutNotices returns up to limit notices that are due at now, and up to perClient of each client. It
// leases them until the given time: until then no server takes them again.
func (s *Store) TakeLogoutNotices(
	ctx context.Context,
	now, until time.Time,
	perClient, limit int,
) ([]grant.LogoutNotice, error) {
	var some bool
	err := s.read.scanRow(ctx, "SELECT EXISTS (SELECT 1 FROM logout_notices WHERE due_at <= $1)",
		[]any{seconds(now)}, &some)
	if err != nil || !some {
		return nil, unavailable("take logout notices", err)
	}
	return list(ctx, s.write, "take logout notices", func(r row) (n grant.LogoutNotice, err error) {
		return n, unavailable("take logout notices", r.Scan(&n.ID, &n.ClientID, &n.Subject, &n.SessionID, &n.Attempts))
	}, "WITH due AS MATERIALIZED (SELECT id FROM logout_notices WHERE due_at <= $1 AND id IN "+
		"(SELECT id FROM (SELECT id, ROW_NUMBER() OVER (PARTITION BY client_id ORDER BY due_at, id) AS place "+
		"FROM logout_notices WHERE due_at <= $1) AS placed WHERE place <= $3 ORDER BY place, id LIMIT $4) "+
		s.dialect.skipLocked+") "+
		"UPDATE logout_notices SET due_at = $2, attempts = attempts + 1 WHERE id IN (SELECT id FROM due) "+
		"RETURNING id, client_id, subject, sid, attempts",
		seconds(now), seconds(until), perClient, limit)
}

// DeleteLogoutNotice deletes a notice that was sent or given up. It does nothing if another server has taken
// the notice since.
func (s *Store) DeleteLogoutNotice(ctx context.Context, n grant.LogoutNotice) error {
	_, err := s.exec(ctx, "delete logout notice",
		"DELETE FROM logout_notices WHERE id = $1 AND attempts = $2", n.ID, n.Attempts)
	return err
}

// ReturnLogoutNotice makes a notice that was not sent due again at a later time, and does not count the attempt. It
// does nothing if another server has taken the notice since.
func (s *Store) ReturnLogoutNotice(ctx context.Context, n grant.LogoutNotice, until time.Time) error {
	_, err := s.exec(ctx, "return logout notice",
		"UPDATE logout_notices SET due_at = $3, attempts = attempts - 1 WHERE id = $1 AND attempts = $2",
		n.ID, n.Attempts, seconds(until))
	return err
}

// PostponeLogoutNotice makes a notice due again at a later time. It does nothing if another server has taken
// the notice since.
func (s *Store) PostponeLogoutNotice(ctx context.Context, n grant.LogoutNotice, until time.Time) error {
	_, err := s.exec(ctx, "postpone logout notice",
		"UPDATE logout_notices SET due_at = $3 WHERE id = $1 AND attempts = $2", n.ID, n.Attempts, seconds(until))
	return err
}
