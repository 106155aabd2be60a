package account

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/hallpass-auth/hallpass/authserver/internal/record"
	"github.com/hallpass-auth/hallpass/shared/oauth"
)

// ErrIncorrect is returned for every login that fails on its username or password: an
// unknown user, a wrong password, a disabled user. Callers cannot tell which.
var ErrIncorrect = errors.New("incorrect username or password")

// LoginStore is the storage that Login needs. Its methods are safe for concurrent use.
type LoginStore interface {
	// UserByUsername returns the user, or record.ErrNotFound.
	UserByUsername(ctx context.Context, username string) (User, error)
	// ReplaceHash sets the user's password hash to new if it still is old.
	ReplaceHash(ctx context.Context, userID, old, new string) error
	// FailedLogins returns the failures recorded under the key.
	FailedLogins(ctx context.Context, key string) (Failures, error)
	// RecordFailure adds a failure under the key and deletes failures from before
	// forgetBefore.
	RecordFailure(ctx context.Context, key string, now, forgetBefore time.Time) error
	// ClearFailures deletes the failures under the key.
	ClearFailures(ctx context.Context, key string) error
}

// Attempt is one attempt to log in.
type Attempt struct {
	// Username and Password are as the user typed them. They are never logged: a
	// password typed into the username field would be logged too.
	Username, Password string
	// ClientID and GrantType say what the login is for. They are only logged.
	ClientID  string
	GrantType oauth.GrantType
}

// Login checks usernames and passwords. It is safe for concurrent use. All fields are
// required.
type Login struct {
	Store  LoginStore
	Hasher *Hasher
	Gate   *Gate
	Now    func() time.Time
	Log    *slog.Logger
}

// Check returns the user with the given username and password. Otherwise it returns
// ErrIncorrect, a *ThrottledError, ErrOverloaded, or an error of ctx or the store. It logs
// each login, and for each failure the reason, which ErrIncorrect hides.
func (l *Login) Check(ctx context.Context, a Attempt) (User, error) {
	user, err := l.check(ctx, a)
	l.logResult(ctx, a, user, err)
	if err != nil {
		return User{}, err
	}
	return user, nil
}

// check does what Check does, without the log. With ErrIncorrect it returns the user whose
// name was given, if there is one.
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

// logResult logs a login that succeeded, or why it failed.
func (l *Login) logResult(ctx context.Context, a Attempt, user User, err error) {
	fields := []any{"client", a.ClientID, "grant_type", a.GrantType}
	if user.ID != "" {
		fields = append(fields, "user", user.ID)
	}
	var throttled *ThrottledError
	reason := "wrong password"
	switch {
	case err == nil:
		l.Log.InfoContext(ctx, "logged in", append(fields, "event", "login")...)
		return
	case errors.As(err, &throttled):
		reason = "throttled"
	case !errors.Is(err, ErrIncorrect):
		return // the password was not checked
	case user.ID == "":
		reason = "unknown user"
	case !user.Active():
		reason = "disabled user"
	}
	l.Log.WarnContext(ctx, "login failed", append(fields, "event", "login_failed", "reason", reason)...)
}

// failures returns the account's failed logins, or a *ThrottledError if it must wait
// before the next attempt.
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

// compare checks the password. It runs inside the gate. It checks the throttle again and
// records a failure before it gives up its place, so that parallel guesses exceed the
// throttle by at most the number of places. It reads the user here, so that a password
// changed while the login waited is not accepted.
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
		// Recorded even if the caller has hung up, or guesses would be free.
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

// candidate returns the user with the given name, or the zero User if there is none. It
// clears the hash of a disabled user, so that no password matches and the work is the same.
func (l *Login) candidate(ctx context.Context, username string) (User, error) {
	user, err := l.Store.UserByUsername(ctx, username)
	if errors.Is(err, record.ErrNotFound) {
		return User{}, nil
	}
	if !user.Active() {
		user.PasswordHash = ""
	}
	return user, err
}

// rehash replaces a hash of lower cost, now that the password is known. The login succeeds
// even if this fails; the next one tries again.
func (l *Login) rehash(ctx context.Context, user User, password string) {
	if !l.Hasher.outdated(user.PasswordHash) {
		return
	}
	hash, err := l.Hasher.Hash(password)
	if err == nil {
		err = l.Store.ReplaceHash(ctx, user.ID, user.PasswordHash, hash)
	}
	if err != nil {
		l.Log.WarnContext(ctx, "cannot update password hash", "user", user.ID, "error", err)
	}
}
