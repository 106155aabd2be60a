package outbound

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/hallpass-auth/hallpass/authserver/internal/ratelimit"
)

// ErrRefused is returned for a URL or an address that no request may go to. The text says why,
// for an administrator; do not show it to the client, who could use it to explore the network.
var ErrRefused = errors.New("refused")

// ErrUnavailable is returned if there was no usable response, and a later request may get one.
var ErrUnavailable = errors.New("not available now")

// ErrBusy is the ErrUnavailable of a request that was not sent, because there are too many.
var ErrBusy = fmt.Errorf("%w: too many requests", ErrUnavailable)

// How many requests of a kind a host or an address gets. Cached documents do not count.
const (
	hostBurst    = 20
	hostInterval = 200 * time.Millisecond
)

// Bounds of requests.
const (
	defaultTimeout = 3 * time.Second
	maxAtOnce      = 16
	maxHeader      = 16 << 10 // bytes of a response's header
	userAgent      = "Hallpass"
)

// Kind is a kind of document or of notification.
type Kind struct {
	// Name is what errors and the log call it.
	Name string
	// MaxBytes bounds a document. The body of the response to a notification is not read.
	MaxBytes int64
	// MediaTypes are the accepted media types of a document.
	MediaTypes []string
	// MaxEntries bounds how many documents and failures are cached.
	MaxEntries int
	// SecretURLs says that URLs may have secrets: errors and the log have only their scheme and host.
	SecretURLs bool
}

// The kinds of documents and notifications.
var (
	// ClientMetadata is a client ID metadata document.
	ClientMetadata = &Kind{
		Name: "client metadata document", MaxBytes: 5 << 10, MaxEntries: 1000, MediaTypes: []string{"application/json"},
	}
	// JWKSet is a JWK Set of a client or an issuer (RFC 7517 section 5).
	JWKSet = &Kind{
		Name: "JWK Set", MaxBytes: 64 << 10, MaxEntries: 200,
		MediaTypes: []string{"application/json", "application/jwk-set+json"},
	}
	// StrangersJWKSet is a JWK Set of a client that nobody has registered. It is a kind of its own, so that slow
	// or many ones do not affect those of other clients.
	StrangersJWKSet = &Kind{
		Name: "JWK Set", MaxBytes: 64 << 10, MaxEntries: 200,
		MediaTypes: []string{"application/json", "application/jwk-set+json"},
	}
	// Discovery is the metadata of an issuer (OpenID Connect Discovery section 4).
	Discovery = &Kind{
		Name: "issuer's metadata", MaxBytes: 64 << 10, MaxEntries: 200, MediaTypes: []string{"application/json"},
	}
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

// kindState is what a guard has for each kind, so that many requests of one kind, which strangers may
// cause, do not delay others.
type kindState struct {
	*Kind
	guard   *Guard
	client  *http.Client
	cache   cache
	limits  *ratelimit.Limiter
	flights singleflight.Group
	slots   chan struct{}
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
	_, err := CheckURL(rawURL, g.exception)
	return err
}

// Get returns a document, from the cache if it can. The error says what is wrong, for an
// administrator; it has been logged. It wraps ErrUnavailable if a later call may succeed, also if ctx ends:
// the request then goes on, for others who wait for it.
func (g *Guard) Get(ctx context.Context, kind *Kind, rawURL string) (Document, error) {
	return g.get(ctx, kind, rawURL, maxFresh)
}

// Refresh is Get, but fetches a document again that was fetched more than a minute ago. It is for
// a caller that misses something in the document, such as a new key. If it fails, Get returns the
// document until it expires, and Refresh returns the failure for a minute if it
// wraps ErrUnavailable.
func (g *Guard) Refresh(ctx context.Context, kind *Kind, rawURL string) (Document, error) {
	return g.get(ctx, kind, rawURL, minFresh)
}

func (g *Guard) get(ctx context.Context, kind *Kind, rawURL string, maxAge time.Duration) (Document, error) {
	k := g.state(kind)
	now := g.now()
	if e, ok := k.cache.get(rawURL, now); ok && (e.err != nil || now.Sub(e.tried) <= maxAge) {
		if maxAge == minFresh && e.err == nil {
			return e.document, e.refreshErr
		}
		return e.document, e.err
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

// PostSigned is Post with a header, such as one with a signature of the body. It must not be changed meanwhile.
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
	k.guard.log.WarnContext(ctx, "request to a URL of a client failed",
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

// state returns what the guard has for a kind.
func (g *Guard) state(kind *Kind) *kindState {
	g.mu.Lock()
	defer g.mu.Unlock()
	k, ok := g.kinds[kind]
	if !ok {
		k = &kindState{
			Kind:   kind,
			guard:  g,
			cache:  cache{max: kind.MaxEntries, entries: map[string]*entry{}},
			limits: ratelimit.New(g.now, hostBurst, hostInterval),
			slots:  make(chan struct{}, maxAtOnce),
		}
		k.client = &http.Client{
			Transport: g.transport(&http.Transport{ // its zero Proxy means none, whatever the environment says
				DialContext:            k.dial,
				DisableCompression:     true,
				DisableKeepAlives:      true, // each request checks its address
				MaxResponseHeaderBytes: maxHeader,
			}),
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}
		g.kinds[kind] = k
	}
	return k
}

// fetch gets a document, and returns for how long it is fresh.
func (k *kindState) fetch(ctx context.Context, rawURL string) (Document, time.Duration, error) {
	header := http.Header{"Accept": {strings.Join(k.MediaTypes, ", ")}}
	got, body, err := k.send(ctx, http.MethodGet, rawURL, header, nil)
	if err != nil {
		return Document{}, 0, err
	}
	mediaType, _, err := mime.ParseMediaType(got.Get("Content-Type"))
	if err != nil || !slices.Contains(k.MediaTypes, mediaType) {
		return Document{}, 0, fmt.Errorf("its Content-Type is %q, and must be %s",
			got.Get("Content-Type"), strings.Join(k.MediaTypes, " or "))
	}
	return Document{Body: body}, freshness(got, k.guard.now()), nil
}

// send sends a request and returns the header and the body of the response.
func (k *kindState) send(
	ctx context.Context,
	method, rawURL string,
	header http.Header,
	content []byte,
) (http.Header, []byte, error) {
	u, err := CheckURL(rawURL, k.guard.exception)
	if err != nil {
		return nil, nil, err
	}
	if err := k.allow(strings.ToLower(u.Hostname())); err != nil {
		return nil, nil, err
	}
	select {
	case k.slots <- struct{}{}:
		defer func() { <-k.slots }()
	case <-ctx.Done():
		return nil, nil, fmt.Errorf("%w: %d other requests are running", ErrBusy, maxAtOnce)
	}
	r, err := http.NewRequestWithContext(ctx, method, u.String(), bytes.NewReader(content))
	if err != nil {
		return nil, nil, err
	}
	r.Header = header
	r.Header.Set("User-Agent", userAgent)
	resp, err := k.client.Do(r)
	if err != nil {
		return nil, nil, noResponse(err)
	}
	defer resp.Body.Close()
	body, err := readResponse(resp, method, k.MaxBytes)
	return resp.Header, body, err
}

// allow counts a request to a host or an address. It returns an error if there were too many.
func (k *kindState) allow(target string) error {
	if k.limits.Allow(target) {
		return nil
	}
	return fmt.Errorf("%w to %s: at most %d at once and %d a second",
		ErrBusy, target, hostBurst, time.Second/hostInterval)
}

// noResponse returns the error of a request without a response. It leaves out the URL, which failed adds.
func noResponse(err error) error {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	if errors.Is(err, ErrRefused) || errors.Is(err, ErrUnavailable) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, err)
}

// readResponse checks a response and reads its body. A document needs the status 200. To a notification, the status is
// all that matters: a client may respond with a page of any size.
func readResponse(resp *http.Response, method string, maxBytes int64) ([]byte, error) {
	status := resp.StatusCode
	switch {
	case status >= 500 || status == http.StatusTooManyRequests || status == http.StatusRequestTimeout:
		return nil, fmt.Errorf("%w: it responded %s", ErrUnavailable, statusText(status))
	case status >= 300 && status < 400:
		return nil, fmt.Errorf("it responded %s: redirects are not followed", statusText(status))
	case status < 200 || status > 299 || (method == http.MethodGet && status != http.StatusOK):
		return nil, fmt.Errorf("it responded %s", statusText(status))
	case method == http.MethodPost:
		return nil, nil
	}
	if encoding := resp.Header.Get("Content-Encoding"); encoding != "" && !strings.EqualFold(encoding, "identity") {
		return nil, fmt.Errorf("its Content-Encoding is %q: compressed responses are not read", encoding)
	}
	if resp.ContentLength > maxBytes {
		return nil, fmt.Errorf("it is larger than %d bytes", maxBytes)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBytes+1))
	if err != nil {
		return nil, fmt.Errorf("%w: the response could not be read: %w", ErrUnavailable, err)
	}
	if int64(len(body)) > maxBytes {
		return nil, fmt.Errorf("it is larger than %d bytes", maxBytes)
	}
	return body, nil
}

// statusText returns the number and the name of a status. The server's own text is not used.
func statusText(status int) string {
	return strings.TrimSpace(fmt.Sprintf("%d %s", status, http.StatusText(status)))
}
