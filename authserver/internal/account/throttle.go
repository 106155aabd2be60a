package account

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"time"
)

// How failed logins slow an account down. The first failures are free: people
// mistype. From then on every further failure doubles the wait, up to a quarter of
// an hour, which leaves a guesser about a hundred tries a day (NIST SP 800-63B
// §5.2.2).
const (
	freeFailures = 10
	firstWait    = time.Second
	longestWait  = 15 * time.Minute
)

// ForgetAfter is how long a failure counts.
const ForgetAfter = 24 * time.Hour

// Failures is what is known about the failed logins of one account.
type Failures struct {
	// Count is the number of failures since the last success.
	Count int
	// LastAt is when the last one was.
	LastAt time.Time
}

// ThrottledError says that an account has had too many failures lately.
type ThrottledError struct {
	// Wait is how long to wait before the next try.
	Wait time.Duration
}

// Error says how long to wait, in whole seconds.
func (e *ThrottledError) Error() string {
	return fmt.Sprintf("too many failed logins: wait %d seconds", e.Seconds())
}

// Seconds returns the wait in whole seconds, rounded up.
func (e *ThrottledError) Seconds() int {
	return int((e.Wait + time.Second - 1) / time.Second)
}

// wait returns how long the account must still wait at now; zero means not at all.
func (f Failures) wait(now time.Time) time.Duration {
	over := f.Count - freeFailures
	if over < 0 {
		return 0
	}
	pause := longestWait
	if over < 10 { // 2^10 seconds are more than the longest wait
		pause = min(firstWait<<over, longestWait)
	}
	return max(f.LastAt.Add(pause).Sub(now), 0)
}

// ThrottleKey returns what stands for a username in the table of failures: the names that
// people mistype include their passwords, which must not be stored.
func ThrottleKey(username string) string {
	sum := sha256.Sum256([]byte(username))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}
