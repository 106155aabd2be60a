package statuslist

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// How lists are fetched.
const (
	fetchSilence     = 5 * time.Second        // how long a server may send nothing, from the connection to the last byte
	fetchLimit       = 30 * time.Second       // of a whole fetch: a long list on a slow link
	fetchFirstTime   = 2 * time.Second        // how long a list that was never fetched is tried without a pause
	fetchFirstWait   = 4 * time.Second        // how long the first requests for a list wait
	fetchRetry       = time.Second / 2        // after a failure
	fetchInterval    = time.Minute            // for a list without a ttl
	fetchMinInterval = 100 * time.Millisecond // between two fetches, whatever the ttl, and between first attempts
)

// trackedList is a list that is fetched periodically.
type trackedList struct {
	uri, address string
	began        time.Time                  // when the list was first used
	copy         atomic.Pointer[cachedList] // nil before the first success
	tried        chan struct{}              // closed when the first requests no longer wait
	used         atomic.Int64               // when the list was last used, in seconds since 1970
	wake         chan struct{}              // holds a value if the list should be fetched now
}

// markUsed records that the list is in use.
func (l *trackedList) markUsed(now time.Time) {
	if s := now.Unix(); l.used.Load() != s { // a write per request would contend between cores
		l.used.Store(s)
	}
}

// idle reports whether the list has not been used for idleTime.
func (l *trackedList) idle(now time.Time) bool {
	return now.Unix()-l.used.Load() > int64(idleTime.Seconds())
}

// fetchSoon ends the pause before the next fetch.
func (l *trackedList) fetchSoon() {
	select {
	case l.wake <- struct{}{}:
	default: // already woken
	}
}

// confirmed returns when the copy was last fetched or found unchanged, and when the list was first
// used if there is no copy. Later revocations may be unknown.
func (l *trackedList) confirmed() time.Time {
	if cached := l.copy.Load(); cached != nil {
		return cached.confirmed
	}
	return l.began
}

// wait returns the copy. Without a copy, it waits until the first attempts to fetch one are over, fetchFirstWait has
// passed or ctx ends, because a server that has just started may need a moment.
func (l *trackedList) wait(ctx context.Context) (*cachedList, error) {
	if cached := l.copy.Load(); cached != nil {
		return cached, nil
	}
	select {
	case <-l.tried:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	if cached := l.copy.Load(); cached != nil {
		return cached, nil
	}
	return nil, errNeverFetched
}

// track fetches a list periodically until ctx ends or the list is idle.
func (c *Client) track(ctx context.Context, l *trackedList) {
	tried := sync.OnceFunc(func() { close(l.tried) })
	late := time.AfterFunc(fetchFirstWait, tried)
	err := c.fetchFirst(ctx, l)
	late.Stop()
	tried()
	for state := fresh; ctx.Err() == nil; err = c.fetch(ctx, l) {
		now, cached := c.cfg.Now(), l.copy.Load()
		if l.idle(now) && (err == nil || cached == nil || c.checkUsable(cached.latest(), now) != nil) {
			c.forget(l)
			return
		}
		state = c.report(ctx, l, state, err)
		if err == nil {
			sleep(ctx, cached.pause(now), l.wake)
		} else {
			sleep(ctx, fetchRetry, nil) // not shortened by requests
		}
	}
}

// fetchFirst tries to fetch a list without a pause for fetchFirstTime, while the first requests wait for it.
func (c *Client) fetchFirst(ctx context.Context, l *trackedList) (err error) {
	for began := time.Now(); ctx.Err() == nil && time.Since(began) < fetchFirstTime; sleep(ctx, fetchMinInterval, nil) {
		if err = c.fetch(ctx, l); err == nil {
			return nil
		}
	}
	return err
}

// sleep waits for d, or until ctx ends or wake holds a value.
func sleep(ctx context.Context, d time.Duration, wake <-chan struct{}) {
	select {
	case <-ctx.Done():
	case <-wake:
	case <-time.After(d):
	}
}

// state is the state of a list that was last logged.
type state int

const (
	fresh  state = iota
	stale        // it cannot be fetched, and the copy is still used
	absent       // it cannot be fetched, and there is no usable copy
)

// report logs a change of state and returns the new one.
func (c *Client) report(ctx context.Context, l *trackedList, before state, err error) state {
	now := fresh
	cached := l.copy.Load()
	switch {
	case err != nil && (cached == nil || c.checkUsable(cached.latest(), c.cfg.Now()) != nil):
		now = absent
	case err != nil:
		now = stale
	}
	if now == before {
		return now
	}
	switch now {
	case absent:
		c.cfg.Log.ErrorContext(ctx, "status list not fetched: tokens that refer to it get a 503",
			"uri", l.uri, "from", l.address, "error", err)
	case stale:
		c.cfg.Log.WarnContext(ctx, "status list not fetched: the previous copy stays in use, and new revocations are unknown",
			"uri", l.uri, "from", l.address, "until", cached.latest().ExpiresAt, "error", err)
	case fresh:
		c.cfg.Log.InfoContext(ctx, "status list fetched again", "uri", l.uri)
	}
	return now
}
