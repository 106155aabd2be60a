package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/record"
)

// CreateUser adds a user. It returns record.ErrExists if there is a user with the username, or
// with one that looks the same.
func (s *Store) CreateUser(ctx context.Context, u account.User) error {
	if err := s.fillSkeletons(ctx); err != nil {
		return err
	}
	return s.inTx(ctx, "create user", func(ctx context.Context, tx transaction) error {
		if err := createUser(ctx, tx, u); err != nil {
			return err
		}
		return auditAdmin(ctx, tx, "user_added", u.Username, u.CreatedAt, rights, rightsChange(nil, u.Groups))
	})
}

// createUser is CreateUser in a transaction, without the event. All users must have a skeleton.
func createUser(ctx context.Context, tx transaction, u account.User) error {
	skeleton := account.Skeleton(u.Username)
	n, err := changed(ctx, tx, "create user",
		"INSERT INTO users ("+userColumns+", skeleton) "+
			"SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15 "+
			"WHERE NOT EXISTS (SELECT 1 FROM users WHERE skeleton = $15) ON CONFLICT DO NOTHING",
		userValues(u, skeleton)...)
	if err == nil && n == 0 {
		return whyUserExists(ctx, tx, u.Username, skeleton)
	}
	return err
}

// whyUserExists returns errUserExists. If only a username that looks the same exists, the error
// names it.
func whyUserExists(ctx context.Context, tx transaction, username, skeleton string) error {
	var twin string
	err := tx.QueryRowContext(ctx,
		"SELECT username FROM users WHERE skeleton = $1 ORDER BY username <> $2, username LIMIT 1",
		skeleton, username).Scan(&twin)
	if errors.Is(err, sql.ErrNoRows) || (err == nil && twin == username) {
		return errUserExists
	}
	if err != nil {
		return unavailable("create user", err)
	}
	return fmt.Errorf("%w: %q looks the same", errUserExists, twin)
}

// UserByUsername returns a user, or record.ErrNotFound.
func (s *Store) UserByUsername(ctx context.Context, username string) (account.User, error) {
	return one(ctx, s.read, scanUser, "SELECT "+userColumns+" FROM users WHERE username = $1", username)
}

// UserByID returns a user, or record.ErrNotFound.
func (s *Store) UserByID(ctx context.Context, id string) (account.User, error) {
	return one(ctx, s.read, scanUser, "SELECT "+userColumns+" FROM users WHERE id = $1", id)
}

// Users returns a page of the users, sorted by username.
func (s *Store) Users(ctx context.Context, page record.Page) ([]account.User, error) {
	where, args := pageSQL(page, "username")
	return list(ctx, s.read, "list users", scanUser, "SELECT "+userColumns+" FROM users WHERE "+where, args...)
}

// DisableUser prevents a user from logging in, deletes the user's sessions and revokes all grants
// of the user. It returns record.ErrNotFound if there is no such user, or the error of a condition that does not hold.
// The time at which a user was first disabled is kept.
func (s *Store) DisableUser(ctx context.Context, username string, now time.Time, conditions ...Condition) error {
	return s.inTx(ctx, "disable user", func(ctx context.Context, tx transaction) error {
		if err := s.check(ctx, tx, username, conditions); err != nil {
			return err
		}
		id, err := updateAndEndLogins(ctx, tx, "disable user", now,
			"UPDATE users SET disabled_at = COALESCE(disabled_at, $2) WHERE username = $1", username, seconds(now))
		if err != nil {
			return err
		}
		_, err = changed(ctx, tx, "delete links", // they must not work again once the user is enabled
			"DELETE FROM links WHERE user_id = $1", id)
		if err != nil {
			return err
		}
		return auditAdmin(ctx, tx, "user_disabled", username, now)
	})
}

// EnableUser lets a disabled user log in again. It returns record.ErrNotFound if there is no such
// user, or the error of a condition that does not hold.
func (s *Store) EnableUser(ctx context.Context, username string, now time.Time, conditions ...Condition) error {
	return s.inTx(ctx, "enable user", func(ctx context.Context, tx transaction) error {
		if err := s.check(ctx, tx, username, conditions); err != nil {
			return err
		}
		err := changedOne(ctx, tx, "enable user", errNoUser,
			"UPDATE users SET disabled_at = NULL WHERE username = $1", username)
		if err != nil {
			return err
		}
		return auditAdmin(ctx, tx, "user_enabled", username, now)
	})
}

// DeleteUser deletes a user and the user's sessions, and revokes all grants of the user. It returns record.ErrNotFound
// if there is no such user. DeleteUserIf is for callers that can name Condition; doctor.Store cannot.
func (s *Store) DeleteUser(ctx context.Context, username string, now time.Time) error {
	return s.DeleteUserIf(ctx, username, now)
}

// DeleteUserIf is DeleteUser if the conditions hold, or returns the error of one of them.
func (s *Store) DeleteUserIf(ctx context.Context, username string, now time.Time, conditions ...Condition) error {
	return s.inTx(ctx, "delete user", func(ctx context.Context, tx transaction) error {
		if err := s.lockEmailOf(ctx, tx, username, now); err != nil {
			return err
		}
		if err := s.check(ctx, tx, username, conditions); err != nil {
			return err
		}
		_, err := updateAndEndLogins(ctx, tx, "delete user", now,
			"UPDATE users SET disabled_at = COALESCE(disabled_at, $2) WHERE username = $1", username, seconds(now))
		if err != nil {
			return err
		}
		groups, err := groupsOf(ctx, tx, username)
		if err != nil {
			return err
		}
		if err := auditAdmin(ctx, tx, "user_deleted", username, now, rights, rightsChange(groups, nil)); err != nil {
			return err
		}
		return s.deleteUser(ctx, tx, username, now)
	})
}

// groupsOf returns the groups of a user who is locked.
func groupsOf(ctx context.Context, tx transaction, username string) ([]string, error) {
	var groups string
	err := tx.QueryRowContext(ctx, "SELECT group_names FROM users WHERE username = $1", username).Scan(&groups)
	return words(groups), unavailable("read groups", err)
}

// lockUser begins a statement that locks users without changing them, on both engines. What starts a login, or ends
// sessions, locks the user first.
const lockUser = "UPDATE users SET last_login_at = last_login_at WHERE "

// updateAndEndLogins runs update, which must change one user, and ends all logins of that user. It returns the user's
// id, or errNoUser. The update locks the user's row, so that no grant starts in between.
func updateAndEndLogins(
	ctx context.Context,
	tx transaction,
	doing string,
	now time.Time,
	update string,
	args ...any,
) (userID string, err error) {
	err = tx.QueryRowContext(ctx, update+" RETURNING id", args...).Scan(&userID)
	if errors.Is(err, sql.ErrNoRows) {
		return "", errNoUser
	}
	if err != nil {
		return "", unavailable(doing, err)
	}
	return userID, endLogins(ctx, tx, userID, "", now)
}

// UpdateUser replaces the name, the email address and the groups of a user by those that change returns, and
// returns the changed user. If the user is changed at the same time by another call, UpdateUser calls change
// again. It returns record.ErrNotFound if there is no such user, or the error of change. The conditions must hold if
// the user leaves the group of administrators, also one who is disabled: somebody may be about to enable the user.
func (s *Store) UpdateUser(
	ctx context.Context,
	username string,
	now time.Time,
	change func(account.User) (account.User, error),
	conditions ...Condition,
) (account.User, error) {
	for {
		was, err := s.UserByUsername(ctx, username)
		if err != nil {
			return account.User{}, err
		}
		is, err := change(was)
		if err != nil {
			return account.User{}, err
		}
		is.UpdatedAt = now
		done := false
		err = s.inTx(ctx, "update user", func(ctx context.Context, tx transaction) error {
			if slices.Contains(was.Groups, account.AdminGroup) && !slices.Contains(is.Groups, account.AdminGroup) {
				if err := s.check(ctx, tx, username, conditions); err != nil {
					return err
				}
			}
			n, err := changed(ctx, tx, "update user",
				"UPDATE users SET name = $2, email = $3, email_verified = $4, group_names = $5, updated_at = $6 "+
					"WHERE id = $1 AND name = $7 AND email = $8 AND email_verified = $9 AND group_names = $10",
				was.ID, is.Name, is.Email, number(is.EmailVerified), strings.Join(is.Groups, " "), seconds(now),
				was.Name, was.Email, number(was.EmailVerified), strings.Join(was.Groups, " "))
			if done = n == 1; err != nil || !done {
				return err
			}
			return auditUpdate(ctx, tx, was, is, now)
		})
		if err != nil || done {
			return is, err
		}
	}
}

// auditUpdate records what an administrator has changed of a user, and lets the audit log forget the previous address.
func auditUpdate(ctx context.Context, tx transaction, was, is account.User, now time.Time) error {
	if err := forgetOldAddress(ctx, tx, was, is.Email); err != nil {
		return err
	}
	return auditAdmin(ctx, tx, "user_changed", was.Username, now, "changed", changedFields(was, is),
		rights, rightsChange(was.Groups, is.Groups))
}

// changedFields names what an administrator has changed of a user, but not to what: these are data of a person.
func changedFields(was, is account.User) string {
	var names []string
	for _, f := range []struct {
		name    string
		changed bool
	}{
		{"name", was.Name != is.Name},
		{"email", was.Email != is.Email},
		{"email_verified", was.EmailVerified != is.EmailVerified},
		{"groups", !slices.Equal(was.Groups, is.Groups)},
	} {
		if f.changed {
			names = append(names, f.name)
		}
	}
	return strings.Join(names, " ")
}
