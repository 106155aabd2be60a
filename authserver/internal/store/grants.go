package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"time"

	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
)

// sweepSize is the number of expired rows that each insert deletes. It is more than one, so that
// a table shrinks when logins become fewer, and small, so that it does not slow them down.
const sweepSize = 4

// sweepMargin is how much longer a grant is kept than its last token is valid, for the clock
// skew that verifiers allow.
const sweepMargin = time.Minute

// StartGrant stores a grant of a user who has logged in with a password, and returns its number.
// It returns grant.ErrInactive if the user is disabled or deleted, the password has been changed
// since it was checked, or the client is deleted. It locks the rows of the user and the client,
// so that disabling or deleting them misses no grant. It gives back the tries of the login.
func (s *Store) StartGrant(ctx context.Context, g grant.Grant) (number int64, err error) {
	err = s.inTx(ctx, "start grant", func(ctx context.Context, tx *sql.Tx) error {
		if err := recordPasswordLogin(ctx, tx, g); err != nil {
			return err
		}
		if err := giveBackTries(ctx, tx, g.Login); err != nil {
			return err
		}
		number, err = s.insertGrant(ctx, tx, g)
		return err
	})
	return number, err
}

// recordPasswordLogin sets the time of the user's last login and locks the user's row. It returns
// grant.ErrInactive if the user is disabled or deleted or has another password by now.
func recordPasswordLogin(ctx context.Context, tx *sql.Tx, g grant.Grant) error {
	n, err := changed(ctx, tx, "record login",
		"UPDATE users SET last_login_at = $2 WHERE id = $1 AND disabled_at IS NULL AND password_version = $3",
		g.UserID, seconds(g.CreatedAt), g.PasswordVersion)
	if err == nil && n == 0 {
		err = grant.ErrInactive
	}
	return err
}

// recordLogin sets the time of the user's last login and locks the user's row. It returns
// grant.ErrInactive if the user is disabled or deleted.
func recordLogin(ctx context.Context, tx *sql.Tx, g grant.Grant) error {
	n, err := changed(ctx, tx, "record login",
		"UPDATE users SET last_login_at = $2 WHERE id = $1 AND disabled_at IS NULL",
		g.UserID, seconds(g.CreatedAt))
	if err == nil && n == 0 {
		err = grant.ErrInactive
	}
	return err
}

func (s *Store) insertGrant(ctx context.Context, tx *sql.Tx, g grant.Grant) (number int64, err error) {
	err = tx.QueryRowContext(ctx,
		"INSERT INTO grants (type, client_id, user_id, session, audience, scope, created_at, expires_at, "+
			"refresh_family, refresh_digest, refresh_ends_at, refresh_expires_at) "+
			"SELECT $1, id, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12 FROM clients WHERE id = $2 "+
			s.dialect.keyShare+" RETURNING number",
		string(g.Type),
		g.ClientID,
		g.UserID,
		g.Session,
		s.storedAudience(g.Audience),
		g.Scope.String(),
		seconds(g.CreatedAt),
		seconds(g.ExpiresAt),
		g.Refresh.Family,
		g.Refresh.Current,
		seconds(g.Refresh.EndsAt),
		seconds(g.Refresh.ExpiresAt),
	).Scan(&number)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, grant.ErrInactive
	}
	if err != nil {
		return 0, unavailable("start grant", err)
	}
	return number, s.sweepGrants(ctx, tx, g.CreatedAt)
}

// sweepGrants deletes a few expired grants.
func (s *Store) sweepGrants(ctx context.Context, tx *sql.Tx, now time.Time) error {
	_, err := changed(ctx, tx, "sweep grants",
		"DELETE FROM grants WHERE number IN "+
			"(SELECT number FROM grants WHERE expires_at < $1 ORDER BY expires_at LIMIT $2 "+s.dialect.skipLocked+")",
		seconds(now.Add(-sweepMargin)), sweepSize)
	return err
}

// never is the expiry of a service's grant, in the last year that every engine and format can
// represent.
var never = time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)

// ServiceGrant returns the number of the grant of the client itself, which all its
// client_credentials tokens share. It starts the grant if the client has none. It returns
// grant.ErrInactive if the client is deleted.
func (s *Store) ServiceGrant(ctx context.Context, clientID string, now time.Time) (number int64, err error) {
	const find = "SELECT number FROM grants " +
		"WHERE client_id = $1 AND type = 'client_credentials' AND revoked_at IS NULL"
	err = s.read.scanRow(ctx, find, []any{clientID}, &number)
	if !errors.Is(err, sql.ErrNoRows) {
		return number, unavailable("find service grant", err)
	}
	err = s.inTx(ctx, "start service grant", func(ctx context.Context, tx *sql.Tx) error {
		_, err := changed(ctx, tx, "start service grant",
			"INSERT INTO grants (type, client_id, scope, created_at, expires_at) "+
				"SELECT 'client_credentials', id, '', $2, $3 FROM clients WHERE id = $1 "+
				s.dialect.keyShare+" ON CONFLICT DO NOTHING",
			clientID, seconds(now), seconds(never))
		if err != nil {
			return err
		}
		return s.sweepGrants(ctx, tx, now)
	})
	if err != nil {
		return 0, err
	}
	err = s.write.scanRow(ctx, find, []any{clientID}, &number)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, grant.ErrInactive
	}
	return number, unavailable("find service grant", err)
}

// RotateRefresh replaces the state of a grant's refresh tokens by r and extends the grant to
// expiresAt, if the digest of its current token is still replaced and the grant is active. It
// reports whether it did. Of many concurrent calls for one token, one returns true.
func (s *Store) RotateRefresh(
	ctx context.Context,
	number int64,
	replaced string,
	r grant.Refresh,
	now, expiresAt time.Time,
) (bool, error) {
	trail, err := json.Marshal(r.Replaced)
	if err != nil {
		return false, err
	}
	n, err := s.write.exec(ctx, "rotate refresh token",
		"UPDATE grants SET refresh_digest = $3, refresh_trail = $4, expires_at = $5, refresh_expires_at = $7 "+
			"WHERE number = $1 AND refresh_digest = $2 AND revoked_at IS NULL AND refresh_expires_at > $6",
		number, replaced, r.Current, string(trail), seconds(expiresAt), seconds(now), seconds(r.ExpiresAt))
	return n == 1, err
}

const grantColumns = "number, type, client_id, user_id, session, audience, scope, " +
	"created_at, expires_at, revoked_at, " +
	"refresh_family, refresh_digest, refresh_trail, refresh_ends_at, refresh_expires_at"

// GrantByNumber returns a grant, or record.ErrNotFound.
func (s *Store) GrantByNumber(ctx context.Context, number int64) (grant.Grant, error) {
	g, err := one(ctx, s.read, scanGrant, "SELECT "+grantColumns+" FROM grants WHERE number = $1", number)
	if err == nil && g.Type != oauth.GrantClientCredentials { // the grant of a service is for every API
		g.Audience = s.audience(g.Audience)
	}
	return g, err
}

func scanGrant(r row) (grant.Grant, error) {
	var g grant.Grant
	var grantType, scope string
	var clientID, userID sql.NullString
	var created, expires, revoked, ends, idle sql.NullInt64
	var trail string
	err := r.Scan(&g.Number, &grantType, &clientID, &userID, &g.Session, &g.Audience, &scope,
		&created, &expires, &revoked,
		&g.Refresh.Family, &g.Refresh.Current, &trail, &ends, &idle)
	if errors.Is(err, sql.ErrNoRows) {
		return grant.Grant{}, errNoGrant
	}
	if err == nil && trail != "" {
		err = json.Unmarshal([]byte(trail), &g.Refresh.Replaced)
	}
	g.Type, g.Scope = oauth.GrantType(grantType), words(scope)
	g.ClientID, g.UserID = clientID.String, userID.String
	g.CreatedAt, g.ExpiresAt, g.RevokedAt = timeOf(created), timeOf(expires), timeOf(revoked)
	g.Refresh.EndsAt, g.Refresh.ExpiresAt = timeOf(ends), timeOf(idle)
	return g, unavailable("read grant", err)
}
