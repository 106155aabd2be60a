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
	"github.com/hallpass-auth/hallpass/authserver/internal/mail"
	"github.com/hallpass-auth/hallpass/authserver/internal/passwordhash"
	"github.com/hallpass-auth/hallpass/authserver/internal/record"
)

const userColumns = "id, username, name, password_hash, password_version, " +
	"created_at, last_login_at, disabled_at, demo, email, email_verified, group_names, updated_at, language"

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
		return recordEvent(ctx, tx, "user_added", u.Username, u.CreatedAt, rights, rightsChange(nil, u.Groups))
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

// userValues returns the values of userColumns and of the skeleton.
func userValues(u account.User, skeleton string) []any {
	return []any{
		u.ID,
		u.Username,
		u.Name,
		u.PasswordHash,
		u.PasswordVersion,
		seconds(u.CreatedAt),
		seconds(u.LastLoginAt),
		seconds(u.DisabledAt),
		number(u.Demo),
		u.Email,
		number(u.EmailVerified),
		strings.Join(u.Groups, " "),
		seconds(u.UpdatedAt),
		u.Language,
		skeleton,
	}
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

// SetPassword sets the password hash of a user, who is no demo user from then on. It deletes the
// user's failed logins, known addresses and sessions, and revokes all grants of the user (RFC 9700 section 4.14.2).
// It returns record.ErrNotFound if there is no such user.
func (s *Store) SetPassword(ctx context.Context, username, hash string, now time.Time) error {
	return s.inTx(ctx, "set password", func(ctx context.Context, tx transaction) error {
		if err := s.setPassword(ctx, tx, username, hash, now); err != nil {
			return err
		}
		return recordEvent(ctx, tx, "user_password_set", username, now)
	})
}

// setPassword is SetPassword in a transaction, without the event. The user is told by mail.
func (s *Store) setPassword(ctx context.Context, tx transaction, username, hash string, now time.Time) error {
	err := endSessions(ctx, tx, "set password", username, now,
		"UPDATE users SET password_hash = $2, password_version = password_version + 1, demo = 0 WHERE username = $1",
		username, hash)
	if err != nil {
		return err
	}
	var id string
	err = tx.QueryRowContext(ctx, "SELECT id FROM users WHERE username = $1", username).Scan(&id)
	if err != nil {
		return unavailable("set password", err)
	}
	if err := forgetPlaces(ctx, tx, id); err != nil {
		return err
	}
	return s.addMail(ctx, tx, mail.Request{Kind: mail.PasswordChanged, UserID: id, CreatedAt: now})
}

// DisableUser prevents a user from logging in, deletes the user's sessions and revokes all grants
// of the user. It returns record.ErrNotFound if there is no such user. The time at which a user was
// first disabled is kept.
func (s *Store) DisableUser(ctx context.Context, username string, now time.Time) error {
	return s.DisableUserIf(ctx, username, now)
}

// DisableUserIf is DisableUser if the conditions hold, or returns the error of one of them.
func (s *Store) DisableUserIf(ctx context.Context, username string, now time.Time, conditions ...Condition) error {
	return s.inTx(ctx, "disable user", func(ctx context.Context, tx transaction) error {
		if err := s.check(ctx, tx, username, conditions); err != nil {
			return err
		}
		err := endSessions(ctx, tx, "disable user", username, now,
			"UPDATE users SET disabled_at = COALESCE(disabled_at, $2) WHERE username = $1", username, seconds(now))
		if err != nil {
			return err
		}
		_, err = changed(ctx, tx, "delete links", // they must not work again once the user is enabled
			"DELETE FROM links WHERE user_id = (SELECT id FROM users WHERE username = $1)", username)
		if err != nil {
			return err
		}
		return recordEvent(ctx, tx, "user_disabled", username, now)
	})
}

// EnableUser lets a disabled user log in again. It returns record.ErrNotFound if there is no such
// user, or the error of a condition that does not hold.
func (s *Store) EnableUser(ctx context.Context, username string, conditions ...Condition) error {
	return s.inTx(ctx, "enable user", func(ctx context.Context, tx transaction) error {
		if err := s.check(ctx, tx, username, conditions); err != nil {
			return err
		}
		n, err := changed(ctx, tx, "enable user", "UPDATE users SET disabled_at = NULL WHERE username = $1", username)
		if err != nil {
			return err
		}
		if n == 0 {
			return errNoUser
		}
		return recordEvent(ctx, tx, "user_enabled", username, time.Time{})
	})
}

// DeleteUser deletes a user and the user's sessions, and revokes all grants of the user. It
// returns record.ErrNotFound if there is no such user.
func (s *Store) DeleteUser(ctx context.Context, username string, now time.Time) error {
	return s.DeleteUserIf(ctx, username, now)
}

// DeleteUserIf is DeleteUser if the conditions hold, or returns the error of one of them.
func (s *Store) DeleteUserIf(ctx context.Context, username string, now time.Time, conditions ...Condition) error {
	user, err := s.UserByUsername(ctx, username)
	if err != nil {
		return err
	}
	err = s.inTx(ctx, "delete user", func(ctx context.Context, tx transaction) error {
		if err := s.check(ctx, tx, username, conditions); err != nil {
			return err
		}
		err := endSessions(ctx, tx, "delete user", username, now,
			"UPDATE users SET disabled_at = COALESCE(disabled_at, $2) WHERE username = $1", username, seconds(now))
		if err != nil {
			return err
		}
		if err := recordEvent(ctx, tx, "user_deleted", username, now); err != nil {
			return err
		}
		return s.deleteUser(ctx, tx, username, now)
	})
	if err != nil {
		return err
	}
	return s.forgetEmail(ctx, user, now)
}

// endSessions runs update, which must change the user, then deletes the user's sessions and
// revokes the user's grants. The update locks the user's row, so that no grant is started in
// between.
func endSessions(
	ctx context.Context,
	tx transaction,
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
	if err := addNotices(ctx, tx, now, ofUser, username); err != nil {
		return err
	}
	_, err = changed(ctx, tx, "end sessions",
		"DELETE FROM sessions WHERE user_id = (SELECT id FROM users WHERE username = $1)", username)
	if err != nil {
		return err
	}
	_, err = revokeGrants(ctx, tx, now, "user_id = (SELECT id FROM users WHERE username = $3)", username)
	return err
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
			return recordEvent(ctx, tx, "user_changed", username, now, "changed", changedFields(was, is),
				rights, rightsChange(was.Groups, is.Groups))
		})
		if err != nil || done {
			return is, err
		}
	}
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

// ReplaceHash sets the user's password hash to new if it is still old. It does nothing if the
// password has been changed in the meantime.
func (s *Store) ReplaceHash(ctx context.Context, userID, old, new string) error {
	_, err := s.exec(ctx, "replace hash",
		"UPDATE users SET password_hash = $3 WHERE id = $1 AND password_hash = $2", userID, old, new)
	return err
}

// costSample is how many users PasswordCosts looks at.
const costSample = 1000

// PasswordCosts returns how many users have a password hash of each cost, of the first thousand by id. Ids are random,
// so the costs of all users are in nearly the same proportion. Counting all takes 20 seconds for 100 million.
func (s *Store) PasswordCosts(ctx context.Context) ([]account.CostCount, error) {
	rows, err := list(ctx, s.read, "read password costs", func(r row) (account.CostCount, error) {
		var beginning string
		var c account.CostCount
		err := r.Scan(&beginning, &c.Count)
		c.Cost = passwordhash.CostOf(beginning)
		return c, unavailable("read password costs", err)
	}, "SELECT beginning, COUNT(*) FROM (SELECT CASE WHEN substr(password_hash, 1, 2) = '$2' "+
		"THEN substr(password_hash, 1, 7) ELSE password_hash END AS beginning FROM users ORDER BY id LIMIT $1) AS sample "+
		"GROUP BY beginning", costSample)
	counts := map[string]int64{}
	for _, c := range rows {
		counts[c.Cost] += c.Count
	}
	delete(counts, "") // users without a usable hash
	costs := make([]account.CostCount, 0, len(counts))
	for cost, count := range counts {
		costs = append(costs, account.CostCount{Cost: cost, Count: count})
	}
	return costs, err
}

// userRow holds the columns of a user, in the order of userColumns. All are NULL where a join finds
// no user.
type userRow struct {
	id, username, name, hash, email, groups, language               sql.NullString
	version, created, login, disabled, demo, emailVerified, updated sql.NullInt64
}

func (r *userRow) columns() []any {
	return []any{
		&r.id, &r.username, &r.name, &r.hash, &r.version, &r.created, &r.login, &r.disabled, &r.demo,
		&r.email, &r.emailVerified, &r.groups, &r.updated, &r.language,
	}
}

func (r *userRow) user() account.User {
	return account.User{
		ID:              r.id.String,
		Username:        r.username.String,
		Name:            r.name.String,
		PasswordHash:    r.hash.String,
		PasswordVersion: r.version.Int64,
		CreatedAt:       timeOf(r.created),
		LastLoginAt:     timeOf(r.login),
		DisabledAt:      timeOf(r.disabled),
		Email:           r.email.String,
		EmailVerified:   r.emailVerified.Int64 == 1,
		Groups:          words(r.groups.String),
		UpdatedAt:       timeOf(r.updated),
		Language:        r.language.String,
		// A server of an earlier version changes a password without taking the mark away.
		Demo: r.demo.Int64 == 1 && r.version.Int64 == 0,
	}
}

func scanUser(r row) (account.User, error) {
	var columns userRow
	err := r.Scan(columns.columns()...)
	if errors.Is(err, sql.ErrNoRows) {
		return account.User{}, errNoUser
	}
	return columns.user(), unavailable("read user", err)
}
