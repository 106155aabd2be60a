package keyring

import (
	"errors"
	"fmt"
	"sync"
	"time"
)

// Health is the state of a source that reloads its keys, for metrics and readiness checks.
type Health struct {
	// Err is why the last attempt to read the keys failed; nil if it succeeded.
	Err error
	// Read is when the keys were last read, or found unchanged; zero if they never were.
	Read time.Time
	// Failures counts the failed attempts.
	Failures uint64
	// End is when the current keys run out: when the last one stops verifying, or when a new key that
	// could not be loaded starts to sign. Zero means that no end is known.
	End time.Time
}

// HealthOf returns the state of a File or a URL. It returns false for other sources, which never reload.
func HealthOf(source Source) (Health, bool) {
	s, ok := source.(interface{ Health() Health })
	if !ok {
		return Health{}, false
	}
	return s.Health(), true
}

// endMargin is how long before the keys run out a source that cannot be read becomes unhealthy.
const endMargin = time.Minute

// errExpired reports a source that can be read but whose keys have all expired.
var errExpired = errors.New("all keys have expired")

// Check returns an error if the keys have run out, or will within a minute and new ones cannot be read.
// A source that cannot be read is otherwise no reason to stop serving: its keys stay in use.
func (h Health) Check(now time.Time) error {
	switch {
	case h.End.IsZero() || now.Add(endMargin).Before(h.End):
		return nil
	case h.Err != nil:
		return fmt.Errorf("the keys run out at %s, and new ones cannot be read: %w",
			h.End.UTC().Format(time.RFC3339), h.Err)
	case !now.Before(h.End):
		return errExpired
	}
	return nil
}

// loads records a source's attempts to read its keys.
type loads struct {
	mu       sync.Mutex
	health   Health // without End
	rejected *Ring  // read by the last attempt, but refused by a check
}

// succeeded records an attempt that read the keys or found them unchanged.
func (l *loads) succeeded() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.health.Err, l.health.Read, l.rejected = nil, time.Now(), nil
}

// failed records a failed attempt, with the ring that a check refused, if any.
func (l *loads) failed(err error, rejected *Ring) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.health.Err, l.rejected = err, rejected
	l.health.Failures++
}

// healthOf returns the state of a source whose current ring is given.
func (l *loads) healthOf(current *Ring) Health {
	l.mu.Lock()
	defer l.mu.Unlock()
	h := l.health
	h.End = current.end()
	if l.rejected != nil {
		if signs := l.rejected.nextFor(current); !signs.IsZero() && (h.End.IsZero() || signs.Before(h.End)) {
			h.End = signs
		}
	}
	return h
}

// end returns when the last key for access tokens stops verifying. Zero means never, or that there is no
// key.
func (r *Ring) end() time.Time {
	var last time.Time
	for _, k := range r.keys {
		if k.ForIDTokens() {
			continue
		}
		if k.VerifiesUntil.IsZero() {
			return time.Time{}
		}
		if k.VerifiesUntil.After(last) {
			last = k.VerifiesUntil
		}
	}
	return last
}

// nextFor returns the earliest time at which a key of r signs that the current ring lacks. Only keys for
// an audience of the current ring count. Zero means that there is no such key.
func (r *Ring) nextFor(current *Ring) time.Time {
	audiences := map[string]bool{}
	for _, k := range current.keys {
		audiences[k.Audience] = true
	}
	var first time.Time
	for _, k := range r.keys {
		if current.byID[k.ID] == nil && audiences[k.Audience] && (first.IsZero() || k.SignsFrom.Before(first)) {
			first = k.SignsFrom
		}
	}
	return first
}
