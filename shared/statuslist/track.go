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
	fetchTimeout = 2 * time.Second
	firstTries   = 2 * time.Second        // while requests wait, which are the first to ask
	fetchRetry   = time.Second / 2        // after a failure
	fetchPause   = time.Minute            // where the list does not say a ttl
	fetchAtLeast = 100 * time.Millisecond // between two fetches, whatever it says, and between the first tries
)

// maxAnswer bounds the signed form, in bytes: twice that of a list of MaxSize in which
// every bit is random.
const maxAnswer = 512 << 10

// followed is a list that is kept fresh.
type followed struct {
	uri, address string
	began        time.Time            // when somebody first asked
	held         atomic.Pointer[held] // nil before the first success
	tried        chan struct{}        // closed when it is held, or could not be fetched so far
	asked        atomic.Int64         // when somebody last asked, in seconds since 1970
	hurry        chan struct{}        // holds a value when somebody has found the copy's key ended
}

// ask notes that somebody asks.
func (l *followed) ask(now time.Time) {
	if s := now.Unix(); l.asked.Load() != s { // or every request would write the same memory
		l.asked.Store(s)
	}
}

// idle reports whether nobody has asked for long.
func (l *followed) idle(now time.Time) bool {
	return now.Unix()-l.asked.Load() > int64(idleTime.Seconds())
}

// hasten ends the pause before the next fetch.
func (l *followed) hasten() {
	select {
	case l.hurry <- struct{}{}:
	default: // somebody was faster
	}
}

// confirmed returns since when nobody knows what has been revoked: a list that was never
// fetched is no better than one that has not been since it was asked for.
func (l *followed) confirmed() time.Time {
	if h := l.held.Load(); h != nil {
		return h.confirmed
	}
	return l.began
}

// wait returns the copy. It waits for the first tries to fetch it, since a server that is
// just starting may need a moment, but no longer than until ctx ends.
func (l *followed) wait(ctx context.Context) (*held, error) {
	if h := l.held.Load(); h != nil {
		return h, nil
	}
	select {
	case <-l.tried:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	if h := l.held.Load(); h != nil {
		return h, nil
	}
	return nil, errNeverFetched
}

// follow fetches a list now and then again and again, until ctx ends or nobody asks for
// it any more.
func (c *Client) follow(ctx context.Context, l *followed) {
	err := c.fetchFirst(ctx, l)
	close(l.tried)
	for state := fresh; ctx.Err() == nil; err = c.fetch(ctx, l) {
		now, h := c.cfg.Now(), l.held.Load()
		if l.idle(now) && (err == nil || h == nil || c.inForce(h.latest(), now) != nil) {
			c.forget(l)
			return
		}
		state = c.report(ctx, l, state, err)
		if err == nil {
			sleep(ctx, h.pause(now), l.hurry)
		} else {
			sleep(ctx, fetchRetry, nil) // however many hurry
		}
	}
}

// fetchFirst tries to fetch a list for as long as requests wait for it.
func (c *Client) fetchFirst(ctx context.Context, l *followed) (err error) {
	for began := time.Now(); ctx.Err() == nil && time.Since(began) < firstTries; sleep(ctx, fetchAtLeast, nil) {
		if err = c.fetch(ctx, l); err == nil {
			return nil
		}
	}
	return err
}

// sleep waits, but no longer than until ctx ends or somebody is in a hurry.
func sleep(ctx context.Context, d time.Duration, hurry <-chan struct{}) {
	select {
	case <-ctx.Done():
	case <-hurry:
	case <-time.After(d):
	}
}

// state is what was last said about a list.
type state int

const (
	fresh  state = iota
	stale        // it cannot be fetched, and the copy still answers
	absent       // it cannot be fetched, and there is nothing that answers
)

// report logs what has become of a list, once and not at every try.
func (c *Client) report(ctx context.Context, l *followed, before state, err error) state {
	now := fresh
	h := l.held.Load()
	switch {
	case err != nil && (h == nil || c.inForce(h.latest(), c.cfg.Now()) != nil):
		now = absent
	case err != nil:
		now = stale
	}
	if now == before {
		return now
	}
	switch now {
	case absent:
		c.cfg.Log.ErrorContext(ctx, "status list not fetched: tokens that point at it are answered with 503", "uri", l.uri, "from", l.address, "error", err)
	case stale:
		c.cfg.Log.WarnContext(ctx, "status list not fetched: the copy of before stays in force, and revocations do not arrive", "uri", l.uri, "from", l.address, "until", h.latest().ExpiresAt, "error", err)
	case fresh:
		c.cfg.Log.InfoContext(ctx, "status list fetched again", "uri", l.uri)
	}
	return now
}

// fetch makes the published list the copy that is held, and counts where it cannot.
func (c *Client) fetch(ctx context.Context, l *followed) error {
	err := c.tryToFetch(ctx, l)
	if err != nil {
		c.failures.Add(1)
	}
	return err
}

func (c *Client) tryToFetch(ctx context.Context, l *followed) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, l.address, nil)
	if err != nil {
		return err
	}
	req.Header.Set("Accept", MediaType)
	before := l.held.Load()
	if before != nil && before.latest().etag != "" && c.inForce(before.latest(), c.cfg.Now()) == nil {
		req.Header.Set("If-None-Match", before.latest().etag)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusNotModified && req.Header.Get("If-None-Match") != "" {
		now := c.cfg.Now()
		if err := c.inForce(before.latest(), now); err != nil {
			return err // it has ended meanwhile, and a 304 is not signed
		}
		l.held.Store(&held{forms: before.forms, confirmed: now})
		return nil
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("the answer is %s", resp.Status)
	}
	h, err := c.read(resp, l, before)
	if errors.Is(err, errOlder) && c.cfg.Now().Sub(before.confirmed) < patience {
		return nil // and nothing is confirmed
	}
	if err == nil {
		l.held.Store(h)
	}
	return err
}

// read returns the copy to hold in place of the one before when a form has been sent.
func (c *Client) read(resp *http.Response, l *followed, before *held) (*held, error) {
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return nil, err
	}
	if len(raw) > maxAnswer {
		return nil, errors.New("the answer is too large")
	}
	now := c.cfg.Now()
	t, key, err := verify(string(raw), Expected{URI: l.uri, Keys: c.cfg.Keys, Audience: c.cfg.Audience, Now: now})
	if err != nil {
		return nil, err
	}
	return c.join(before, newForm(t, key, resp.Header.Get("ETag"), now), now)
}
