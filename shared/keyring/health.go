package keyring

import (
	"errors"
	"fmt"
	"sync"
	"time"
)

// Health is the state of a source that reads its keys again and again, for metrics and readiness checks.
type Health struct {
	// Err is why the last try to read the keys failed; nil if it succeeded.
	Err error
	// Read is when the keys were last read, or found unchanged; zero if they never were.
	Read time.Time
	// Failures counts the tries that failed.
	Failures uint64
	// End is from when the current keys no longer suffice, as far as is known: the last one stops to
	// verify, or a new one signs, which could not be put to use. Zero means that no end is known.
	End time.Time
}

// HealthOf returns the state of a File or a URL. It is false for other sources, which read nothing again.
func HealthOf(source Source) (Health, bool) {
	s, ok := source.(interface{ Health() Health })
	if !ok {
		return Health{}, false
	}
	return s.Health(), true
}

// endMargin is how long before their end the keys of a source that cannot be read make it unhealthy.
const endMargin = time.Minute

// errOver reports keys that have ended, although their source can be read.
var errOver = errors.New("no key is left that verifies")

// Check returns an error if the keys have ended, or end within a minute and new ones cannot be read. A
// source that cannot be read is otherwise no reason to stop serving: its keys stay in use.
func (h Health) Check(now time.Time) error {
	switch {
	case h.End.IsZero() || now.Add(endMargin).Before(h.End):
		return nil
	case h.Err != nil:
		return fmt.Errorf("the keys suffice until %s, and new ones cannot be read: %w",
			h.End.UTC().Format(time.RFC3339), h.Err)
	case !now.Before(h.End):
		return errOver
	}
	return nil
}

// tries records the tries of a source to read its keys.
type tries struct {
	mu      sync.Mutex
	health  Health // without End
	refused *Ring  // of the last try, if it could be parsed but must not be used
}

// succeeded records a try that read the keys, or found them unchanged.
func (t *tries) succeeded() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.health.Err, t.health.Read, t.refused = nil, time.Now(), nil
}

// failed records a try that failed, with the ring that must not be used, if there is one.
func (t *tries) failed(err error, refused *Ring) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.health.Err, t.refused = err, refused
	t.health.Failures++
}

// of returns the state of the source whose current ring this is.
func (t *tries) of(current *Ring) Health {
	t.mu.Lock()
	defer t.mu.Unlock()
	h := t.health
	h.End = current.end()
	if t.refused != nil {
		if signs := t.refused.nextFor(current); !signs.IsZero() && (h.End.IsZero() || signs.Before(h.End)) {
			h.End = signs
		}
	}
	return h
}

// end returns when the last key stops to verify. Zero means never, and that there is no key.
func (r *Ring) end() time.Time {
	var last time.Time
	for _, k := range r.keys {
		if k.VerifiesUntil.IsZero() {
			return time.Time{}
		}
		if k.VerifiesUntil.After(last) {
			last = k.VerifiesUntil
		}
	}
	return last
}

// nextFor returns when the first key signs that the current ring does not have, of those with an audience
// that the current ring has a key for. Zero means that there is no such key.
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
