package keyring

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"
)

// How a URL is asked for keys. A key is to be published earlier than it signs, by more
// than the interval; one that was not is found by its unknown kid.
const (
	fetchInterval    = time.Minute      // between two routine looks
	fetchMinInterval = 10 * time.Second // between any two, whatever tokens come in
	fetchRetry       = 2 * time.Second  // after a failure
	fetchTimeout     = 5 * time.Second
)

// errNonePublished is what an authorization server with a shared secret makes of a fetch.
var errNonePublished = errors.New("the authorization server publishes no public key: it signs with a shared secret; use --keys-file (HALLPASS_KEYS_FILE)")

// URL is a Source of public keys that follows a JWK Set published by an authorization
// server. It never fetches on a request's behalf: requests that bring an unknown kid
// make it look again, in the background, one look at a time. It is safe for concurrent
// use.
type URL struct {
	url    string
	client *http.Client
	log    *slog.Logger
	ring   atomic.Pointer[Ring]
	wake   chan struct{} // asks Follow for a look

	mu     sync.Mutex
	asked  time.Time // when a look was last asked for because of an unknown kid
	asking bool      // whether that look is still to be answered
}

// NewURL returns a source that knows no key until Follow has fetched some. The address
// must be http or https.
func NewURL(address string, log *slog.Logger) (*URL, error) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") {
		return nil, fmt.Errorf("%q is not a URL like https://login.example.com/jwks.json", address)
	}
	s := &URL{url: address, client: &http.Client{Timeout: fetchTimeout, CheckRedirect: noRedirect}, log: log, wake: make(chan struct{}, 1)}
	s.ring.Store(&Ring{})
	s.asking = true // nothing has been fetched yet, so an answer is out
	return s, nil
}

// noRedirect takes a redirect for the answer, which it is not: keys come from the address of
// the settings, whose scheme and host somebody has chosen to trust, and from nowhere else.
func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// Current returns the keys last fetched; none before the first time.
func (s *URL) Current() *Ring { return s.ring.Load() }

// Pending asks for a look if the last one that was asked for is long enough ago, and
// reports whether an answer is still out.
func (s *URL) Pending() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now := time.Now(); !s.asking && now.Sub(s.asked) >= fetchMinInterval {
		s.asked, s.asking = now, true
		select {
		case s.wake <- struct{}{}:
		default: // Follow has been woken already
		}
	}
	return s.asking
}

// Follow fetches the keys now, at intervals, and when Pending asks for it, until ctx
// ends. Keys that could be fetched before stay good while it fails. Call it once.
func (s *URL) Follow(ctx context.Context) {
	var failure error // the last one that was told
	for {
		pause := fetchInterval
		err := s.fetch(ctx)
		switch {
		case err != nil && ctx.Err() == nil:
			pause = fetchRetry
			s.answered(s.Current().Len() > 0) // with no keys at all nothing can be judged
			if failure == nil || errors.Is(err, errNonePublished) && !errors.Is(failure, errNonePublished) {
				s.warn(ctx, err) // once, not at every try
				failure = err
			}
		case err == nil:
			if failure != nil {
				s.log.InfoContext(ctx, "keys fetched after all", "url", s.url)
			}
			failure = nil
		}
		select {
		case <-ctx.Done():
			return
		case <-s.wake:
		case <-time.After(pause):
		}
	}
}

// warn says what it means that a fetch failed.
func (s *URL) warn(ctx context.Context, err error) {
	if s.Current().Len() == 0 {
		s.log.WarnContext(ctx, "keys not fetched: no token can be judged before they are", "url", s.url, "error", err)
		return
	}
	s.log.WarnContext(ctx, "keys not fetched: those fetched before stay in force", "url", s.url, "error", err)
}

// fetch makes the published keys current.
func (s *URL) fetch(ctx context.Context) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url, nil)
	if err != nil {
		return err
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("the answer is %s", resp.Status)
	}
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxFile+1))
	if err != nil {
		return err
	}
	if len(data) > maxFile {
		return errors.New("the answer is too large")
	}
	ring, err := ParsePublic(data)
	if errors.Is(err, errEmpty) {
		return errNonePublished
	}
	if err != nil {
		return err
	}
	if !ring.sameAs(s.ring.Load()) { // or every verified token would have to be verified again
		s.ring.Store(ring)
	}
	s.answered(true)
	return nil
}

// answered notes that nobody need wait for a look any more.
func (s *URL) answered(done bool) {
	if done {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.asking = false
	}
}

// sameAs reports whether both rings publish the same keys with the same ids.
func (r *Ring) sameAs(other *Ring) bool {
	always := time.Time{} // before any key has ended
	mine, err := r.Public(always)
	theirs, errOther := other.Public(always)
	return err == nil && errOther == nil && string(mine) == string(theirs)
}
