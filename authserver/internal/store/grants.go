package store

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"time"

	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
)

// sweepSize is how many rows that are of no use any more go with every new grant.
// More than one, so that the table shrinks when logins become fewer; few, so that
// no login waits for it.
const sweepSize = 4

// sweepMargin keeps a grant a little longer than its last token, since verifiers
// allow clocks to differ.
const sweepMargin = time.Minute

// StartGrant stores a grant that a user gives, and returns its number. It is
// grant.ErrInactive if the user is disabled or gone at this moment, or the client
// gone: the statement that notes the login decides the one, the statement that
// inserts the grant the other. Each holds the row until the grant is there, so that
// disabling a user or deleting a client misses no grant.
func (s *Store) StartGrant(ctx context.Context, g grant.Grant) (number int64, err error) {
	err = s.inTx(ctx, "start grant", func(tx *sql.Tx) error {
		n, err := changed(ctx, tx, "note login",
			"UPDATE users SET last_login_at = $2 WHERE id = $1 AND disabled_at IS NULL", g.UserID, seconds(g.CreatedAt))
		if err != nil {
			return err
		}
		if n == 0 {
			return grant.ErrInactive
		}
		err = tx.QueryRowContext(ctx,
			"INSERT INTO grants (type, client_id, user_id, scope, created_at, expires_at) "+
				"SELECT $1, id, $3, $4, $5, $6 FROM clients WHERE id = $2 "+s.dialect.keyShare+" RETURNING number",
			string(g.Type), g.ClientID, g.UserID, g.Scope.String(), seconds(g.CreatedAt), seconds(g.ExpiresAt)).Scan(&number)
		if errors.Is(err, sql.ErrNoRows) {
			return grant.ErrInactive
		}
		if err != nil {
			return unavailable("start grant", err)
		}
		_, err = changed(ctx, tx, "sweep grants",
			"DELETE FROM grants WHERE number IN (SELECT number FROM grants WHERE expires_at < $1 ORDER BY expires_at LIMIT $2 "+s.dialect.skipLocked+")",
			seconds(g.CreatedAt.Add(-sweepMargin)), sweepSize)
		return err
	})
	return number, err
}

const grantColumns = "number, type, client_id, user_id, scope, created_at, expires_at, revoked_at"

// ErrNoGrant says that there is no grant of this number, or none any more.
var ErrNoGrant = errors.New("no such grant")

// GrantByNumber returns a grant, or ErrNoGrant.
func (s *Store) GrantByNumber(ctx context.Context, number int64) (grant.Grant, error) {
	return scanGrant(s.read.QueryRowContext(ctx, "SELECT "+grantColumns+" FROM grants WHERE number = $1", number))
}

func scanGrant(r row) (grant.Grant, error) {
	var g grant.Grant
	var grantType, scope string
	var clientID, userID sql.NullString
	var created, expires, revoked sql.NullInt64
	err := r.Scan(&g.Number, &grantType, &clientID, &userID, &scope, &created, &expires, &revoked)
	if errors.Is(err, sql.ErrNoRows) {
		return grant.Grant{}, ErrNoGrant
	}
	g.Type, g.Scope = oauth.GrantType(grantType), strings.Fields(scope)
	g.ClientID, g.UserID = clientID.String, userID.String
	g.CreatedAt, g.ExpiresAt, g.RevokedAt = timeOf(created), timeOf(expires), timeOf(revoked)
	return g, unavailable("read grant", err)
}

// ActiveGrants returns how many grants are neither expired nor revoked at now.
func (s *Store) ActiveGrants(ctx context.Context, now time.Time) (int64, error) {
	var n int64
	err := s.read.QueryRowContext(ctx, "SELECT COUNT(*) FROM grants WHERE expires_at >= $1 AND revoked_at IS NULL", seconds(now)).Scan(&n)
	return n, unavailable("count grants", err)
}
