package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/audit"
	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
)

// StartGrant stores a grant of a user who has logged in with a password, and returns its number.
// It returns grant.ErrInactive if the user is disabled or deleted, the password has been changed
// since it was checked, or the user has a second factor, and grant.ErrClientChanged as insertGrant does. It locks the
// rows of the user and the client, so that disabling or deleting them misses no grant. It gives back the tries of the
// login and records its address.
func (s *Store) StartGrant(ctx context.Context, g grant.Grant) (number int64, err error) {
	err = s.inTx(ctx, "start grant", func(ctx context.Context, tx transaction) error {
		if err := lockForPasswordLogin(ctx, tx, g); err != nil {
			return err
		}
		if err := mustHaveStep(ctx, tx, g.UserID, nil); err != nil {
			return err
		}
		if err := s.finishLogin(ctx, tx, g.UserID, g.Login, g.CreatedAt); err != nil {
			return err
		}
		if number, err = s.insertGrant(ctx, tx, g); err != nil {
			return err
		}
		return auditUserAtClient(fromPlace(ctx, g.Place), tx, audit.Login, g.UserID, g.ClientID, g.CreatedAt,
			"methods", grant.MethodPassword, "grant_type", string(g.Type))
	})
	return number, err
}

// fromPlace returns a context whose actor is at a place, if that is known: a service may log users in for others.
func fromPlace(ctx context.Context, p account.Place) context.Context {
	a := audit.ActorFrom(ctx)
	if p.Address == "" {
		return ctx
	}
	a.Address = p.Address
	return audit.WithActor(ctx, a)
}

// setLastLogin sets the time $2 of the last login of the user $1, unless the user is disabled.
const setLastLogin = "UPDATE users SET last_login_at = $2 WHERE id = $1 AND disabled_at IS NULL"

// lockForLogin locks the user of a grant and sets the time of the user's last login. It returns grant.ErrInactive if
// the user is disabled or deleted.
func lockForLogin(ctx context.Context, tx transaction, g grant.Grant) error {
	return changedOne(ctx, tx, "lock user", grant.ErrInactive, setLastLogin, g.UserID, seconds(g.CreatedAt))
}

// lockForPasswordLogin does what lockForLogin does. It returns grant.ErrInactive too if the user has another password
// by now.
func lockForPasswordLogin(ctx context.Context, tx transaction, g grant.Grant) error {
	return changedOne(ctx, tx, "lock user", grant.ErrInactive, setLastLogin+" AND password_version = $3",
		g.UserID, seconds(g.CreatedAt), g.PasswordVersion)
}

// insertGrant stores a grant and returns its number. The place of a grant of a session is that of the
// session. It returns grant.ErrClientChanged if the client is deleted, or has another secret than the
// grant says. It locks the client's row: DeleteClient and ReplaceClientSecret either find the grant,
// or have changed the client before it is read here. So a client that was authenticated by a record
// that is out of date gets no grant that they miss.
func (s *Store) insertGrant(ctx context.Context, tx transaction, g grant.Grant) (number int64, err error) {
	err = tx.QueryRowContext(ctx,
		"INSERT INTO grants (type, client_id, user_id, session, audience, scope, created_at, expires_at, "+
			"refresh_family, refresh_digest, refresh_ends_at, refresh_expires_at, jkt, auth_time, methods, sid, "+
			"address, agent) "+
			"SELECT $1, id, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $14, $17, $18, $19, "+
			"COALESCE((SELECT sessions.address FROM sessions WHERE sessions.digest = $4), $15), "+
			"COALESCE((SELECT sessions.agent FROM sessions WHERE sessions.digest = $4), $16) FROM clients WHERE id = $2 AND "+
			hasSecret("$13")+" "+s.dialect.keyShare+" RETURNING number",
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
		g.SecretDigest,
		g.KeyThumbprint,
		g.Place.Address,
		g.Place.Agent,
		seconds(g.Authentication.At),
		strings.Join(g.Authentication.Methods, " "),
		g.Authentication.SessionID,
	).Scan(&number)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, grant.ErrClientChanged
	}
	if err != nil {
		return 0, unavailable("start grant", err)
	}
	return number, s.sweepGrants(ctx, tx, number, g.CreatedAt)
}

// never is the expiry of a service's grant, in the last year that every engine and format can
// represent.
var never = time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)

// ServiceGrant returns the number of the grant of the client itself, which all its
// client_credentials tokens share. It starts the grant if the client has none. It returns
// grant.ErrClientChanged if the client is deleted or the digest of its secret is another one. The
// search compares the digest too: a thief of a replaced secret must not get the grant that the client
// has started with the new one.
func (s *Store) ServiceGrant(
	ctx context.Context,
	clientID, secretDigest string,
	now time.Time,
) (number int64, err error) {
	find := "SELECT number FROM grants " +
		"WHERE client_id = (SELECT id FROM clients WHERE id = $1 AND " + hasSecret("$2") + ") " +
		"AND type = 'client_credentials' AND revoked_at IS NULL"
	err = s.read.scanRow(ctx, find, []any{clientID, secretDigest}, &number)
	if !errors.Is(err, sql.ErrNoRows) {
		return number, unavailable("find service grant", err)
	}
	err = s.inTx(ctx, "start service grant", func(ctx context.Context, tx transaction) error {
		_, err := changed(ctx, tx, "start service grant",
			"INSERT INTO grants (type, client_id, scope, created_at, expires_at) "+
				"SELECT 'client_credentials', id, '', $2, $3 FROM clients WHERE id = $1 AND "+
				hasSecret("$4")+" "+s.dialect.keyShare+" ON CONFLICT DO NOTHING",
			clientID, seconds(now), seconds(never), secretDigest)
		if err != nil {
			return err
		}
		return s.sweepSome(ctx, tx, expiringGrants, now)
	})
	if err != nil {
		return 0, err
	}
	err = s.write.scanRow(ctx, find, []any{clientID, secretDigest}, &number)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, grant.ErrClientChanged
	}
	return number, unavailable("find service grant", err)
}

// Statements that rotate a refresh token. The first one changes no column of an index, so that PostgreSQL stores the
// new row in the page of the previous one, if that has room, and writes no index (HOT). The second one also corrects
// how long the row is kept.
const (
	rotateRefresh = "UPDATE grants SET refresh_digest = $3, refresh_trail = $4, refresh_expires_at = $5" +
		whereCurrent
	rotateAndExtend = "UPDATE grants SET refresh_digest = $3, refresh_trail = $4, refresh_expires_at = $5, " +
		"expires_at = $7" + whereCurrent
	whereCurrent = " WHERE number = $1 AND refresh_digest = $2 AND revoked_at IS NULL AND refresh_expires_at > $6"
)

// RotateRefresh replaces the state of a grant's refresh tokens by next, if the grant has not been
// rotated since it was read, is active, and can be refreshed at now. It reports whether it did. Of many
// concurrent calls for one token, one returns true. The grant is kept until keepUntil at least, or until its
// refresh token has expired unused. Servers of previous versions keep it for a shorter time.
func (s *Store) RotateRefresh(
	ctx context.Context,
	g grant.Grant,
	next grant.Refresh,
	now, keepUntil time.Time,
) (bool, error) {
	replaced, err := json.Marshal(next.Replaced)
	if err != nil {
		return false, err
	}
	query := rotateRefresh
	args := []any{
		g.Number, g.Refresh.Current, next.Current, string(replaced), seconds(next.ExpiresAt), seconds(now),
	}
	if g.ExpiresAt.Unix() < keepUntil.Unix() {
		query = rotateAndExtend
		args = append(args, seconds(keepUntil))
	}
	n, err := s.exec(ctx, "rotate refresh token", query, args...)
	return n == 1, err
}

// BindGrant binds the refresh tokens of a grant to a key, unless they are bound to another one or g does not have the
// current one. It reports whether they are bound to this key now.
func (s *Store) BindGrant(ctx context.Context, g grant.Grant, keyThumbprint string) (bool, error) {
	n, err := s.exec(ctx, "bind grant",
		"UPDATE grants SET jkt = $2 WHERE number = $1 AND (jkt = $2 OR jkt = '' AND refresh_digest = $3)",
		g.Number, keyThumbprint, g.Refresh.Current)
	return n == 1, err
}

const grantColumns = "number, type, client_id, user_id, session, audience, scope, " +
	"created_at, expires_at, revoked_at, " +
	"refresh_family, refresh_digest, refresh_trail, refresh_ends_at, refresh_expires_at, " +
	"auth_time, methods, sid, parent, actors, jkt"

// GrantByNumber returns a grant, or record.ErrNotFound.
func (s *Store) GrantByNumber(ctx context.Context, number int64) (grant.Grant, error) {
	g, err := one(ctx, s.read, scanGrant, "SELECT "+grantColumns+" FROM grants WHERE number = $1", number)
	return s.withAudience(g), err
}

// GrantWithUser returns a grant and its user in one read, or record.ErrNotFound if there is no such
// grant. The user is the zero value if the grant is a service's, or if the user was deleted.
func (s *Store) GrantWithUser(ctx context.Context, number int64) (grant.Grant, account.User, error) {
	found, err := one(ctx, s.read, scanGrantWithUser, grantWithUser, number)
	return s.withAudience(found.grant), found.user, err
}

var grantWithUser = "SELECT " + ofTable("grants", grantColumns) + ", " + ofTable("users", userColumns) +
	" FROM grants LEFT JOIN users ON users.id = grants.user_id WHERE grants.number = $1"

// ofTable puts the name of a table before each column of a list.
func ofTable(table, columns string) string {
	return table + "." + strings.ReplaceAll(columns, ", ", ", "+table+".")
}

// withAudience returns a grant as it was read with the audience that the stored one means. The
// grant of a service is for every API.
func (s *Store) withAudience(g grant.Grant) grant.Grant {
	if g.Number != 0 && g.Type != oauth.GrantClientCredentials {
		g.Audience = s.audience(g.Audience)
	}
	return g
}

// grantRow holds the columns of a grant, in the order of grantColumns.
type grantRow struct {
	grant                                           grant.Grant
	grantType, scope, trail, methods, actors        string
	clientID, userID                                sql.NullString
	created, expires, revoked, ends, refreshExpires sql.NullInt64
	authenticated, parent                           sql.NullInt64
}

func (r *grantRow) columns() []any {
	g := &r.grant
	return []any{
		&g.Number, &r.grantType, &r.clientID, &r.userID, &g.Session, &g.Audience, &r.scope,
		&r.created, &r.expires, &r.revoked,
		&g.Refresh.Family, &g.Refresh.Current, &r.trail, &r.ends, &r.refreshExpires,
		&r.authenticated, &r.methods, &g.Authentication.SessionID, &r.parent, &r.actors,
		&g.KeyThumbprint,
	}
}

// read returns the grant, given the error of scanning its columns.
func (r *grantRow) read(err error) (grant.Grant, error) {
	if errors.Is(err, sql.ErrNoRows) {
		return grant.Grant{}, errNoGrant
	}
	g := r.grant
	if err == nil && r.trail != "" {
		err = json.Unmarshal([]byte(r.trail), &g.Refresh.Replaced)
	}
	g.Type, g.Scope = oauth.GrantType(r.grantType), words(r.scope)
	g.ClientID, g.UserID = r.clientID.String, r.userID.String
	g.CreatedAt, g.ExpiresAt, g.RevokedAt = timeOf(r.created), timeOf(r.expires), timeOf(r.revoked)
	g.Refresh.EndsAt, g.Refresh.ExpiresAt = timeOf(r.ends), timeOf(r.refreshExpires)
	g.Authentication.At, g.Authentication.Methods = timeOf(r.authenticated), words(r.methods)
	g.Parent, g.Actors = r.parent.Int64, words(r.actors)
	return g, unavailable("read grant", err)
}

func scanGrant(r row) (grant.Grant, error) {
	var columns grantRow
	return columns.read(r.Scan(columns.columns()...))
}

// userOfGrant is a grant with its user.
type userOfGrant struct {
	grant grant.Grant
	user  account.User
}

func scanGrantWithUser(r row) (found userOfGrant, err error) {
	var g grantRow
	var u userRow
	if found.grant, err = g.read(r.Scan(append(g.columns(), u.columns()...)...)); err == nil {
		found.user = u.user()
	}
	return found, err
}
