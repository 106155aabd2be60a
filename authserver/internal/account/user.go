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
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"
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

// checkName refuses what could not be typed, stored or shown again.
func checkName(what, s string) error {
	switch {
	case s == "":
		return fmt.Errorf("%w: the %s is empty", ErrBadName, what)
	case len(s) > maxName:
		return fmt.Errorf("%w: the %s is longer than %d bytes", ErrBadName, what, maxName)
	case !utf8.ValidString(s):
		return fmt.Errorf("%w: the %s is not valid UTF-8", ErrBadName, what)
	}
	first, _ := utf8.DecodeRuneInString(s)
	last, _ := utf8.DecodeLastRuneInString(s)
	if unicode.IsSpace(first) || unicode.IsSpace(last) {
		return fmt.Errorf("%w: the %s begins or ends with a space", ErrBadName, what)
	}
	for _, r := range s {
		if !unicode.IsPrint(r) {
			return fmt.Errorf("%w: the %s has a character that cannot be printed", ErrBadName, what)
		}
	}
	return nil
}
