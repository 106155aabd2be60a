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

// maxLists bounds how many lists a client keeps: 32 MiB of them, for 268 million grants, and
// for a moment as much again for each server that has not said yet what another one has.
const maxLists = 256

// idleTime is after how long a list that nobody asks for is forgotten.
const idleTime = time.Hour

// Reasons for which a client cannot tell whether a token is revoked.
var (
	errNeverFetched = errors.New("its status list has not been fetched yet")
	errExpired      = errors.New("its status list has run out and cannot be fetched")
	errEnded        = errors.New("the key of its status list has ended, and none of another key has been fetched yet")
	errTooMany      = fmt.Errorf("its status list is one more than the %d that are kept", maxLists)
)

// Reasons for which a token's pointer is none.
var (
	errElsewhere = fmt.Errorf("%w: its status list is not one of the issuer's", token.ErrInvalid)
	errIndex     = fmt.Errorf("%w: its status list has no such index", token.ErrInvalid)
)

// Config says which lists a Client follows.
type Config struct {
	// Keys gives the ring that lists are verified with; required.
	Keys keyring.Source
	// Issuer is the authorization server, below which all lists are; required.
	Issuer string
	// Audience is the API: a list signed with the key of another one is refused; required.
	Audience string
	// URL is where the lists are fetched from if that is not Issuer + Path, for an API that
	// reaches the authorization server by another address than everybody else. The lists
	// themselves name the issuer all the same.
	URL string
	// Log gets a line when a list cannot be fetched, and when it can be again; nil means
	// slog.Default().
	Log *slog.Logger
	// Transport fetches; nil means http.DefaultTransport.
	Transport http.RoundTripper
	// Now is the clock that decides what has run out; nil means time.Now.
	Now func() time.Time
}

// Client knows which tokens are revoked: it is a token.Revocations. It fetches a list when
// it first meets a token that points at it, and keeps it fresh in the background: by the
// list's own ttl and exp, whatever the HTTP answer says about caching. Once a list is known,
// no request waits for a fetch; and while the authorization server is down, a list answers
// until it or its key expires. It is safe for concurrent use.
type Client struct {
	cfg  Config
	http *http.Client
	keep func(*followed) // starts to follow a list

	failures atomic.Uint64

	mu    sync.RWMutex
	lists map[string]*followed // by URI
	full  bool                 // whether it was said that there are too many
}

// Open returns a client that follows lists until ctx ends. The error names the field of
// cfg that is missing or wrong.
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
	u, err := url.Parse(cfg.URL)
	if err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("%q is not a URL like https://login.example.com%s", cfg.URL, Path)
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	c := &Client{cfg: cfg, lists: map[string]*followed{}, http: &http.Client{
		Transport:     cfg.Transport,
		Timeout:       fetchTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	c.keep = func(l *followed) { go c.follow(ctx, l) }
	return c, nil
}

// Revoked reports whether the token is revoked. A token without a pointer cannot be
// revoked, and never is. The error wraps token.ErrInvalid for a pointer to no bit of
// the issuer's lists; any other means that the list is not known, for now. Where it is not
// known yet, Revoked waits for the first tries to fetch it: up to 4 seconds, or until ctx ends.
func (c *Client) Revoked(ctx context.Context, claims *token.Claims) (bool, error) {
	if claims.Status == nil {
		return false, nil
	}
	l, err := c.list(claims.Status.URI)
	if err != nil {
		return false, err
	}
	now := c.cfg.Now()
	l.ask(now)
	held, err := l.wait(ctx)
	if err != nil {
		return false, err
	}
	revoked, err := c.bit(held, claims.Status.Index, now)
	if errors.Is(err, errEnded) {
		l.hasten()
	}
	return revoked, err
}

// list returns the list of this URI, which is followed from now on.
func (c *Client) list(uri string) (*followed, error) {
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
	if l, ok = c.lists[uri]; ok { // somebody was faster
		return l, nil
	}
	if len(c.lists) >= maxLists {
		if !c.full {
			c.cfg.Log.Error("too many status lists: tokens that point at a further one are answered with 503", "limit", maxLists, "refused", uri)
		}
		c.full = true
		return nil, errTooMany
	}
	l = &followed{uri: uri, address: address, began: c.cfg.Now(), tried: make(chan struct{}), hurry: make(chan struct{}, 1)}
	l.ask(l.began)
	c.lists[uri] = l
	c.keep(l)
	return l, nil
}

// forget drops a list that nobody asks for.
func (c *Client) forget(l *followed) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.lists, l.uri)
	c.full = false
}

// belowPath is what may follow Path in the URI of a list: nothing that could lead an HTTP
// client or server elsewhere.
var belowPath = regexp.MustCompile(`^(/[A-Za-z0-9_-]+)+$`)

// address returns where the list of a URI is fetched from; ok is false for a URI that is
// not one of the issuer's lists.
func (c *Client) address(uri string) (address string, ok bool) {
	rest, below := strings.CutPrefix(uri, c.cfg.Issuer+Path)
	return c.cfg.URL + rest, below && belowPath.MatchString(rest)
}

// Stats is how a client is doing, for metrics.
type Stats struct {
	// Lists is how many lists are kept.
	Lists int
	// Oldest is the age of the list that has gone longest without confirmation; for one that
	// could not be fetched yet, how long ago it was first asked for. Zero if there is no list.
	Oldest time.Duration
	// Failures is how many fetches have failed since the start.
	Failures uint64
}

// Stats returns how the client is doing now.
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
