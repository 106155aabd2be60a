package account

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/hallpass-auth/hallpass/shared/oauth"
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

// Attempt is one try to log in.
type Attempt struct {
	// Username and Password are what was typed. Neither is ever logged: people type
	// passwords where their names belong.
	Username, Password string
	// ClientID is the client at which it was typed, GrantType what that asks for. They
	// are there to be logged.
	ClientID  string
	GrantType oauth.GrantType
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
// The log says who logged in, and why somebody could not, which the error does not tell.
func (l *Login) Check(ctx context.Context, a Attempt) (User, error) {
	user, err := l.check(ctx, a)
	l.record(ctx, a, user, err)
	if err != nil {
		return User{}, err
	}
	return user, nil
}

// check is Check without the log. Beside ErrIncorrect stands the user whose name it was.
func (l *Login) check(ctx context.Context, a Attempt) (User, error) {
	key := ThrottleKey(a.Username)
	if _, err := l.failures(ctx, key); err != nil {
		return User{}, err
	}
	var user User
	var verdict error
	err := l.Gate.Do(ctx, func() { user, verdict = l.compare(ctx, key, a) })
	return user, errors.Join(err, verdict)
}

// record leaves a line in the log for whoever watches over the logins.
func (l *Login) record(ctx context.Context, a Attempt, user User, err error) {
	by := []any{"client", a.ClientID, "grant_type", a.GrantType}
	if user.ID != "" {
		by = append(by, "user", user.ID)
	}
	var throttled *ThrottledError
	reason := "wrong password"
	switch {
	case err == nil:
		l.Log.InfoContext(ctx, "logged in", append(by, "event", "login")...)
		return
	case errors.As(err, &throttled):
		reason = "throttled"
	case !errors.Is(err, ErrIncorrect):
		return // no verdict on what was typed
	case user.ID == "":
		reason = "unknown user"
	case !user.Active():
		reason = "disabled user"
	}
	l.Log.WarnContext(ctx, "login failed", append(by, "event", "login_failed", "reason", reason)...)
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
func (l *Login) compare(ctx context.Context, key string, a Attempt) (User, error) {
	before, err := l.failures(ctx, key)
	if err != nil {
		return User{}, err
	}
	user, err := l.candidate(ctx, a.Username)
	if err != nil {
		return User{}, err
	}
	if !l.Hasher.matches(user.PasswordHash, a.Password) {
		// Counted even if the caller has hung up: that must not make guessing free.
		now := l.Now()
		if err := l.Store.RecordFailure(context.WithoutCancel(ctx), key, now, now.Add(-ForgetAfter)); err != nil {
			return User{}, err
		}
		return user, ErrIncorrect
	}
	if before.Count > 0 {
		if err := l.Store.ClearFailures(ctx, key); err != nil {
			return User{}, err
		}
	}
	l.rehash(ctx, user, a.Password)
	return user, nil
}

// candidate returns the user of this name. Where there is none it is the zero User, and
// one who is disabled has no hash: no password matches either, and both cost the same.
func (l *Login) candidate(ctx context.Context, username string) (User, error) {
	user, err := l.Store.UserByUsername(ctx, username)
	if errors.Is(err, ErrNotFound) {
		return User{}, nil
	}
	if !user.Active() {
		user.PasswordHash = ""
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
