package keyring

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// How often keys are fetched. A new key should be published for longer than fetchInterval before it
// signs. A key published later is fetched when a token names its kid.
const (
	fetchInterval    = time.Minute
	fetchMinInterval = 10 * time.Second // between fetches for an unknown kid
	fetchFirstRetry  = 2 * time.Second  // after a failure, without keys
	fetchRetry       = 10 * time.Second // after a failure, with the keys of the last fetch
	fetchTimeout     = 5 * time.Second
)

// errNonePublished reports an empty JWK Set, as published by a server that signs with a shared secret.
var errNonePublished = errors.New("the authorization server publishes no public key: " +
	"it signs with a shared secret, which a keys file can hold")

// URL is a Source of public keys that follows the JWK Set of an authorization server, as ParsePublic reads it. Fetches
// run in the background, one at a time; no request waits for one. It is safe for concurrent use.
type URL struct {
	url    string
	client *http.Client
	log    *slog.Logger
	ring   atomic.Pointer[Ring]
	loads  loads
	wake   chan struct{}     // holds a value if Watch should fetch now
	told   [sha256.Size]byte // hash of the set whose ignored keys were logged last; used only by Watch

	mu        sync.Mutex
	requested time.Time // when a fetch was last requested for an unknown kid
	wanted    uint64    // how many fetches were requested; the first one is
	fetched   uint64    // wanted, when the last fetch that succeeded began
}

// NewURL returns a source that has no key until Watch has fetched some. Failed fetches are logged. The
// address must be an https URL, or an http URL of this machine: the keys are not signed, so without TLS
// an attacker on the network could replace them and then sign tokens. The error does not quote the
// address.
func NewURL(address string, log *slog.Logger) (*URL, error) {
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Hostname() == "" || (u.Scheme != "https" && u.Scheme != "http"):
		return nil, errors.New("it is not a URL like https://login.example.com/jwks.json")
	case u.User != nil:
		return nil, errors.New("it must not have a user or password: the keys are public")
	case u.Scheme == "http" && !isLoopback(u.Hostname()):
		return nil, errors.New("it must begin with https:// unless the host is this machine: " +
			"an attacker on the network could replace the keys, and sign tokens. " +
			"Without TLS, use a keys file ('authserver key export' makes one)")
	}
	s := &URL{
		url:    address,
		client: &http.Client{Timeout: fetchTimeout, CheckRedirect: noRedirect},
		log:    log,
		wake:   make(chan struct{}, 1),
		wanted: 1,
	}
	s.ring.Store(&Ring{})
	return s, nil
}

// SetTransport sets what makes the requests; without it, that is http.DefaultTransport. Call it before Watch.
func (s *URL) SetTransport(t http.RoundTripper) { s.client.Transport = t }

// isLoopback reports whether the host of a URL is this machine.
func isLoopback(host string) bool {
	return strings.EqualFold(host, "localhost") || net.ParseIP(host).IsLoopback()
}

// noRedirect stops the client from following redirects: keys must come from the configured address.
func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// Current returns the ring that was fetched last. It is empty before the first fetch.
func (s *URL) Current() *Ring { return s.ring.Load() }

// Pending requests a fetch, unless one was requested less than 10 seconds ago, and reports whether
// no fetch has succeeded that began after the last request. An unknown kid may then name a new key.
func (s *URL) Pending() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now := time.Now(); s.fetched == s.wanted && now.Sub(s.requested) >= fetchMinInterval {
		s.requested = now
		s.wanted++
		select {
		case s.wake <- struct{}{}:
		default: // Watch has been woken already
		}
	}
	return s.fetched < s.wanted
}

// Health returns whether the keys can be fetched and when the current keys run out.
func (s *URL) Health() Health { return s.loads.healthOf(s.Current()) }

// Watch fetches the keys at once, then every minute and when Pending requests it, until ctx ends. If a
// fetch fails, the keys fetched before stay in use. Watch then retries every 10 seconds, or every 2
// seconds if it has no keys, and logs each failure. It logs once for each set how many keys of it are
// ignored. Call it once.
func (s *URL) Watch(ctx context.Context) {
	failing := false
	for {
		pause := fetchInterval
		switch err := s.fetch(ctx); {
		case ctx.Err() != nil:
			return
		case err != nil:
			s.loads.failed(err, nil)
			s.warn(ctx, err)
			failing, pause = true, fetchFirstRetry
			if s.Current().Len() > 0 {
				pause = fetchRetry
			}
		default:
			s.loads.succeeded()
			if failing {
				s.log.InfoContext(ctx, "keys fetched again", "url", s.url)
			}
			failing = false
		}
		select {
		case <-ctx.Done():
			return
		case <-s.wake:
		case <-time.After(pause):
		}
	}
}

// warn logs a failed fetch and its consequence.
func (s *URL) warn(ctx context.Context, err error) {
	if s.Current().Len() == 0 {
		s.log.WarnContext(ctx, "keys not fetched: no token can be verified until they are", "url", s.url, "error", err)
		return
	}
	s.log.WarnContext(ctx, "keys not fetched: those fetched last stay in use", "url", s.url, "error", err)
}

// fetch makes the published keys current.
func (s *URL) fetch(ctx context.Context) error {
	wanted := s.requests()
	data, err := s.get(ctx)
	if err != nil {
		return err
	}
	ring, ignored, err := parsePublished(data)
	s.logIgnored(ctx, data, ignored)
	if err == nil {
		ring, err = ring.withoutIDTokenKeys()
	}
	if errors.Is(err, errEmpty) {
		return errNonePublished
	}
	if err != nil {
		return err
	}
	if !ring.equal(s.ring.Load()) { // a new ring invalidates the cache of verified tokens
		s.ring.Store(ring)
	}
	s.fetchSucceeded(wanted)
	return nil
}

// get returns the published set.
func (s *URL) get(ctx context.Context) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url, nil)
	if err != nil {
		return nil, err
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the response is %s", resp.Status)
	}
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxFile+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxFile {
		return nil, errors.New("the response is too large")
	}
	return data, nil
}

// logIgnored logs how many keys of a set are ignored, and why the first one is: once until the set changes.
func (s *URL) logIgnored(ctx context.Context, set []byte, ignored []string) {
	if len(ignored) == 0 {
		return
	}
	if hash := sha256.Sum256(set); hash != s.told {
		s.told = hash
		s.log.InfoContext(ctx, "published keys ignored: they cannot verify tokens here",
			"url", s.url, "ignored", len(ignored), "first", ignored[0])
	}
}

// requests returns how many fetches were requested.
func (s *URL) requests() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.wanted
}

// fetchSucceeded records that a fetch has succeeded, before which that many were requested.
func (s *URL) fetchSucceeded(wanted uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fetched = wanted
}

// equal reports whether both rings publish the same keys with the same schedule.
func (r *Ring) equal(other *Ring) bool {
	always := time.Time{} // before every end
	mine, err := r.Public(always)
	theirs, errOther := other.Public(always)
	return err == nil && errOther == nil && string(mine) == string(theirs)
}
