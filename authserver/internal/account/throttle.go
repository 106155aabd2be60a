package account

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/hallpass-auth/hallpass/authserver/internal/secret"
)

// Limit says how failed logins slow down further ones.
type Limit struct {
	// Free is the number of failures without a wait: people mistype.
	Free int
	// LongestWait bounds the wait, which is one second after the free failures and doubles
	// with each further one.
	LongestWait time.Duration
}

// Failed logins are counted twice (NIST SP 800-63B section 5.2.2): for an account at one
// network address, and for an account at all addresses.
//
// At one address that leaves a guesser about 116 tries a day. The bound of the account is
// higher, so that a guesser at a few addresses does not keep out the owner at another one.
var (
	AddressLimit = Limit{Free: 10, LongestWait: 15 * time.Minute}
	AccountLimit = Limit{Free: 500, LongestWait: 15 * time.Minute}
)

// ForgetAfter is how long failures are counted, from the first of them on.
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
	// AtAddress are those of the account at the address that the login comes from.
	AtAddress Failures
	// OfAccount are those of the account at all addresses.
	OfAccount Failures
}

// FailureKey names what failures are counted under. The zero FailureKey counts nothing.
type FailureKey struct {
	// Account identifies the account, or an unknown username. It is a digest: people type
	// their password into the username field.
	Account string
	// Address is a digest of Account and the network address.
	Address string
}

// NewFailureKey returns the key of a login to an account from an IP address. The account is
// a user's id, or text that stands for an unknown username.
func NewFailureKey(account, address string) FailureKey {
	return FailureKey{
		Account: secret.Digest(account),
		Address: secret.Digest(account + "\x00" + Network(address)),
	}
}

// Network returns the network that limits are for: an IPv4 address, or the /64 prefix of an
// IPv6 address, all of which one host may use. It returns any other text unchanged.
func Network(address string) string {
	a, err := netip.ParseAddr(address)
	if err != nil {
		return address
	}
	if a = a.Unmap().WithZone(""); a.Is4() {
		return a.String()
	}
	return netip.PrefixFrom(a, 64).Masked().String()
}

// ThrottledError is returned for a login after too many recent failures.
type ThrottledError struct {
	// Wait is how long to wait before the next attempt.
	Wait time.Duration
}

// Error returns a text that gives the wait in whole seconds.
func (e *ThrottledError) Error() string {
	return fmt.Sprintf("too many failed logins: wait %d seconds", e.Seconds())
}

// Seconds returns the wait in seconds, rounded up.
func (e *ThrottledError) Seconds() int {
	return int((e.Wait + time.Second - 1) / time.Second)
}

// Wait returns how long a login must wait at now, or zero.
func (f LoginFailures) Wait(now time.Time) time.Duration {
	return max(AddressLimit.wait(f.AtAddress, now), AccountLimit.wait(f.OfAccount, now))
}

// Pause returns the time from the last of count failures to the next try. It is
// LongestWait for all counts from Free+10 on.
func (l Limit) Pause(count int) time.Duration {
	over := count - l.Free
	switch {
	case over < 0:
		return 0
	case over >= 10: // 2^10 seconds exceed LongestWait
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
	return now.Sub(f.Since) < ForgetAfter && !f.Since.After(ahead) && !f.LastAt.After(ahead)
}
