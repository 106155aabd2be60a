package store

import (
	"database/sql"
	"errors"
	"strings"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
)

const userColumns = "id, username, name, password_hash, password_version, " +
	"created_at, last_login_at, disabled_at, demo, email, email_verified, group_names, updated_at, language"

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
