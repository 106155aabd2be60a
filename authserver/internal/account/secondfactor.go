package account

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
)

// SecondFactorPolicy says which users must have a second factor. The zero value requires it of nobody. Clients can
// require it too.
type SecondFactorPolicy struct {
	// Everybody says that all users must have one.
	Everybody bool
	// Groups are the groups whose members must have one.
	Groups []string
}

// Requires reports whether a user must have a second factor.
func (p SecondFactorPolicy) Requires(u User) bool {
	return p.Everybody || slices.ContainsFunc(u.Groups, func(g string) bool { return slices.Contains(p.Groups, g) })
}

// errNeedsSecondFactor is the ErrIncorrect of a login by the password alone, which was right, of a user who has a
// second factor or must have one. Callers cannot tell it from another ErrIncorrect.
var errNeedsSecondFactor = fmt.Errorf("%w: the user needs a second factor", ErrIncorrect)

// nobody is asked about in place of an unknown user, so that a login does the same work: users have other ids.
const nobody = "nobody"

// needsSecondFactor reports whether an attempt by the password alone must fail, even with the right password.
func (l *Login) needsSecondFactor(ctx context.Context, t try) (bool, error) {
	if !t.PasswordOnly {
		return false, nil
	}
	has, err := l.Store.HasSecondFactor(ctx, cmp.Or(t.user.ID, nobody))
	return has || l.SecondFactors.Requires(t.user), err
}

// notifyPasswordOnly asks for a mail to a user whose right password was not enough. It does so after the response,
// which would otherwise come later than that to a wrong password.
func (l *Login) notifyPasswordOnly(ctx context.Context, user User) {
	ctx = context.WithoutCancel(ctx)
	go func() {
		if err := l.Store.NotifyPasswordOnly(ctx, user.ID, l.Now()); err != nil {
			l.Log.WarnContext(ctx, "cannot ask for a mail about a refused login", "user", user.ID, "error", err)
		}
	}()
}

// ErrPasskey is returned for every login by a passkey that fails on the passkey or its user. The text after it is for
// the log.
var ErrPasskey = errors.New("the passkey was not accepted")

// Admits reports whether a user may log in at all: an active one, and one of the demo only while that is on.
func (l *Login) Admits(u User) bool { return u.ID != "" && !l.barred(u) }

// LogPasskey logs and counts a login by a passkey without a password, as Check does for passwords. The user is zero if
// nobody has the passkey. err says why it failed; nil if it did not.
func (l *Login) LogPasskey(ctx context.Context, user User, a Attempt, err error) {
	a.Method = "passkey"
	l.logResult(ctx, try{Attempt: a, user: user}, err)
	if l.Observe != nil {
		l.Observe(l.result(user, err))
	}
}

// ReserveCode counts a try of a code of a user's second factor. It is like Check, but counts apart from passwords and
// has the limits of an account wherever the code is typed. A known browser or address gets no limit of its own: a
// guesser has the password, and a password alone, or a mail that sets one, makes a browser known. But as in Check,
// failures of other accounts at the address do not count in a known browser. It returns the key under which GiveBack
// returns the tries once the code was right, a *ThrottledError, or an error of ctx or the store. The address is the
// client's IP address.
func (l *Login) ReserveCode(ctx context.Context, user User, address string, b Browser) (FailureKey, error) {
	key := newUnknownPlace(codesOf(user.ID), address)
	if l.Knows(b, user) {
		key.Network, key.Neighborhood = "", ""
	}
	return key, l.reserveAt(ctx, key)
}

// ReservePasskey counts a try of a login by a passkey alone, which takes no password: those in a known browser or at a
// known address count there only, so that others cannot make the user wait. It returns what ReserveCode returns.
func (l *Login) ReservePasskey(ctx context.Context, user User, address string, b Browser) (FailureKey, error) {
	of, err := l.keyOf(ctx, Attempt{Address: address, Browser: b}, user.ID, user)
	if err != nil {
		return FailureKey{}, err
	}
	account := passkeysOf(user.ID)
	key := newUnknownPlace(account, address)
	if of.Browser != "" {
		key = key.inBrowser(account, b.id)
	}
	key.AddressKnown = of.AddressKnown
	return key, l.reserveAt(ctx, key)
}

// newUnknownPlace returns a key of tries that also count for all accounts at the address, which does not become known.
func newUnknownPlace(account, address string) FailureKey {
	key := NewFailureKey(account, address).from(account, address)
	key.KnownAs = ""
	return key
}

// reserveAt counts a try under a key, or returns an error as ReserveCode does.
func (l *Login) reserveAt(ctx context.Context, key FailureKey) error {
	if err := l.checkThrottle(ctx, key); err != nil {
		return err
	}
	return l.reserve(ctx, key)
}

// KeyOf returns what the failures of a user's logins in a browser are counted under, for a login that Check has begun
// and another request completes. The address is the client's IP address.
func (l *Login) KeyOf(ctx context.Context, user User, address string, b Browser) (FailureKey, error) {
	return l.keyOf(ctx, Attempt{Address: address, Browser: b}, user.ID, user)
}
