// Package account holds the users of the server and checks their passwords.
//
// A login passes these steps in order: the throttle, which limits failures of an account, at
// one address and in all; the gate, which limits how many hash computations run at once and
// shares them fairly between addresses; and the comparison with the hash of the user of that
// name, or work that costs as much. All failures look the same from outside (RFC 6749
// section 5.2).
package account

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/hallpass-auth/hallpass/shared/token"

	"github.com/hallpass-auth/hallpass/authserver/internal/record"
)

// IDPrefix is the prefix of every user id. Client ids must not have it, so that the sub of
// a token cannot mean both a user and a client (RFC 9700 section 4.15.1).
const IDPrefix = token.UserPrefix

// maxName is the maximum length of a username and of a display name, in bytes.
const maxName = 128

// Errors about users.
var (
	// ErrBadName is returned for an invalid username or display name. The text says why.
	ErrBadName = errors.New("name not usable")
)

// User is a person who can log in.
type User struct {
	// ID is the subject (sub) of the user's tokens. It never changes and is never reused.
	ID string
	// Username is what the user types to log in. It is case-sensitive.
	Username string
	// Name is the display name.
	Name string
	// Email is the email address; empty if it is not known. EmailVerified says that somebody has checked
	// that it is the user's.
	Email         string
	EmailVerified bool
	// Groups are the names of the groups that the user is in, sorted. They have a meaning for clients and
	// APIs only.
	Groups []string
	// UpdatedAt is when the name, the email address or the groups were last changed; zero if never.
	UpdatedAt time.Time
	// Language is the language in which the user has last logged in, by its BCP 47 tag; empty if it is not known.
	Language string
	// PasswordHash is a hash that passwordhash.Parse accepts. A user without one cannot log in with a password.
	PasswordHash string
	// PasswordVersion is the number of times the password was changed.
	PasswordVersion int64
	// CreatedAt is when the user was created.
	CreatedAt time.Time
	// LastLoginAt is when the user was last given a grant. Zero means never.
	LastLoginAt time.Time
	// DisabledAt is when the user was disabled. Zero means active.
	DisabledAt time.Time
	// Demo says that the demo made the user, who still has the demo's password.
	Demo bool
	// Login is what a login was counted under until it succeeded. Login.Check sets it; it is
	// not stored.
	Login FailureKey
}

// Active reports whether the user may log in.
func (u User) Active() bool { return u.DisabledAt.IsZero() }

// AdminGroup is the group whose members administer the server.
const AdminGroup = "admins"

// Administers reports whether the user administers the server: an active member of AdminGroup who is no demo user,
// whose password everybody knows.
func (u User) Administers() bool {
	return u.Active() && !u.Demo && slices.Contains(u.Groups, AdminGroup)
}

// New returns a user with a new random id. The username is stored without spaces around it and in NFC, and must
// follow the profile UsernameCasePreserved of RFC 8265 section 3.4, without an @ and without letters of scripts that
// look alike. The hash comes from Hasher.Hash. It returns ErrBadName if the username or the display name is invalid.
func New(username, name, passwordHash string, now time.Time) (User, error) {
	username, err := prepareUsername(username)
	if err != nil {
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
	if err := record.CheckName(what, text, maxName); err != nil {
		return fmt.Errorf("%w: %w", ErrBadName, err)
	}
	return nil
}
