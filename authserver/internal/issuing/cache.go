package issuing

import (
	"context"
	"sync"
	"time"
)

// CacheTime is how long clients, APIs, grants of services and the epoch are kept in memory, counted
// from before they were read. A change by another process is in force after this time.
const CacheTime = 250 * time.Millisecond

// maxCached limits the entries of a cache.
const maxCached = 10_000

// cache keeps records in memory for CacheTime. It is safe for concurrent use. The records are shared:
// callers must not change them.
type cache[K comparable, V any] struct {
	now  func() time.Time
	read func(context.Context, K) (V, error)

	mu      sync.Mutex
	entries map[K]cached[V]
	drops   int // the number of calls of drop
}

// cached is a record with the time right before it was read.
type cached[V any] struct {
	value V
	since time.Time
}

func newCache[K comparable, V any](now func() time.Time, read func(context.Context, K) (V, error)) *cache[K, V] {
	return &cache[K, V]{now: now, read: read, entries: map[K]cached[V]{}}
}

// get returns the record of a key, from memory or by reading it. It keeps no errors, so that unknown
// keys take no memory.
func (c *cache[K, V]) get(ctx context.Context, key K) (V, error) {
	now := c.now()
	c.mu.Lock()
	entry, found := c.entries[key]
	drops := c.drops
	c.mu.Unlock()
	age := now.Sub(entry.since)
	if found && age >= 0 && age < CacheTime { // negative if the clock was put back
		return entry.value, nil
	}
	value, err := c.read(ctx, key)
	if err == nil {
		c.keep(key, cached[V]{value, now}, drops)
	}
	return value, err
}

// keep stores an entry unless a record was dropped since it was read, which may be this one.
func (c *cache[K, V]) keep(key K, entry cached[V], drops int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.drops != drops {
		return
	}
	if len(c.entries) >= maxCached {
		clear(c.entries) // they would be read again in a moment anyway
	}
	c.entries[key] = entry
}

// drop forgets a record that this process has changed.
func (c *cache[K, V]) drop(key K) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.drops++
	delete(c.entries, key)
}
