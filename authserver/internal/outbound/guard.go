package outbound

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"sync"
	"time"
)

// ErrRefused is returned for a URL or an address that no request may go to. The text says why,
// for an administrator; do not show it to the client, who could use it to explore the network.
var ErrRefused = errors.New("refused")

// ErrUnavailable is returned if there was no usable response, and a later request may get one.
var ErrUnavailable = errors.New("not available now")

// ErrBusy is the ErrUnavailable of a request that was not sent, because there are too many.
var ErrBusy = fmt.Errorf("%w: too many requests", ErrUnavailable)

// Bounds of requests.
const (
	defaultTimeout = 3 * time.Second
	maxAtOnce      = 16
	maxOfStranger  = 4        // of these, to a host and to an address
	maxHeader      = 16 << 10 // bytes of a response's header
	userAgent      = "Hallpass"
)

// Document is a document that was fetched.
type Document struct {
	// Body is the content. Do not change it: others may read it.
	Body []byte
	// FetchedAt is when it was fetched.
	FetchedAt time.Time
}

// Config configures a Guard. The zero value is usable.
type Config struct {
	// Exception is a loopback address that may get requests, also without TLS; see
	// ParseException. It is for tests and examples.
	Exception netip.AddrPort
	// Resolver resolves names; net.DefaultResolver if nil.
	Resolver Resolver
	// Timeout limits a request from the lookup of the name to the last byte; 3 seconds if zero.
	Timeout time.Duration
	// Now is the clock of the cache and the limits; time.Now if nil.
	Now func() time.Time
	// Log gets a line for each request that fails; slog.Default if nil.
	Log *slog.Logger
	// Transport, unless nil, wraps the transport of all requests, to trace them.
	Transport func(http.RoundTripper) http.RoundTripper
}

// Guard sends requests as the package comment says. It is safe for concurrent use.
type Guard struct {
	exception  netip.AddrPort
	resolver   Resolver
	timeout    time.Duration
	now        func() time.Time
	log        *slog.Logger
	dialPublic dialFunc
	transport  func(http.RoundTripper) http.RoundTripper

	mu    sync.Mutex
	kinds map[*Kind]*kindState
}

// New returns a guard.
func New(cfg Config) *Guard {
	g := &Guard{
		exception:  cfg.Exception,
		resolver:   cfg.Resolver,
		timeout:    cfg.Timeout,
		now:        cfg.Now,
		log:        cfg.Log,
		dialPublic: dialPublic,
		transport:  cfg.Transport,
		kinds:      map[*Kind]*kindState{},
	}
	if g.transport == nil {
		g.transport = func(next http.RoundTripper) http.RoundTripper { return next }
	}
	if g.resolver == nil {
		g.resolver = net.DefaultResolver
	}
	if g.timeout == 0 {
		g.timeout = defaultTimeout
	}
	if g.now == nil {
		g.now = time.Now
	}
	if g.log == nil {
		g.log = slog.Default()
	}
	return g
}

// Check returns an error that wraps ErrRefused if the guard would refuse the URL without a
// request. It does not resolve the name.
func (g *Guard) Check(rawURL string) error {
	_, err := checkURL(rawURL, g.exception)
	return err
}

// Get returns a document, from the cache if it can. The error says what is wrong, for an
// administrator; it has been logged. It wraps ErrUnavailable if a later call may succeed, also if ctx ends:
// the request then goes on, for others who wait for it.
func (g *Guard) Get(ctx context.Context, kind *Kind, rawURL string) (Document, error) {
	return g.get(ctx, kind, rawURL, false)
}

// Has reports whether Get returns a document, or its failure, without a request.
func (g *Guard) Has(kind *Kind, rawURL string) bool {
	_, ok := g.state(kind).cache.get(rawURL, g.now())
	return ok
}

// Refresh is Get, but fetches a document again that was fetched more than a minute ago. It is for
// a caller that misses something in the document, such as a new key. If it fails, Get returns the
// document until it expires, and Refresh returns the failure for a minute if it
// wraps ErrUnavailable.
func (g *Guard) Refresh(ctx context.Context, kind *Kind, rawURL string) (Document, error) {
	return g.get(ctx, kind, rawURL, true)
}

func (g *Guard) get(ctx context.Context, kind *Kind, rawURL string, refresh bool) (Document, error) {
	k := g.state(kind)
	now := g.now()
	e, ok := k.cache.get(rawURL, now)
	switch {
	case ok && (e.err != nil || !refresh):
		return e.document, e.err
	case ok && now.Sub(e.tried) <= minFresh:
		return e.document, e.refreshErr
	}
	flight := k.flights.DoChan(rawURL, func() (any, error) { return k.fetchAndStore(context.WithoutCancel(ctx), rawURL) })
	select {
	case <-ctx.Done():
		return Document{}, fmt.Errorf("%w: %w", ErrUnavailable, ctx.Err())
	case result := <-flight:
		document, _ := result.Val.(Document)
		return document, result.Err
	}
}

// fetchAndStore fetches a document and stores it, or its failure, in the cache.
func (k *kindState) fetchAndStore(ctx context.Context, rawURL string) (Document, error) {
	ctx, cancel := context.WithTimeout(ctx, k.guard.timeout)
	defer cancel()
	document, fresh, err := k.fetch(ctx, rawURL)
	now := k.guard.now()
	document.FetchedAt = now
	busy := errors.Is(err, ErrBusy) // not cached
	if err != nil {
		err = k.failed(ctx, rawURL, err)
		fresh = FailureMemory
	}
	if !busy {
		k.cache.put(rawURL, entry{document: document, err: err, expires: now.Add(fresh)}, now)
	}
	return document, err
}

// Post sends a notification. It returns an error unless the status of the response is a success (2xx). The
// error says what is wrong, for an administrator; it has been logged, unless it is ErrBusy.
func (g *Guard) Post(ctx context.Context, kind *Kind, rawURL, contentType string, body []byte) error {
	return g.PostSigned(ctx, kind, rawURL, http.Header{"Content-Type": {contentType}}, body)
}

// PostSigned is Post with a header, such as one with a signature of the body.
func (g *Guard) PostSigned(ctx context.Context, kind *Kind, rawURL string, header http.Header, body []byte) error {
	ctx, cancel := context.WithTimeout(ctx, g.timeout)
	defer cancel()
	k := g.state(kind)
	_, _, err := k.send(ctx, http.MethodPost, rawURL, header, body)
	if err != nil && !errors.Is(err, ErrBusy) {
		err = k.failed(ctx, rawURL, err)
	}
	return err
}

// failed logs and returns the error of a request.
func (k *kindState) failed(ctx context.Context, rawURL string, err error) error {
	if ctx.Err() != nil || errors.Is(err, context.DeadlineExceeded) {
		err = fmt.Errorf("no complete response within %v: %w", k.guard.timeout, err)
	}
	shown := rawURL[:min(len(rawURL), maxURL)]
	if k.SecretURLs {
		shown = originOf(rawURL)
	}
	k.guard.log.WarnContext(ctx, "outbound request failed",
		"event", "outbound_request_failed", "kind", k.Name, "url", shown, "reason", err)
	return fmt.Errorf("%s at %s: %w", k.Name, shown, err)
}

// originOf returns the scheme and the host of a URL.
func originOf(rawURL string) string {
	u, err := url.Parse(rawURL)
	if err != nil {
		return "a URL"
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host}).String()
}
