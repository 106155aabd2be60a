package account

import (
	"context"
	"errors"
	"log/slog"
	"time"
)

// ErrIncorrect is the one answer to a wrong password, an unknown user, a disabled
// user and a password that cannot be anybody's.
var ErrIncorrect = errors.New("incorrect username or password")

// LoginStore is what a login reads and writes. Its methods are safe for concurrent
// use.
type LoginStore interface {
	// UserByUsername returns the user, or ErrNotFound.
	UserByUsername(ctx context.Context, username string) (User, error)
	// ReplaceHash sets the user's hash to new if it still is old.
	ReplaceHash(ctx context.Context, userID, old, new string) error
	// FailedLogins returns what RecordFailure has counted under the key.
	FailedLogins(ctx context.Context, key string) (Failures, error)
	// RecordFailure counts one more failure under the key, and forgets those before
	// forgetBefore.
	RecordFailure(ctx context.Context, key string, now, forgetBefore time.Time) error
	// ClearFailures forgets the failures under the key.
	ClearFailures(ctx context.Context, key string) error
}

// Login checks passwords. It is safe for concurrent use; all fields are required.
type Login struct {
	Store  LoginStore
	Hasher *Hasher
	Gate   *Gate
	Now    func() time.Time
	Log    *slog.Logger
}

// Check returns the user whose username and password these are. Otherwise the
// error is ErrIncorrect, a *ThrottledError, ErrOverloaded, or what the store said.
func (l *Login) Check(ctx context.Context, username, password string) (User, error) {
	key := throttleKey(username)
	if _, err := l.failures(ctx, key); err != nil {
		return User{}, err
	}
	var user User
	var verdict error
	err := l.Gate.Do(ctx, func() { user, verdict = l.compare(ctx, key, username, password) })
	if err = errors.Join(err, verdict); err != nil {
		return User{}, err
	}
	return user, nil
}

// failures returns how often logins of the account have failed, or a
// *ThrottledError if that is too often for another try now.
func (l *Login) failures(ctx context.Context, key string) (Failures, error) {
	f, err := l.Store.FailedLogins(ctx, key)
	if err != nil {
		return Failures{}, err
	}
	if wait := f.wait(l.Now()); wait > 0 {
		return Failures{}, &ThrottledError{Wait: wait}
	}
	return f, nil
}

// compare runs behind the gate. It asks for the throttle again, and counts a
// failure before it gives its place away: so no more guesses than the gate has
// places get past the throttle, however many arrive at once. The user is read here,
// not before: a password that is changed while logins wait in line is no good any more.
func (l *Login) compare(ctx context.Context, key, username, password string) (User, error) {
	before, err := l.failures(ctx, key)
	if err != nil {
		return User{}, err
	}
	user, err := l.candidate(ctx, username)
	if err != nil {
		return User{}, err
	}
	if !l.Hasher.matches(user.PasswordHash, password) {
		// Counted even if the caller has hung up: that must not make guessing free.
		now := l.Now()
		if err := l.Store.RecordFailure(context.WithoutCancel(ctx), key, now, now.Add(-ForgetAfter)); err != nil {
			return User{}, err
		}
		return User{}, ErrIncorrect
	}
	if before.Count > 0 {
		if err := l.Store.ClearFailures(ctx, key); err != nil {
			return User{}, err
		}
	}
	l.rehash(ctx, user, password)
	return user, nil
}

// candidate returns the user of this name who may log in. Where there is none, or
// only one who is disabled, it is the zero User, which no password matches: the two
// then cost the same too.
func (l *Login) candidate(ctx context.Context, username string) (User, error) {
	user, err := l.Store.UserByUsername(ctx, username)
	if errors.Is(err, ErrNotFound) || (err == nil && !user.Active()) {
		return User{}, nil
	}
	return user, err
}

// rehash redoes a hash of lower cost, now that the password is known. A failure
// does not stop the login: the next one tries again.
func (l *Login) rehash(ctx context.Context, user User, password string) {
	if !l.Hasher.outdated(user.PasswordHash) {
		return
	}
	hash, err := l.Hasher.Hash(password)
	if err == nil {
		err = l.Store.ReplaceHash(ctx, user.ID, user.PasswordHash, hash)
	}
	if err != nil {
		l.Log.WarnContext(ctx, "password hash not redone", "user", user.ID, "error", err)
	}
}
