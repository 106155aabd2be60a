package account

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"time"
)

// Limits on failed logins. The first failures are free, because people mistype. Each
// further failure doubles the wait, up to 15 minutes. That allows about a hundred
// guesses a day (NIST SP 800-63B section 5.2.2).
const (
	freeFailures = 10
	firstWait    = time.Second
	longestWait  = 15 * time.Minute
)

// ForgetAfter is how long a failed login is counted.
const ForgetAfter = 24 * time.Hour

// Failures counts the failed logins of one account.
type Failures struct {
	// Count is the number of failures since the last success.
	Count int
	// LastAt is the time of the last failure.
	LastAt time.Time
}

// ThrottledError is returned for an account with too many recent failures.
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

// wait returns how long the account must wait from now on, or zero.
func (f Failures) wait(now time.Time) time.Duration {
	over := f.Count - freeFailures
	if over < 0 {
		return 0
	}
	pause := longestWait
	if over < 10 { // 2^10 seconds exceed longestWait
		pause = min(firstWait<<over, longestWait)
	}
	return max(f.LastAt.Add(pause).Sub(now), 0)
}

// ThrottleKey returns the key under which failed logins with the username are counted. It
// is a digest, because people sometimes type their password into the username field.
func ThrottleKey(username string) string {
	sum := sha256.Sum256([]byte(username))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}
