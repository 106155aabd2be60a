package account

import (
	"cmp"
	"fmt"
	"time"

	"github.com/hallpass-auth/hallpass/authserver/internal/ratelimit"
	"github.com/hallpass-auth/hallpass/authserver/internal/secret"
)

// Limit says how failed logins slow down further ones.
type Limit struct {
	// Free is the number of failures without a wait: people mistype.
	Free int
	// LongestWait bounds the wait, which is one second after the free failures and doubles
	// with each further one. It is at most a day.
	LongestWait time.Duration
}

// Failed logins are limited for an account (NIST SP 800-63B section 5.2.2). Those in a browser in which the user has
// logged in before count by themselves under KnownLimit, so that others cannot make the user wait there.
//
// All others count at their network address: a guesser there has about 30 tries a day. Unless the user has logged in
// from the address before, they count for the account too: all such guessers together have fewer than 100 tries in any
// 24 hours. Those at one or two addresses do not reach that bound, so that the owner can log in from a third.
var (
	KnownLimit   = Limit{Free: 10, LongestWait: 15 * time.Minute}
	AddressLimit = Limit{Free: 10, LongestWait: 4 * time.Hour}
	AccountLimit = Limit{Free: 60, LongestWait: time.Hour}
)

// Somebody who tries a few passwords for each of many accounts is limited too: the failures of all accounts count
// together, at a network address (IPv6: one /64) and in its neighborhood (/24; IPv6: /48).
var (
	sprayLimit        = Limit{Free: 200, LongestWait: 15 * time.Minute}
	neighborhoodLimit = Limit{Free: 2000, LongestWait: 15 * time.Minute}
)

// KnownFor is how long an address or a browser is known after the last login there.
const KnownFor = 90 * 24 * time.Hour

// returnsAfter is how long after the last grant the user's addresses may have been forgotten. It is two days less than
// KnownFor: a login is recorded once a day, and a session can give grants for 12 hours after it.
const returnsAfter = KnownFor - 48*time.Hour

// MaxKnownAddresses is how many addresses of a user are known, the latest.
const MaxKnownAddresses = 50

// ForgetAfter is how long failures are counted, from the last of them on.
const ForgetAfter = 24 * time.Hour

// ClockMargin is how far the clocks of two servers may be apart. A stored time that is
// further ahead was written by a wrong clock.
const ClockMargin = 5 * time.Second

// Failures counts failed logins. A login in progress counts as failed until it succeeds.
type Failures struct {
	// Count is the number of failures.
	Count int
	// Since is the time of the first failure, and LastAt that of the last one.
	Since, LastAt time.Time
}

// LoginFailures are the failures that count for one login.
type LoginFailures struct {
	// InBrowser is whether AtAddress are those in a browser that the user has logged in with before. Then nothing else
	// counts.
	InBrowser bool
	// AtAddress are those of the account at the address, or in the browser, that the login comes from.
	AtAddress Failures
	// OfAccount are those of the account at all addresses that are not known. They are zero at one that is.
	OfAccount Failures
	// AtNetwork and Nearby are those of all accounts, at the address and in its neighborhood.
	AtNetwork, Nearby Failures
}

// FailureKey names what failures are counted under. The zero FailureKey counts nothing.
type FailureKey struct {
	// Account identifies the account, or an unknown username. It is a digest: people type
	// their password into the username field.
	Account string
	// Address is a digest of Account and the network address (IPv6: its /48, which one guesser may have).
	Address string
	// Browser is a digest of Account and the browser, if the user has logged in there before. It is counted instead of
	// Address.
	Browser string
	// KnownAs is a digest of Account and the network address (IPv6: its /64) as which the address is known after a
	// login; empty if it does not become known.
	KnownAs string
	// AddressKnown is whether the user has logged in from there before.
	AddressKnown bool
	// Returning is whether the user has logged in before, but so long ago that the addresses have been forgotten.
	Returning bool
	// Network and Neighborhood are digests of the network address and its neighborhood, if the failures of all accounts
	// are counted there.
	Network, Neighborhood string
}

// OfAccount reports whether failures under the key count for the account as a whole too.
func (k FailureKey) OfAccount() bool { return k.Browser == "" && !k.AddressKnown }

// CountedAt returns where the failures are counted, apart from those of the account: in a browser or at an address.
func (k FailureKey) CountedAt() string { return cmp.Or(k.Browser, k.Address) }

// NewFailureKey returns the key of a login to an account from an IP address. The account is
// a user's id, or text that stands for an unknown username.
func NewFailureKey(account, address string) FailureKey {
	return FailureKey{
		Account: secret.Digest(account),
		Address: secret.Digest(account + "\x00" + ratelimit.SiteNetwork(address)),
	}
}

// NewUserCodeKey returns the key of the user codes that a user types at an IP address (RFC 8628 section 5.1).
func NewUserCodeKey(userID, address string) FailureKey {
	return NewFailureKey("user codes of "+userID, address)
}

// FailureAccount is what failures of a kind are counted under.
type FailureAccount struct {
	// Kind is what failed: password, code, passkey or user_code.
	Kind string
	// Account is the field of FailureKey.
	Account string
}

// FailureAccounts returns what the failures of the user with this id are counted under.
func FailureAccounts(userID string) []FailureAccount {
	return []FailureAccount{
		{"password", NewFailureKey(userID, "").Account},
		{"code", NewFailureKey(codesOf(userID), "").Account},
		{"passkey", NewFailureKey(passkeysOf(userID), "").Account},
		{"user_code", NewUserCodeKey(userID, "").Account},
	}
}

// codesOf and passkeysOf stand for a user in the keys of codes and of passkeys.
func codesOf(userID string) string    { return "codes of " + userID }
func passkeysOf(userID string) string { return "passkeys of " + userID }

// inBrowser returns the key of the login in a browser that the account is known in.
func (k FailureKey) inBrowser(account, id string) FailureKey {
	k.Browser = secret.Digest(account + "\x00browser " + id)
	return k
}

// from returns the key of a login from the address of the user, and not of a service that logs its users in.
func (k FailureKey) from(account, address string) FailureKey {
	k.KnownAs = secret.Digest(account + "\x00from " + ratelimit.Network(address))
	k.Network = secret.Digest("network " + ratelimit.Network(address))
	k.Neighborhood = secret.Digest("neighborhood " + ratelimit.Neighborhood(address))
	return k
}

// ThrottledError is returned for a login after too many recent failures.
type ThrottledError struct {
	// Wait is how long to wait before the next attempt.
	Wait time.Duration
	// ForOthers is whether only failures of other accounts, at the address or nearby, are too many.
	ForOthers bool
}

// Error returns a text that gives the wait in whole seconds.
func (e *ThrottledError) Error() string {
	return fmt.Sprintf("too many failed logins: wait %d seconds", e.Seconds())
}

// Seconds returns the wait in seconds, rounded up.
func (e *ThrottledError) Seconds() int { return wholeSeconds(e.Wait) }

// Wait returns how long a login must wait at now, or zero.
func (f LoginFailures) Wait(now time.Time) time.Duration {
	own := f.ownWait(now)
	if f.InBrowser {
		return own
	}
	return max(own, sprayLimit.wait(f.AtNetwork, now), neighborhoodLimit.wait(f.Nearby, now))
}

// ownWait is Wait without the failures of other accounts.
func (f LoginFailures) ownWait(now time.Time) time.Duration {
	if f.InBrowser {
		return KnownLimit.wait(f.AtAddress, now)
	}
	return max(AddressLimit.wait(f.AtAddress, now), AccountLimit.wait(f.OfAccount, now))
}

// Pause returns the time from the last of count failures to the next try.
func (l Limit) Pause(count int) time.Duration {
	over := count - l.Free
	switch {
	case over < 0:
		return 0
	case over > 16: // 2^17 seconds are more than a day
		return l.LongestWait
	}
	return min(time.Second<<over, l.LongestWait)
}

// wait returns how long a login must wait at now because of the failures, or zero.
func (l Limit) wait(f Failures, now time.Time) time.Duration {
	if !f.countsAt(now) {
		return 0
	}
	return max(f.LastAt.Add(l.Pause(f.Count)).Sub(now), 0)
}

// countsAt reports whether failures count at now. A time ahead of now was written by a wrong
// clock: it would bind for longer than ForgetAfter, so it does not count.
func (f Failures) countsAt(now time.Time) bool {
	ahead := now.Add(ClockMargin)
	return now.Sub(f.LastAt) < ForgetAfter && !f.Since.After(ahead) && !f.LastAt.After(ahead)
}
