package statuslist

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hallpass-auth/hallpass/shared/keyring"
	"github.com/hallpass-auth/hallpass/shared/token"
)

// maxLists bounds the lists that a client keeps: 32 MiB, for 268 million grants. A replica whose list
// lacks revocations of another's takes as much again.
const maxLists = 256

// idleTime is how long a list is kept after its last use.
const idleTime = time.Hour

// Reasons why it is not known whether a token is revoked.
var (
	errNeverFetched = errors.New("its status list has not been fetched yet")
	errExpired      = errors.New("its status list has expired and cannot be fetched")
	errKeyEnded     = errors.New("the key of its status list has ended, and no list with another key has been fetched yet")
	errTooMany      = fmt.Errorf("its status list would exceed the %d that are kept", maxLists)
)

// Reasons why a token's reference to a status list is invalid.
var (
	errElsewhere = fmt.Errorf("%w: its status list is not one of the issuer's", token.ErrInvalid)
	errIndex     = fmt.Errorf("%w: its status list has no such index", token.ErrInvalid)
)

// Config configures a Client.
type Config struct {
	// Keys returns the ring that lists are verified with; required.
	Keys keyring.Source
	// Issuer is the authorization server's identifier. The URI of every list is below it; required.
	Issuer string
	// Audience is the API's identifier. A list signed with a key bound to another API is refused;
	// required.
	Audience string
	// URL is the address below which lists are fetched, for an API that reaches the authorization
	// server at another address than Issuer. Empty means Issuer + Path. An http URL may name another
	// machine, because lists are signed: an attacker on the network cannot forge a list, but can hide
	// new revocations until the copy expires.
	URL string
	// Log gets a line when a list cannot be fetched, and when it can be fetched again; nil means
	// slog.Default().
	Log *slog.Logger
	// Transport makes the requests; nil means http.DefaultTransport.
	Transport http.RoundTripper
	// Now is the clock for the expiry of lists and keys; nil means time.Now.
	Now func() time.Time
}

// Client knows which tokens are revoked; it implements token.Revocations. It fetches a list when a token
// first refers to it, and again in the background as the list's ttl and exp say; HTTP caching headers
// are ignored. Once a list is known, no request waits for a fetch. While the authorization server is
// down, a list is used until it or its key expires. A fetch may take 30 seconds while the server goes on
// sending, so that long lists arrive on slow links. It is given up when the server is silent for 5
// seconds. A Client is safe for concurrent use.
type Client struct {
	cfg   Config
	http  *http.Client
	start func(*trackedList) // starts to track a list

	failures atomic.Uint64
	delays   *delays

	mu    sync.RWMutex
	lists map[string]*trackedList // by URI
	full  bool                    // whether it was logged that there are too many
}

// Open returns a client that keeps lists fresh until ctx ends. The error names a missing field of cfg,
// or says that URL is not a URL.
func Open(ctx context.Context, cfg Config) (*Client, error) {
	switch {
	case cfg.Keys == nil:
		return nil, errors.New("statuslist.Config.Keys is not set")
	case cfg.Issuer == "":
		return nil, errors.New("statuslist.Config.Issuer is not set")
	case cfg.Audience == "":
		return nil, errors.New("statuslist.Config.Audience is not set")
	case cfg.URL == "":
		cfg.URL = cfg.Issuer + Path
	}
	cfg.URL = strings.TrimSuffix(cfg.URL, "/")
	if !validURL(cfg.URL) {
		return nil, fmt.Errorf("it is not a URL like https://login.example.com%s, without user and query", Path)
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	c := &Client{cfg: cfg, lists: map[string]*trackedList{}, delays: newDelays(), http: &http.Client{
		Transport:     cfg.Transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	c.start = func(l *trackedList) { go c.track(ctx, l) }
	return c, nil
}

// validURL reports whether lists can be below the address.
func validURL(address string) bool {
	u, err := url.Parse(address)
	return err == nil && u.Hostname() != "" && (u.Scheme == "https" || u.Scheme == "http") && u.User == nil &&
		u.RawQuery == "" && u.Fragment == ""
}

// Revoked reports whether a token is revoked. A token that refers to no list is not revoked. The error
// wraps token.ErrInvalid if the token does not refer to a bit of the issuer's lists. Any other error means
// that no usable list is known now. If the list has never been fetched, Revoked waits for the first
// attempts, for up to 4 seconds or until ctx ends.
func (c *Client) Revoked(ctx context.Context, claims *token.Claims) (bool, error) {
	if claims.Status == nil {
		return false, nil
	}
	l, err := c.list(claims.Status.URI)
	if err != nil {
		return false, err
	}
	now := c.cfg.Now()
	l.markUsed(now)
	cached, err := l.wait(ctx)
	if err != nil {
		return false, err
	}
	revoked, err := c.revoked(cached, claims.Status.Index, now)
	if errors.Is(err, errKeyEnded) {
		l.fetchSoon()
	}
	return revoked, err
}

// list returns the list with the URI, and starts to track it if it is new.
func (c *Client) list(uri string) (*trackedList, error) {
	c.mu.RLock()
	l, ok := c.lists[uri]
	c.mu.RUnlock()
	if ok {
		return l, nil
	}
	address, ok := c.address(uri)
	if !ok {
		return nil, errElsewhere
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if l, ok = c.lists[uri]; ok { // another request was first
		return l, nil
	}
	if len(c.lists) >= maxLists {
		if !c.full {
			c.cfg.Log.Error("too many status lists: tokens that refer to another one get a 503",
				"limit", maxLists, "refused", uri)
		}
		c.full = true
		return nil, errTooMany
	}
	l = &trackedList{
		uri:     uri,
		address: address,
		began:   c.cfg.Now(),
		tried:   make(chan struct{}),
		wake:    make(chan struct{}, 1),
	}
	l.markUsed(l.began)
	c.lists[uri] = l
	c.start(l)
	return l, nil
}

// forget drops a list that is no longer tracked.
func (c *Client) forget(l *trackedList) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.lists, l.uri)
	c.full = false
}

// belowPath matches what may follow Path in the URI of a list. It excludes everything that an HTTP client
// or server could resolve to another path.
var belowPath = regexp.MustCompile(`^(/[A-Za-z0-9_-]+)+$`)

// address returns where the list with the URI is fetched from. It is false if the URI is not below the
// issuer's Path.
func (c *Client) address(uri string) (address string, ok bool) {
	rest, below := strings.CutPrefix(uri, c.cfg.Issuer+Path)
	return c.cfg.URL + rest, below && belowPath.MatchString(rest)
}

// Stats are the figures of a Client, for metrics.
type Stats struct {
	// Lists is the number of tracked lists.
	Lists int
	// Oldest is the age of the stalest list: the time since it was last fetched or found unchanged, or
	// since its first use if it was never fetched. Zero if there is no list.
	Oldest time.Duration
	// Failures is the number of fetches that have failed since Open.
	Failures uint64
}

// Stats returns the current figures.
func (c *Client) Stats() Stats {
	now := c.cfg.Now()
	c.mu.RLock()
	defer c.mu.RUnlock()
	s := Stats{Lists: len(c.lists), Failures: c.failures.Load()}
	for _, l := range c.lists {
		s.Oldest = max(s.Oldest, now.Sub(l.confirmed()))
	}
	return s
}
