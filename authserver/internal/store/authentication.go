package store

import (
	"context"
	"database/sql"
	"errors"

	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
)

// inheritSessionID gives a session the public identifier of the previous session of the same browser and
// user, so that clients that know the identifier are told when the user logs out. It reports whether there is such
// a previous session.
func inheritSessionID(ctx context.Context, tx transaction, old, digest string) (bool, error) {
	var sid string
	err := tx.QueryRowContext(ctx,
		"SELECT sid FROM sessions WHERE digest = $1 AND user_id = (SELECT user_id FROM sessions WHERE digest = $2)",
		old, digest).Scan(&sid)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, unavailable("read session", err)
	}
	if sid == "" {
		sid = grant.SessionID(old)
	}
	_, err = changed(ctx, tx, "inherit session id", "UPDATE sessions SET sid = $2 WHERE digest = $1", digest, sid)
	return err == nil, err
}
