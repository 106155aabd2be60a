package statuslist_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hallpass-auth/hallpass/shared/keyring"
	"github.com/hallpass-auth/hallpass/shared/statuslist"
	"github.com/hallpass-auth/hallpass/shared/token"
)

// publisher is an authorization server that publishes one list. It is called without a network, so that
// tests can use a fake clock.
type publisher struct {
	t    *testing.T
	ring *keyring.Ring

	mu      sync.Mutex
	list    statuslist.Token
	respond func(*http.Request) *http.Response // instead of the list, if set
	sent    []*http.Request
	version int
	slow    time.Duration
}

// RoundTrip implements http.RoundTripper.
func (p *publisher) RoundTrip(r *http.Request) (*http.Response, error) {
	p.mu.Lock()
	p.sent = append(p.sent, r)
	slow := p.slow
	p.mu.Unlock()
	if slow > 0 { // the race detector of Go 1.26 fails on timers of zero duration (golang/go issue 78156)
		select {
		case <-time.After(slow):
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.respond != nil {
		if resp := p.respond(r); resp != nil {
			return resp, nil
		}
		return nil, errors.New("connection refused")
	}
	tag := fmt.Sprintf(`W/"%d"`, p.version)
	if r.Header.Get("If-None-Match") == tag {
		return respond(http.StatusNotModified, ""), nil
	}
	resp := respond(http.StatusOK, sign(p.t, p.list, signer(p.t, p.ring)))
	resp.Header.Set("ETag", tag)
	resp.Header.Set("Cache-Control", "no-store") // ignored: ttl and exp decide
	return resp, nil
}

func respond(status int, body string) *http.Response {
	return &http.Response{
		StatusCode: status,
		Status:     fmt.Sprint(status),
		Header:     http.Header{},
		Body:       io.NopCloser(strings.NewReader(body)),
	}
}

// publish changes what is published.
func (p *publisher) publish(indices ...int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.version++
	p.list.List, p.list.IssuedAt, p.list.ExpiresAt = listOf(64, indices...), time.Now(), time.Now().Add(time.Hour)
}

// instead replaces the response; nil restores the list.
func (p *publisher) instead(respond func(*http.Request) *http.Response) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.respond = respond
}

// requests returns the requests since the last call.
func (p *publisher) requests() []*http.Request {
	p.mu.Lock()
	defer p.mu.Unlock()
	sent := p.sent
	p.sent = nil
	return sent
}

func down(*http.Request) *http.Response { return nil }

// open starts a publisher and a client of it; change may change the client's configuration. It must be
// called in a bubble of synctest.
func open(t *testing.T, change func(*statuslist.Config)) (*publisher, *statuslist.Client, *bytes.Buffer) {
	t.Helper()
	time.Sleep(time.Until(start)) // moves the fake clock
	p := &publisher{t: t, ring: ringOf(t, secret), list: newToken()}
	p.publish()
	var lines bytes.Buffer
	cfg := statuslist.Config{Keys: p.ring, Issuer: issuer, Audience: audience, Transport: p,
		Log: slog.New(slog.NewTextHandler(&lines, nil))}
	if change != nil {
		change(&cfg)
	}
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(func() {
		cancel()
		synctest.Wait()
	})
	c, err := statuslist.Open(ctx, cfg)
	return p, must(t, c, err), &lines
}

func claims(uri string, index int64) *token.Claims {
	return &token.Claims{Status: &token.Status{URI: uri, Index: index}}
}

// expect checks whether the client says that the bit at index is set.
func expect(t *testing.T, c *statuslist.Client, index int64, want bool) {
	t.Helper()
	if got, err := c.Revoked(t.Context(), claims(uri, index)); got != want || err != nil {
		t.Errorf("index %d: revoked %v %v, want %v", index, got, err, want)
	}
}

// expectUnknown checks that the client does not know, without calling the token invalid.
func expectUnknown(t *testing.T, c *statuslist.Client, uri string) {
	t.Helper()
	if got, err := c.Revoked(t.Context(), claims(uri, 1)); got || err == nil || errors.Is(err, token.ErrInvalid) {
		t.Errorf("revoked %v %v, want an error that is not ErrInvalid", got, err)
	}
}

// The first token that refers to a list causes one fetch. After half the ttl, the list is fetched again
// in the background, with If-None-Match.
func TestClientRefreshesTheList(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, c, _ := open(t, nil)
		if len(p.requests()) != 0 {
			t.Error("fetched before the first use")
		}
		expect(t, c, 17, false)
		if n := len(p.requests()); n != 1 {
			t.Errorf("%d fetches for the first token", n)
		}
		p.publish(17)
		time.Sleep(time.Second) // the ttl
		expect(t, c, 17, true)
		expect(t, c, 18, false)

		synctest.Wait()
		p.requests()
		time.Sleep(10 * time.Second)
		synctest.Wait()
		sent := p.requests()
		if len(sent) < 10 || len(sent) > 21 {
			t.Errorf("%d fetches in 10 seconds at a ttl of one", len(sent))
		}
		for _, r := range sent {
			if r.Header.Get("If-None-Match") != `W/"2"` || r.Header.Get("Accept") != statuslist.MediaType ||
				r.URL.String() != uri {
				t.Errorf("requested %s with %v", r.URL, r.Header)
			}
		}
		expect(t, c, 17, true)
	})
}

// Concurrent requests for a list cause one fetch.
func TestClientFetchesOnceForConcurrentRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, c, _ := open(t, nil)
		p.slow = time.Second
		p.publish(17)
		began := time.Now()
		var waiting sync.WaitGroup
		for range 50 {
			waiting.Go(func() { expect(t, c, 17, true) })
		}
		waiting.Wait()
		if n, took := len(p.requests()), time.Since(began); n != 1 || took != p.slow {
			t.Errorf("%d fetches, waited %v", n, took)
		}
	})
}

// The first request waits for a limited time, and later ones do not wait.
func TestClientWithoutAResponse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, c, _ := open(t, nil)
		p.slow = time.Hour
		began := time.Now()
		expectUnknown(t, c, uri)
		if took := time.Since(began); took != 4*time.Second {
			t.Errorf("waited %v, want 4s", took)
		}
		time.Sleep(10 * time.Second) // the fetch has timed out
		began = time.Now()
		expectUnknown(t, c, uri)
		if took := time.Since(began); took != 0 {
			t.Errorf("waited %v again", took)
		}
		p.mu.Lock()
		p.slow = 0
		p.mu.Unlock()
		time.Sleep(10 * time.Second)
		expect(t, c, 17, false)
	})
}

// During an outage, a list is used until its exp. Then the revocation is unknown until the list is
// fetched again. Each change is logged once, and failures are counted.
func TestClientOutlivesAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, c, log := open(t, nil)
		p.publish(17)
		expect(t, c, 17, true)
		p.instead(down)
		time.Sleep(59 * time.Minute)
		expect(t, c, 17, true)
		expect(t, c, 18, false)
		stats := c.Stats()
		if stats.Lists != 1 || stats.Failures < 6000 || stats.Oldest < 58*time.Minute {
			t.Errorf("stats %+v", stats)
		}
		time.Sleep(2 * time.Minute)
		expectUnknown(t, c, uri)
		p.instead(nil)
		p.publish(18)
		time.Sleep(2 * time.Second)
		expect(t, c, 17, false)
		expect(t, c, 18, true)
		for _, line := range []string{"stays in use", "get a 503", "fetched again"} {
			if n := strings.Count(log.String(), line); n != 1 {
				t.Errorf("%q is logged %d times:\n%s", line, n, log)
			}
		}
	})
}

// The first request waits for a server that has just started.
func TestClientWaitsForAStartingServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, c, log := open(t, nil)
		p.publish(17)
		begun := time.Now().Add(500 * time.Millisecond)
		p.instead(func(*http.Request) *http.Response {
			if time.Now().Before(begun) {
				return respond(http.StatusServiceUnavailable, "")
			}
			return respond(http.StatusOK, sign(t, p.list, signer(t, p.ring)))
		})
		expect(t, c, 17, true)
		if failures := c.Stats().Failures; failures != 5 || log.Len() > 0 {
			t.Errorf("%d failures, log:\n%s", failures, log)
		}
	})
}

// A list that was never fetched is unknown until it is fetched. Its age counts from its first use.
func TestClientStartsDuringAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, c, _ := open(t, nil)
		if got := c.Stats().Oldest; got != 0 {
			t.Errorf("%v old before the first use", got)
		}
		p.instead(down)
		expectUnknown(t, c, uri)
		time.Sleep(10 * time.Second)
		if got := c.Stats().Oldest; got < 10*time.Second || got > 13*time.Second {
			t.Errorf("%v old 12 seconds after the first use", got)
		}
		p.instead(nil)
		time.Sleep(2 * time.Second)
		expect(t, c, 17, false)
		if got := c.Stats().Oldest; got > time.Second {
			t.Errorf("%v old after a fetch", got)
		}
	})
}

// A 304 does not extend exp.
func TestClientIgnores304AfterExp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, c, _ := open(t, nil)
		expect(t, c, 17, false)
		p.instead(func(*http.Request) *http.Response { return respond(http.StatusNotModified, "") })
		time.Sleep(59 * time.Minute)
		expect(t, c, 17, false)
		time.Sleep(2 * time.Minute)
		expectUnknown(t, c, uri)
	})
}

// After an invalid response, the previous copy stays in use.
func TestClientRefusesResponses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, c, _ := open(t, nil)
		p.publish(17)
		expect(t, c, 17, true)
		text := func(status int, body string) func(*http.Request) *http.Response {
			return func(*http.Request) *http.Response { return respond(status, body) }
		}
		other, forged := newToken(), signer(t, ringOf(t, strings.ToUpper(secret)))
		other.ExpiresAt = start.Add(24 * time.Hour)
		foreign := other
		foreign.URI = issuer + "/status-lists/4"
		for name, response := range map[string]func(*http.Request) *http.Response{
			"an error": text(http.StatusInternalServerError, ""),
			"gone":     text(http.StatusNotFound, ""),
			"a redirect": func(*http.Request) *http.Response {
				r := respond(http.StatusFound, "")
				r.Header.Set("Location", "https://evil.example")
				return r
			},
			"no JWT":       text(http.StatusOK, "<html>"),
			"a forgery":    text(http.StatusOK, sign(t, other, forged)),
			"another list": text(http.StatusOK, sign(t, foreign, signer(t, p.ring))),
			"one too long": text(http.StatusOK, sign(t, other, signer(t, p.ring))+strings.Repeat(" ", 512<<10)),
		} {
			synctest.Wait()
			p.requests()
			p.instead(response)
			time.Sleep(3 * time.Second)
			expect(t, c, 17, true)
			synctest.Wait()
			for _, r := range p.requests() {
				if r.URL.String() != uri {
					t.Errorf("%s: followed to %s", name, r.URL)
				}
			}
		}
	})
}

// A token that does not refer to a bit of the issuer's lists is invalid, and nothing else is fetched.
func TestClientRefusesReferences(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, c, _ := open(t, nil)
		for _, bad := range []string{
			"", issuer, issuer + "/status-lists", issuer + "/status-lists/", issuer + "/status-lists3", issuer + "/token",
			"https://evil.example/status-lists/3", issuer + ".evil.example/status-lists/3", issuer + "@evil.example/status-lists/3",
			issuer + "/status-lists/../token", issuer + "/status-lists/3/..", issuer + "/status-lists/%2e%2e/token",
			issuer + "/status-lists//evil",
			issuer + "/status-lists/3?x=y", issuer + "/status-lists/3#x", issuer + "/status-lists/3 ",
			issuer + "/status-lists/3\n", issuer + `/status-lists/3\x`,
		} {
			if _, err := c.Revoked(t.Context(), claims(bad, 1)); !errors.Is(err, token.ErrInvalid) {
				t.Errorf("%q: %v, want ErrInvalid", bad, err)
			}
		}
		if sent := p.requests(); len(sent) > 0 {
			t.Errorf("fetched %s", sent[0].URL)
		}
		for _, index := range []int64{-1, 64, 1 << 40} {
			if _, err := c.Revoked(t.Context(), claims(uri, index)); !errors.Is(err, token.ErrInvalid) {
				t.Errorf("index %d: %v, want ErrInvalid", index, err)
			}
		}
		if revoked, err := c.Revoked(t.Context(), &token.Claims{}); revoked || err != nil {
			t.Errorf("a token without a reference: %v %v", revoked, err)
		}
	})
}

// With Config.URL, lists are fetched from there, while their URIs are still below the issuer.
func TestClientWithAnotherAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, c, _ := open(t, func(cfg *statuslist.Config) { cfg.URL = "http://authserver:9000/status-lists/" })
		p.publish(17)
		expect(t, c, 17, true)
		if got := p.requests()[0].URL.String(); got != "http://authserver:9000/status-lists/3" {
			t.Errorf("fetched %s", got)
		}
	})
}

// The number of lists is limited. One more is refused, which is logged once. Idle lists are dropped.
func TestClientBoundsItsLists(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, c, log := open(t, nil)
		p.instead(func(r *http.Request) *http.Response {
			list := newToken()
			list.URI, list.ExpiresAt, list.TTL = r.URL.String(), time.Now().Add(3*time.Hour), time.Hour
			return respond(http.StatusOK, sign(t, list, signer(t, p.ring)))
		})
		name := func(n int) string { return fmt.Sprintf("%s/status-lists/%d", issuer, n) }
		for n := range 256 {
			if _, err := c.Revoked(t.Context(), claims(name(n), 1)); err != nil {
				t.Fatal(err)
			}
		}
		for range 3 {
			expectUnknown(t, c, name(256))
		}
		if n := strings.Count(log.String(), "too many status lists"); n != 1 || c.Stats().Lists != 256 {
			t.Errorf("logged %d times, %d lists", n, c.Stats().Lists)
		}
		time.Sleep(2 * time.Hour)
		if got := c.Stats().Lists; got != 0 {
			t.Errorf("%d idle lists are kept", got)
		}
		if revoked, err := c.Revoked(t.Context(), claims(name(256), 1)); revoked || err != nil {
			t.Errorf("after idle lists were dropped: %v %v", revoked, err)
		}
	})
}

// An idle list is kept while it is usable and cannot be fetched.
func TestClientKeepsListsDuringAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, c, _ := open(t, nil)
		p.mu.Lock()
		p.list.ExpiresAt = time.Now().Add(2 * time.Hour)
		p.mu.Unlock()
		expect(t, c, 1, false)
		p.instead(down)
		time.Sleep(119 * time.Minute)
		if got := c.Stats().Lists; got != 1 {
			t.Errorf("%d lists are kept", got)
		}
		time.Sleep(2 * time.Minute)
		if got := c.Stats().Lists; got != 0 {
			t.Errorf("%d expired lists are kept", got)
		}
	})
}

func TestOpenRefuses(t *testing.T) {
	good := statuslist.Config{Keys: ringOf(t, secret), Issuer: issuer, Audience: audience}
	url := func(address string) func(*statuslist.Config) {
		return func(c *statuslist.Config) { c.URL = address }
	}
	for name, tt := range map[string]struct {
		says   string
		change func(*statuslist.Config)
	}{
		"no keys":     {"Keys", func(c *statuslist.Config) { c.Keys = nil }},
		"no issuer":   {"Issuer", func(c *statuslist.Config) { c.Issuer = "" }},
		"no audience": {"Audience", func(c *statuslist.Config) { c.Audience = "" }},
		"no scheme":   {"a URL", url("authserver:9000")},
		"ftp":         {"a URL", url("ftp://authserver/status-lists")},
		"a query":     {"query", url("http://authserver/?x=y")},
		"a password":  {"user", url("https://me:hunter2@authserver/status-lists")},
		"no host":     {"a URL", url("http://:9000/status-lists")},
	} {
		cfg := good
		tt.change(&cfg)
		_, err := statuslist.Open(t.Context(), cfg)
		if err == nil || !strings.Contains(err.Error(), tt.says) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := statuslist.Open(t.Context(), good); err != nil {
		t.Error(err)
	}
}

// The cost of a known list, which every request pays.
func BenchmarkRevoked(b *testing.B) {
	ring := ringOf(b, secret)
	list := newToken(17)
	list.ExpiresAt = time.Now().Add(time.Hour)
	raw := sign(b, list, signer(b, ring))
	c, err := statuslist.Open(b.Context(), statuslist.Config{Keys: ring, Issuer: issuer, Audience: audience,
		Transport: roundTripper(func() *http.Response {
			return respond(http.StatusOK, raw)
		})})
	must(b, c, err)
	pointer := claims(uri, 18)
	b.ReportAllocs()
	for b.Loop() {
		if revoked, err := c.Revoked(b.Context(), pointer); revoked || err != nil {
			b.Fatal(revoked, err)
		}
	}
}

type roundTripper func() *http.Response

func (f roundTripper) RoundTrip(*http.Request) (*http.Response, error) { return f(), nil }
