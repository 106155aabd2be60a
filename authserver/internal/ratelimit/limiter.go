// Package ratelimit limits how often something happens, for each client, host or network.
package ratelimit

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// MaxKeys is the maximum number of keys that a Limiter stores.
const MaxKeys = 10_000

// Limiter limits how often something happens per key. The counts are in memory, separate for each
// replica. It is safe for concurrent use.
type Limiter struct {
	now      func() time.Time
	burst    int
	interval time.Duration

	mu       sync.Mutex
	limiters map[string]*rate.Limiter
}

// New returns a limiter that allows burst events of a key at once, and then one in every interval.
func New(now func() time.Time, burst int, interval time.Duration) *Limiter {
	return &Limiter{now: now, burst: burst, interval: interval, limiters: map[string]*rate.Limiter{}}
}

// Allow counts an event, and reports whether it is within the limit of its key.
func (l *Limiter) Allow(key string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	l.makeRoom(now)
	r, ok := l.limiters[key]
	if !ok {
		r = rate.NewLimiter(rate.Every(l.interval), l.burst)
		l.limiters[key] = r
	}
	return r.AllowN(now, 1)
}

// Len returns the number of keys that are stored.
func (l *Limiter) Len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.limiters)
}

// makeRoom bounds the memory. It deletes the keys without recent events, or all keys if every one has
// some.
func (l *Limiter) makeRoom(now time.Time) {
	if len(l.limiters) < MaxKeys {
		return
	}
	for key, r := range l.limiters {
		if r.TokensAt(now) >= float64(l.burst) {
			delete(l.limiters, key)
		}
	}
	if len(l.limiters) >= MaxKeys {
		clear(l.limiters)
	}
}
