package outbound

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// How many requests of a kind a host or an address gets. Cached documents do not count.
const (
	hostBurst    = 20
	hostInterval = 200 * time.Millisecond
)

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
	u, err := checkURL(rawURL, k.guard.exception)
	if err != nil {
		return nil, nil, err
	}
	host := strings.ToLower(u.Hostname())
	if err := k.allow(host); err != nil {
		return nil, nil, err
	}
	release, err := k.shares.take(host)
	if err != nil {
		return nil, nil, err
	}
	defer release()
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
	r.Header = header.Clone()
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
