package statuslist

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"time"
)

// How lists are fetched.
const (
	fetchTimeout     = 2 * time.Second
	fetchFirstTime   = 2 * time.Second        // how long the first requests for a list wait
	fetchRetry       = time.Second / 2        // after a failure
	fetchInterval    = time.Minute            // for a list without a ttl
	fetchMinInterval = 100 * time.Millisecond // between two fetches, whatever the ttl, and between first attempts
)

// maxResponse bounds the signed form, in bytes. It is twice the size of a list of MaxSize random bits.
const maxResponse = 512 << 10

// trackedList is a list that is fetched periodically.
type trackedList struct {
	uri, address string
	began        time.Time                  // when the list was first used
	copy         atomic.Pointer[cachedList] // nil before the first success
	tried        chan struct{}              // closed when copy is set or the first attempts have failed
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

// wait returns the copy. Without a copy, it waits until the first attempts to fetch one are over or
// ctx ends, because a server that has just started may need a moment.
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
	err := c.fetchFirst(ctx, l)
	close(l.tried)
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

// fetchFirst tries to fetch a list for as long as the first requests wait for it.
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

// fetch replaces the copy with the published list, and counts failures.
func (c *Client) fetch(ctx context.Context, l *trackedList) error {
	err := c.tryFetch(ctx, l)
	if err != nil {
		c.failures.Add(1)
	}
	return err
}

// tryFetch makes one request for the list.
func (c *Client) tryFetch(ctx context.Context, l *trackedList) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, l.address, nil)
	if err != nil {
		return err
	}
	req.Header.Set("Accept", MediaType)
	before := l.copy.Load()
	if before != nil && before.latest().etag != "" && c.checkUsable(before.latest(), c.cfg.Now()) == nil {
		req.Header.Set("If-None-Match", before.latest().etag)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusNotModified && req.Header.Get("If-None-Match") != "" {
		now := c.cfg.Now()
		if err := c.checkUsable(before.latest(), now); err != nil {
			return err // it has expired since the request was sent, and a 304 is not signed
		}
		l.copy.Store(&cachedList{lists: before.lists, confirmed: now})
		return nil
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("the response is %s", resp.Status)
	}
	cached, err := c.read(resp, l, before)
	if errors.Is(err, errOlder) && c.cfg.Now().Sub(before.confirmed) < olderTimeout {
		return nil // but do not update confirmed
	}
	if err == nil {
		l.copy.Store(cached)
	}
	return err
}

// read verifies the list in the response and merges it into the previous copy.
func (c *Client) read(resp *http.Response, l *trackedList, before *cachedList) (*cachedList, error) {
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxResponse+1))
	if err != nil {
		return nil, err
	}
	if len(raw) > maxResponse {
		return nil, errors.New("the response is too large")
	}
	now := c.cfg.Now()
	t, err := Verify(string(raw), Expected{URI: l.uri, Keys: c.cfg.Keys, Audience: c.cfg.Audience, Now: now})
	if err != nil {
		return nil, err
	}
	merged, err := c.merge(before, newPublishedList(t, resp.Header.Get("ETag"), now), now)
	if err == nil {
		c.lookForRevocations(before, t, now)
	}
	return merged, err
}
