package store

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
)

const userColumns = "id, username, name, password_hash, password_version, " +
	"created_at, last_login_at, disabled_at"

// CreateUser adds a user. It returns record.ErrExists if there is a user with the username.
func (s *Store) CreateUser(ctx context.Context, u account.User) error {
	return s.execOne(ctx, "create user", errUserExists,
		"INSERT INTO users ("+userColumns+") VALUES ($1, $2, $3, $4, $5, $6, $7, $8) "+
			"ON CONFLICT (username) DO NOTHING",
		u.ID,
		u.Username,
		u.Name,
		u.PasswordHash,
		u.PasswordVersion,
		seconds(u.CreatedAt),
		seconds(u.LastLoginAt),
		seconds(u.DisabledAt),
	)
}

// UserByUsername returns a user, or record.ErrNotFound.
func (s *Store) UserByUsername(ctx context.Context, username string) (account.User, error) {
	return one(ctx, s.read, scanUser, "SELECT "+userColumns+" FROM users WHERE username = $1", username)
}

// UserByID returns a user, or record.ErrNotFound.
func (s *Store) UserByID(ctx context.Context, id string) (account.User, error) {
	return one(ctx, s.read, scanUser, "SELECT "+userColumns+" FROM users WHERE id = $1", id)
}

// Users returns all users, sorted by username.
func (s *Store) Users(ctx context.Context) ([]account.User, error) {
	return list(ctx, s.read, "list users", scanUser, "SELECT "+userColumns+" FROM users ORDER BY username")
}

// SetPassword sets the password hash of a user, deletes the user's failed logins and sessions,
// and revokes all grants of the user (RFC 9700 section 4.14.2). It returns record.ErrNotFound if
// there is no such user.
func (s *Store) SetPassword(ctx context.Context, username, hash string, now time.Time) error {
	return s.inTx(ctx, "set password", func(ctx context.Context, tx *sql.Tx) error {
		err := endSessions(ctx, tx, "set password", username, now,
			"UPDATE users SET password_hash = $2, password_version = password_version + 1 WHERE username = $1",
			username, hash)
		if err != nil {
			return err
		}
		_, err = changed(ctx, tx, "clear failed logins", clearFailures, account.ThrottleKey(username))
		return err
	})
}

// DisableUser prevents a user from logging in, deletes the user's sessions and revokes all grants
// of the user. It returns record.ErrNotFound if there is no such user. The time at which a user was
// first disabled is kept.
func (s *Store) DisableUser(ctx context.Context, username string, now time.Time) error {
	return s.inTx(ctx, "disable user", func(ctx context.Context, tx *sql.Tx) error {
		return endSessions(ctx, tx, "disable user", username, now,
			"UPDATE users SET disabled_at = COALESCE(disabled_at, $2) WHERE username = $1", username, seconds(now))
	})
}

// EnableUser lets a disabled user log in again. It returns record.ErrNotFound if there is no such
// user.
func (s *Store) EnableUser(ctx context.Context, username string) error {
	return s.execOne(ctx, "enable user", errNoUser,
		"UPDATE users SET disabled_at = NULL WHERE username = $1", username)
}

// DeleteUser deletes a user and the user's sessions, and revokes all grants of the user. It
// returns record.ErrNotFound if there is no such user.
func (s *Store) DeleteUser(ctx context.Context, username string, now time.Time) error {
	return s.inTx(ctx, "delete user", func(ctx context.Context, tx *sql.Tx) error {
		err := endSessions(ctx, tx, "delete user", username, now,
			"UPDATE users SET disabled_at = COALESCE(disabled_at, $2) WHERE username = $1", username, seconds(now))
		if err != nil {
			return err
		}
		_, err = changed(ctx, tx, "delete user", "DELETE FROM users WHERE username = $1", username)
		return err
	})
}

// endSessions runs update, which must change the user, then deletes the user's sessions and
// revokes the user's grants. The update locks the user's row, so that no grant is started in
// between.
func endSessions(
	ctx context.Context,
	tx *sql.Tx,
	doing, username string,
	now time.Time,
	update string,
	args ...any,
) error {
	n, err := changed(ctx, tx, doing, update, args...)
	if err != nil {
		return err
	}
	if n == 0 {
		return errNoUser
	}
	_, err = changed(ctx, tx, "end sessions",
		"DELETE FROM sessions WHERE user_id = (SELECT id FROM users WHERE username = $1)", username)
	if err != nil {
		return err
	}
	_, err = revokeGrants(ctx, tx, now, "user_id = (SELECT id FROM users WHERE username = $3)", username)
	return err
}

// ReplaceHash sets the user's password hash to new if it is still old. It does nothing if the
// password has been changed in the meantime.
func (s *Store) ReplaceHash(ctx context.Context, userID, old, new string) error {
	_, err := s.write.exec(ctx, "replace hash",
		"UPDATE users SET password_hash = $3 WHERE id = $1 AND password_hash = $2", userID, old, new)
	return err
}

func scanUser(r row) (account.User, error) {
	var u account.User
	var created, login, disabled sql.NullInt64
	err := r.Scan(&u.ID, &u.Username, &u.Name, &u.PasswordHash, &u.PasswordVersion, &created, &login, &disabled)
	if errors.Is(err, sql.ErrNoRows) {
		return account.User{}, errNoUser
	}
	u.CreatedAt, u.LastLoginAt, u.DisabledAt = timeOf(created), timeOf(login), timeOf(disabled)
	return u, unavailable("read user", err)
}
