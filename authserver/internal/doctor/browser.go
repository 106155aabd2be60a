package doctor

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"syscall"
	"time"
)

// maxBody limits a response that is read, in bytes.
const maxBody = 1 << 20

// browser sends requests, keeps cookies, and remembers how the servers' clocks differ from ours. It follows no
// redirects and uses no proxy.
type browser struct {
	client  *http.Client
	timeout time.Duration
	now     func() time.Time
	skews   map[string]skew // by host
}

// skew is how far the clock of a server is ahead of ours, as one response shows it: by something between ahead-within
// and ahead+within.
type skew struct{ ahead, within time.Duration }

func newBrowser(cfg Config) *browser {
	jar, err := cookiejar.New(nil)
	if err != nil {
		panic(err) // never without options
	}
	return &browser{
		client: &http.Client{
			Jar: jar,
			Transport: &http.Transport{
				TLSClientConfig: &tls.Config{RootCAs: cfg.RootCAs, MinVersion: tls.VersionTLS12, Time: cfg.Now},
			},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		timeout: cfg.Timeout,
		now:     cfg.Now,
		skews:   map[string]skew{},
	}
}

// response is a response with its body.
type response struct {
	url    string
	status int
	header http.Header
	body   []byte
}

// request is a request to send.
type request struct {
	method, url string
	form        url.Values        // the body; nil for none
	header      map[string]string // further headers
	host        string            // Host, if it is not that of the URL
}

// get returns a request for a document.
func get(address string) request { return request{method: http.MethodGet, url: address} }

// post returns a request with a form.
func post(address string, form url.Values) request {
	return request{method: http.MethodPost, url: address, form: form}
}

// with returns the request with a header.
func (r request) with(name, value string) request {
	header := map[string]string{name: value}
	for k, v := range r.header {
		header[k] = v
	}
	r.header = header
	return r
}

// send sends a request and reads the response.
func (b *browser) send(ctx context.Context, r request) (*response, error) {
	ctx, cancel := context.WithTimeout(ctx, b.timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, r.method, r.url, strings.NewReader(r.form.Encode()))
	if err != nil {
		return nil, err
	}
	if r.form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for name, value := range r.header {
		req.Header.Set(name, value)
	}
	req.Host = r.host
	began := b.now()
	resp, err := b.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	b.readClock(req.URL.Host, resp.Header.Get("Date"), began, b.now())
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody))
	return &response{url: r.url, status: resp.StatusCode, header: resp.Header, body: body}, err
}

// readClock compares a Date header with our clock at the start and the end of the request. The server has read its
// clock at some time between, so the shortest request of each server says most.
func (b *browser) readClock(host, header string, began, ended time.Time) {
	date, err := http.ParseTime(header)
	if err != nil {
		return
	}
	took := ended.Sub(began)
	read := skew{
		ahead:  date.Add(dateResolution / 2).Sub(began.Add(took / 2)), // a Date leaves out the parts of a second
		within: (dateResolution + took) / 2,
	}
	if best, known := b.skews[host]; !known || read.within < best.within {
		b.skews[host] = read
	}
}

// decode parses a JSON document.
func (r *response) decode(into any) error {
	if r.status != http.StatusOK {
		return fmt.Errorf("%s responds with status %d", r.url, r.status)
	}
	if err := json.Unmarshal(r.body, into); err != nil {
		return fmt.Errorf("%s is not the JSON that it should be: %w", r.url, err)
	}
	return nil
}

// protocolError returns the error and its description in a response of RFC 6749 section 5.2, in one text.
func (r *response) protocolError() string {
	var e struct {
		Error       string `json:"error"`
		Description string `json:"error_description"`
	}
	if json.Unmarshal(r.body, &e) != nil || e.Error == "" {
		return fmt.Sprintf("status %d", r.status)
	}
	return errorText(e.Error, e.Description)
}

// errorText returns an error code and its description in one text.
func errorText(code, description string) string {
	if description == "" {
		return code
	}
	return code + ": " + description
}

// why returns in plain words why a request had no response. It leaves out the URL, which may hold a code.
func why(err error) string {
	var expired x509.CertificateInvalidError
	var unknown x509.UnknownAuthorityError
	var wrongName x509.HostnameError
	var dns *net.DNSError
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return "nothing listens there"
	case errors.Is(err, context.DeadlineExceeded):
		return "it did not respond in time; --timeout gives it longer"
	case errors.As(err, &expired) && expired.Reason == x509.Expired:
		return "its certificate is valid from " + day(expired.Cert.NotBefore) + " to " + day(expired.Cert.NotAfter) + " only"
	case errors.As(err, &unknown):
		return "its certificate is from an authority that this machine does not trust"
	case errors.As(err, &wrongName):
		return "its certificate is for another name"
	case errors.As(err, &dns):
		return "its name cannot be resolved"
	}
	var sent *url.Error
	if errors.As(err, &sent) {
		err = sent.Err
	}
	return err.Error()
}

// day returns a date.
func day(t time.Time) string { return t.UTC().Format(time.DateOnly) }

// hostOf returns the host and port of a URL.
func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Host
}

// originOf returns the origin of a URL, as browsers send it.
func originOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return address
	}
	return u.Scheme + "://" + u.Host
}
