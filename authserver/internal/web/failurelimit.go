package web

import (
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
)

// Limits on failed client authentications (RFC 6749 section 10.10).
const (
	failureBurst    = 20
	failureInterval = time.Second
	maxFailureKeys  = 10_000
)

// failureLimiter limits the failed client authentications per key, which is a client id and
// a network (account.Network). It does not limit requests with the right secret: a secret of 256 random
// bits cannot be guessed, and a client must not be locked out by others at its address. The
// counts are in memory, separate for each replica.
type failureLimiter struct {
	now func() time.Time

	mu       sync.Mutex
	limiters map[string]*rate.Limiter
}

func newFailureLimiter(now func() time.Time) *failureLimiter {
	return &failureLimiter{now: now, limiters: map[string]*rate.Limiter{}}
}

// record counts a failure. It returns a *account.ThrottledError if the key has had too many
// failures.
func (f *failureLimiter) record(key string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := f.now()
	f.makeRoom(now)
	l, ok := f.limiters[key]
	if !ok {
		l = rate.NewLimiter(rate.Every(failureInterval), failureBurst)
		f.limiters[key] = l
	}
	if !l.AllowN(now, 1) {
		return &account.ThrottledError{Wait: failureInterval}
	}
	return nil
}

// makeRoom bounds the memory. It deletes the keys without recent failures, or all keys if
// every one has some.
func (f *failureLimiter) makeRoom(now time.Time) {
	if len(f.limiters) < maxFailureKeys {
		return
	}
	for key, l := range f.limiters {
		if l.TokensAt(now) >= failureBurst {
			delete(f.limiters, key)
		}
	}
	if len(f.limiters) >= maxFailureKeys {
		clear(f.limiters)
	}
}
