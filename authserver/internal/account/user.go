// Package account is about people: who they are, what a password must be, and how
// a password is checked without letting anybody guess it or stop the server with
// guesses.
//
// It exists to keep the expensive and dangerous part of a login in one place. A
// login passes, in this order: the throttle (too many failures of this account?),
// the gate (a free place among the few that may run bcrypt?), and the comparison with
// the hash of an active user of that name, or with nobody's. Every way to fail looks
// the same from outside.
package account

import (
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/hallpass-auth/hallpass/authserver/internal/label"
)

// IDPrefix begins the id of every user. No client's id may begin with it, so that
// the sub of a token never means both (RFC 9700 §4.15.1).
const IDPrefix = "usr_"

// maxName bounds a username and a display name, in bytes.
const maxName = 128

// Errors about users.
var (
	// ErrNotFound says that there is no such user.
	ErrNotFound = errors.New("no such user")
	// ErrExists says that the username is taken.
	ErrExists = errors.New("a user of this name exists already")
	// ErrBadName says that a username or a display name cannot be used.
	ErrBadName = errors.New("name not usable")
)

// User is a person who can log in.
type User struct {
	// ID is the subject of the user's tokens. It never changes and is never reused.
	ID string
	// Username is what the user types. Upper and lower case differ.
	Username string
	// Name is what the user is called on a page.
	Name string
	// PasswordHash is the bcrypt hash, in its usual text form.
	PasswordHash string
	// PasswordVersion counts the passwords that the user has had before this one.
	PasswordVersion int64
	// CreatedAt is when the user was added.
	CreatedAt time.Time
	// LastLoginAt is when a grant was last given; zero means never.
	LastLoginAt time.Time
	// DisabledAt is when the user was disabled; zero means active.
	DisabledAt time.Time
}

// Active reports whether the user may log in.
func (u User) Active() bool { return u.DisabledAt.IsZero() }

// New returns a user with a fresh id, or ErrBadName. The hash comes from
// Hasher.Hash.
func New(username, name, passwordHash string, now time.Time) (User, error) {
	if err := checkName("username", username); err != nil {
		return User{}, err
	}
	if err := checkName("name", name); err != nil {
		return User{}, err
	}
	return User{
		ID:           IDPrefix + uuid.NewString(),
		Username:     username,
		Name:         name,
		PasswordHash: passwordHash,
		CreatedAt:    now,
	}, nil
}

func checkName(what, text string) error {
	if err := label.Check(what, text, maxName); err != nil {
		return fmt.Errorf("%w: %w", ErrBadName, err)
	}
	return nil
}
