package statuslist

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// maxResponse bounds the signed form, in bytes. It is twice the size of a list of MaxSize random bits.
const maxResponse = 512 << 10

// Reasons why a fetch was given up.
var (
	errSilent = fmt.Errorf("the server has sent nothing for %v", fetchSilence)
	errSlow   = fmt.Errorf("the response takes longer than %v", fetchLimit)
)

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
	ctx, heard, done := watch(ctx)
	defer done()
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
		return cmp.Or(context.Cause(ctx), err)
	}
	defer resp.Body.Close()
	heard()
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
	raw, err := readBody(resp.Body, heard)
	if err != nil {
		return cmp.Or(context.Cause(ctx), err)
	}
	cached, err := c.read(raw, resp.Header.Get("ETag"), l, before)
	if errors.Is(err, errOlder) && c.cfg.Now().Sub(before.confirmed) < olderTimeout {
		return nil // but do not update confirmed
	}
	if err == nil {
		l.copy.Store(cached)
	}
	return err
}

// readBody reads a response and calls heard for each part of it.
func readBody(body io.Reader, heard func()) ([]byte, error) {
	raw, err := io.ReadAll(io.LimitReader(hearing{body, heard}, maxResponse+1))
	if err == nil && len(raw) > maxResponse {
		err = errors.New("the response is too large")
	}
	return raw, err
}

// hearing calls heard when it has read something.
type hearing struct {
	io.Reader
	heard func()
}

// Read implements io.Reader.
func (h hearing) Read(p []byte) (int, error) {
	n, err := h.Reader.Read(p)
	if n > 0 {
		h.heard()
	}
	return n, err
}

// watch returns the context of a fetch. It ends after fetchLimit, and when heard was not called for fetchSilence. done
// frees it.
func watch(ctx context.Context) (watched context.Context, heard, done func()) {
	ctx, stop := context.WithTimeoutCause(ctx, fetchLimit, errSlow)
	ctx, cancel := context.WithCancelCause(ctx)
	silence := time.AfterFunc(fetchSilence, func() { cancel(errSilent) })
	return ctx, func() { silence.Reset(fetchSilence) }, func() { silence.Stop(); cancel(nil); stop() }
}

// read verifies a list that was fetched and merges it into the previous copy.
func (c *Client) read(raw []byte, etag string, l *trackedList, before *cachedList) (*cachedList, error) {
	now := c.cfg.Now()
	t, err := Verify(string(raw), Expected{URI: l.uri, Keys: c.cfg.Keys, Audience: c.cfg.Audience, Now: now})
	if err != nil {
		return nil, err
	}
	merged, err := c.merge(before, newPublishedList(t, etag, now), now)
	if err == nil {
		c.lookForRevocations(before, t, now)
	}
	return merged, err
}
