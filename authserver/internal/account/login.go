package account

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/hallpass-auth/hallpass/authserver/internal/audit"
	"github.com/hallpass-auth/hallpass/authserver/internal/lowpriority"
	"github.com/hallpass-auth/hallpass/authserver/internal/ratelimit"
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
	// UsersByEmail returns at most limit users with this verified address, given in the form of FoldEmail, also those
	// who are disabled.
	UsersByEmail(ctx context.Context, address string, limit int) ([]User, error)
	// UserByID returns the user, or record.ErrNotFound.
	UserByID(ctx context.Context, id string) (User, error)
	// ReplaceHash sets the user's password hash to new if it still is old.
	ReplaceHash(ctx context.Context, userID, old, new string) error
	// PasswordCosts returns how many users have a hash of each cost.
	PasswordCosts(ctx context.Context) ([]CostCount, error)
	// LoginFailures returns the failures that are counted under the key at a time.
	LoginFailures(ctx context.Context, key FailureKey, now time.Time) (LoginFailures, error)
	// ReserveTry counts a failure under the key, unless LoginFailures.Wait says to wait because of the
	// account, and reports whether it did.
	ReserveTry(ctx context.Context, key FailureKey, now time.Time) (bool, error)
	// KnowsAddress reports whether the user has logged in from the address of the key within KnownFor.
	KnowsAddress(ctx context.Context, userID string, key FailureKey, now time.Time) (bool, error)
	// GiveBackTries deletes the failures of the account at the place of the key.
	GiveBackTries(ctx context.Context, key FailureKey) error
	// HasSecondFactor reports whether the user has a second factor.
	HasSecondFactor(ctx context.Context, userID string) (bool, error)
	// NotifyPasswordOnly asks for a mail to the user that a login by the right password alone was refused, at most once an
	// hour.
	NotifyPasswordOnly(ctx context.Context, userID string, now time.Time) error
}

// FailureRecorder records failed logins in the audit log; *audit.Failures does. It is safe for concurrent use.
type FailureRecorder interface {
	// Failed records or counts a failed login to an account from a network. It must not wait for the database.
	Failed(ctx context.Context, e audit.Event, account, network string)
}

// Attempt is one attempt to log in.
type Attempt struct {
	// Username and Password are as the user typed them. Username can also be the user's verified email address. The
	// password is never logged, and an unknown username only as a digest: a password typed into the username field
	// would be logged too.
	Username, Password string
	// Address is the client's IP address, without the port.
	Address string
	// OfService is whether the address is that of a service that logs its users in. It does not become known, and the
	// failures of all accounts are not counted there.
	OfService bool
	// Browser is what the browser knows, if the login is in one.
	Browser Browser
	// Method says how the user logs in, for the log; empty for a password.
	Method string
	// PasswordOnly says that there is no second step: the login of a user who needs a second factor fails, as with a
	// wrong password. The user is told by mail.
	PasswordOnly bool
	// ClientID and GrantType say what the login is for. They are only logged and recorded.
	ClientID  string
	GrantType oauth.GrantType
}

// Login checks usernames and passwords. It is safe for concurrent use. All fields but
// Workers, MinPassword, SecondFactors, Demo, Hold, Failures and Observe are required.
type Login struct {
	Store  LoginStore
	Hasher *Hasher
	Gate   *Gate
	// Workers compute the hashes; nil means that each login does so in its own goroutine. The gate
	// should have one place more than there are workers, so that the next login counts its try in
	// the database while they are busy.
	Workers *lowpriority.Workers
	// NameKey is the key of the digests of unknown usernames, in the log and where failures
	// are counted. All servers of a database have the same one.
	NameKey []byte
	// MinPassword is the minimum length of new passwords, in characters; 0 means the constant MinPassword. See
	// MinPasswordOf.
	MinPassword int
	// SecondFactors says who must have a second factor.
	SecondFactors SecondFactorPolicy
	// Demo lets users of the demo log in.
	Demo bool
	// Hold is how long the error of a login that is throttled, or refused because too many
	// wait, is held back. Without it, clients that try again at once keep the CPU from the
	// passwords that are being checked.
	Hold time.Duration
	// Failures, unless nil, records failed logins in the audit log.
	Failures FailureRecorder
	// Observe, unless nil, is called with the result of each login: one of LoginResults.
	Observe func(result string)
	Now     func() time.Time
	Log     *slog.Logger

	costs storedCosts
}

// Check returns the user with the given username and password. Otherwise it returns
// ErrIncorrect, a *ThrottledError, an *OverloadedError, or an error of ctx or the store. It logs
// each login, and for each failure the reason, which ErrIncorrect hides.
//
// The login counts as a failed one until the caller stores the grant or session of the user,
// which gives the try back, or calls GiveBack.
func (l *Login) Check(ctx context.Context, a Attempt) (User, error) {
	t, err := l.newTry(ctx, a)
	if err == nil {
		err = l.run(ctx, &t)
	}
	l.logResult(ctx, t, err)
	if l.Observe != nil {
		l.Observe(l.result(t.user, err))
	}
	if err != nil {
		l.hold(ctx, err)
		return User{}, err
	}
	t.user.Login = t.key
	return t.user, nil
}

// GiveBack gives the try of a successful login back if neither a grant nor a session is
// stored, also if ctx has ended.
func (l *Login) GiveBack(ctx context.Context, user User) error {
	return l.Store.GiveBackTries(context.WithoutCancel(ctx), user.Login)
}

// run checks the throttle, waits for a place and compares the password.
func (l *Login) run(ctx context.Context, t *try) error {
	if err := l.checkThrottle(ctx, t.key); err != nil { // do not wait in the gate to be refused
		return err
	}
	return l.Gate.Do(ctx, ratelimit.Network(t.Address), func() error { return l.compare(ctx, t) })
}

// hold waits before a login is refused that cost no work: see Login.Hold.
func (l *Login) hold(ctx context.Context, err error) {
	var throttled *ThrottledError
	var overloaded *OverloadedError
	if l.Hold == 0 || (!errors.As(err, &overloaded) && !errors.As(err, &throttled)) {
		return
	}
	select {
	case <-time.After(l.Hold):
	case <-ctx.Done():
	}
}

// checkThrottle returns a *ThrottledError if the login must wait.
func (l *Login) checkThrottle(ctx context.Context, key FailureKey) error {
	now := l.Now()
	failures, err := l.Store.LoginFailures(ctx, key, now)
	if err != nil {
		return err
	}
	if wait := failures.Wait(now); wait > 0 {
		return &ThrottledError{Wait: wait, ForOthers: failures.ownWait(now) == 0}
	}
	return nil
}

// reserve counts the try before the password is compared, so that no more guesses are compared
// than the limits allow, however many arrive at once at however many servers.
func (l *Login) reserve(ctx context.Context, key FailureKey) error {
	if key.Browser == "" && key.Network != "" { // logins to other accounts may have failed there since
		if err := l.checkThrottle(ctx, key); err != nil {
			return err
		}
	}
	reserved, err := l.Store.ReserveTry(ctx, key, l.Now())
	if err != nil || reserved {
		return err
	}
	if err := l.checkThrottle(ctx, key); err != nil {
		return err
	}
	return &ThrottledError{Wait: time.Second} // another login has succeeded since
}

// compare checks the password. It runs inside the gate. It reads the user again, so that a
// password changed while the login waited is not accepted.
func (l *Login) compare(ctx context.Context, t *try) error {
	if err := l.reserve(ctx, t.key); err != nil {
		return err
	}
	user, err := l.Store.UserByID(ctx, cmp.Or(t.user.ID, nobody))
	if err != nil && !errors.Is(err, record.ErrNotFound) {
		return err
	}
	t.user = user
	needsMore, err := l.needsSecondFactor(ctx, *t) // also for a wrong password, which takes as long
	if err != nil {
		return err
	}
	hash := t.user.PasswordHash
	spend := ""
	if !l.Hasher.usable(hash) {
		counts, err := l.costs.current(ctx, l.Store, l.Now())
		if err != nil {
			return err
		}
		spend = costOf(t.digest, counts, l.Hasher.usual())
	}
	var matched, raw bool
	l.Workers.Do(func() { matched, raw = l.Hasher.matches(hash, t.Password, spend) })
	if !matched || l.barred(t.user) {
		return ErrIncorrect
	}
	if needsMore {
		l.notifyPasswordOnly(ctx, t.user)
		return errNeedsSecondFactor
	}
	l.rehash(ctx, t.user, t.Password, raw)
	return nil
}

// Hash returns the hash of a new password. It waits for a place as a login from the address does, and returns an
// *OverloadedError if that would take too long, ErrWeakPassword for a password that is too long, or an error of
// ctx.
func (l *Login) Hash(ctx context.Context, password, address string) (hash string, err error) {
	err = l.Gate.Do(ctx, ratelimit.Network(address), func() (err error) {
		l.Workers.Do(func() { hash, err = l.Hasher.Hash(password) })
		return err
	})
	return hash, err
}

// barred reports whether the user may not log in even with the right password.
func (l *Login) barred(user User) bool { return !user.Active() || (user.Demo && !l.Demo) }

// rehash replaces a hash of lower cost, of another system, or of a password that was not prepared, now that the
// password is known. The login succeeds even if this fails; the next one tries again. A hash of a password that is too
// long for bcrypt stays.
func (l *Login) rehash(ctx context.Context, user User, password string, raw bool) {
	if !raw && !l.Hasher.outdated(user.PasswordHash) {
		return
	}
	var hash string
	var err error
	l.Workers.Do(func() { hash, err = l.Hasher.Hash(password) })
	if errors.Is(err, ErrWeakPassword) { // it was set elsewhere, or is longer when prepared
		return
	}
	if err == nil {
		err = l.Store.ReplaceHash(ctx, user.ID, user.PasswordHash, hash)
	}
	if err != nil {
		l.Log.WarnContext(ctx, "cannot update password hash", "user", user.ID, "error", err)
	}
}
