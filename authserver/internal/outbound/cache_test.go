package outbound_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hallpass-auth/hallpass/authserver/internal/outbound"
)

// A response says how long it is cached, from a minute to a day (RFC 9111 section 4.2).
func TestCacheFollowsHeaders(t *testing.T) {
	t.Parallel()
	date := time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)
	at := func(d time.Duration) string { return date.Add(d).Format(http.TimeFormat) }
	for name, tt := range map[string]struct {
		header map[string]string
		fresh  time.Duration
	}{
		"nothing":              {nil, 5 * time.Minute},
		"max-age":              {map[string]string{"Cache-Control": "public, max-age=600"}, 10 * time.Minute},
		"max-age, quoted":      {map[string]string{"Cache-Control": `Max-Age="600"`}, 10 * time.Minute},
		"max-age with age":     {map[string]string{"Cache-Control": "max-age=600", "Age": "120"}, 8 * time.Minute},
		"short max-age":        {map[string]string{"Cache-Control": "max-age=1"}, time.Minute},
		"a year":               {map[string]string{"Cache-Control": "max-age=31536000"}, 24 * time.Hour},
		"overflowing max-age":  {map[string]string{"Cache-Control": "max-age=99999999999999999999"}, time.Minute},
		"malformed max-age":    {map[string]string{"Cache-Control": "max-age=soon"}, time.Minute},
		"no-store":             {map[string]string{"Cache-Control": "no-store, max-age=600"}, time.Minute},
		"no-cache":             {map[string]string{"Cache-Control": "no-cache"}, time.Minute},
		"Expires":              {map[string]string{"Date": at(0), "Expires": at(time.Hour)}, time.Hour},
		"Expires, other clock": {map[string]string{"Date": at(-time.Hour), "Expires": at(0)}, time.Hour},
		"Expires: 0":           {map[string]string{"Expires": "0"}, time.Minute},
		"max-age over Expires": {map[string]string{"Cache-Control": "max-age=600", "Expires": at(time.Hour)}, 10 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := start(t, func(w http.ResponseWriter, _ *http.Request) {
				for key, value := range tt.header {
					w.Header().Set(key, value)
				}
				writeJSON(w, "{}")
			})
			f.get("/")
			f.wait(tt.fresh - time.Second)
			f.get("/")
			if n := f.hits.Load(); n != 1 {
				t.Errorf("%d requests before %v, want 1", n, tt.fresh)
			}
			f.wait(time.Second)
			f.get("/")
			if n := f.hits.Load(); n != 2 {
				t.Errorf("%d requests after %v, want 2", n, tt.fresh)
			}
		})
	}
}

// A failure is remembered for half a minute, so that requests of clients cannot cause more.
func TestFailuresAreCached(t *testing.T) {
	t.Parallel()
	f := start(t, http.NotFound)
	for range 5 {
		f.expectError("not found", f.url, "404")
	}
	if n := f.hits.Load(); n != 1 {
		t.Errorf("%d requests, want 1", n)
	}
	if n := strings.Count(f.log.String(), "\n"); n != 1 {
		t.Errorf("%d lines in the log, want 1", n)
	}
	f.wait(30 * time.Second)
	f.expectError("not found", f.url, "404")
	if n := f.hits.Load(); n != 2 {
		t.Errorf("%d requests, want 2", n)
	}
}

// Refresh fetches again, but at most once a minute.
func TestRefresh(t *testing.T) {
	t.Parallel()
	f := start(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", "max-age=3600")
		writeJSON(w, "{}")
	})
	refresh := func(want int64) {
		t.Helper()
		if _, err := f.guard.Refresh(t.Context(), outbound.ClientMetadata, f.url); err != nil {
			t.Error(err)
		}
		if n := f.hits.Load(); n != want {
			t.Errorf("%d requests, want %d", n, want)
		}
	}
	refresh(1)
	refresh(1)
	f.wait(time.Minute)
	refresh(1)
	f.wait(time.Second)
	refresh(2)
	refresh(2)
}

// Concurrent requests for one document become one.
func TestSingleFlight(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	f := start(t, func(w http.ResponseWriter, _ *http.Request) {
		<-release
		writeJSON(w, "{}")
	})
	var group sync.WaitGroup
	for range 20 {
		group.Go(func() {
			if _, err := f.guard.Get(t.Context(), outbound.ClientMetadata, f.url); err != nil {
				t.Error(err)
			}
		})
	}
	close(release)
	group.Wait()
	if n := f.hits.Load(); n != 1 {
		t.Errorf("%d requests, want 1", n)
	}
}

// The number of documents is bounded. A new one takes the place of a failure first, and then of
// the one that was not used for the longest time.
func TestCacheIsBounded(t *testing.T) {
	t.Parallel()
	f := start(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/missing" {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Cache-Control", "max-age=86400")
		writeJSON(w, "{}")
	})
	kind := &outbound.Kind{Name: "document", MaxBytes: 10, MediaTypes: []string{"application/json"}, MaxEntries: 3}
	get := func(path string) (fetched bool) {
		t.Helper()
		f.wait(time.Second)
		before := f.hits.Load()
		if _, err := f.guard.Get(t.Context(), kind, f.url+path); (err != nil) != (path == "/missing") {
			t.Errorf("%s: %v", path, err)
		}
		return f.hits.Load() > before
	}
	for _, path := range []string{"/a", "/b", "/missing", "/c"} {
		if !get(path) {
			t.Errorf("%s was not fetched", path)
		}
	}
	for _, step := range []struct {
		path  string
		fetch bool
	}{{"/a", false}, {"/c", false}, {"/b", false}, {"/d", true}, {"/b", false}, {"/c", false}, {"/a", true}} {
		if got := get(step.path); got != step.fetch {
			t.Errorf("%s: fetched %v, want %v", step.path, got, step.fetch)
		}
	}
}

// A host gets a bounded number of requests, however many documents it has. Documents of another
// kind are not affected.
func TestRateOfHost(t *testing.T) {
	t.Parallel()
	f := start(t, func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, "{}") })
	for i := range outbound.HostBurst {
		f.get(fmt.Sprintf("/%d", i))
	}
	f.expectError("one too many", f.url+"/more", "too many requests to 127.0.0.1")
	f.get("/0") // cached
	if _, err := f.guard.Get(t.Context(), outbound.JWKSet, f.url); err != nil {
		t.Errorf("another kind: %v", err)
	}
	f.wait(time.Second)
	f.get("/more") // the refusal was not cached
}

// Many names of one address share its limit.
func TestRateOfAddress(t *testing.T) {
	t.Parallel()
	f, dialled := names(t, []string{"93.184.216.34"})
	for i := range outbound.HostBurst + 5 {
		url := fmt.Sprintf("https://n%d.attacker.example/", i)
		if _, err := f.guard.Get(t.Context(), outbound.ClientMetadata, url); err == nil {
			t.Errorf("%s: no error, though the certificate has another name", url)
		}
	}
	if n := len(*dialled); n != outbound.HostBurst {
		t.Errorf("%d connections, want %d", n, outbound.HostBurst)
	}
}

// A URL with an address in place of a name has the same limit: a request counts once.
func TestRateOfLiteralAddress(t *testing.T) {
	t.Parallel()
	f, dialled := names(t, nil)
	for i := range outbound.HostBurst + 5 {
		url := fmt.Sprintf("https://93.184.216.34/%d", i)
		if _, err := f.guard.Get(t.Context(), outbound.ClientMetadata, url); err == nil {
			t.Errorf("%s: no error, though the certificate has another name", url)
		}
	}
	if n := len(*dialled); n != outbound.HostBurst {
		t.Errorf("%d connections, want %d", n, outbound.HostBurst)
	}
}

// At most so many requests run at once.
func TestRequestsAtOnce(t *testing.T) {
	t.Parallel()
	arrived, release := make(chan struct{}), make(chan struct{})
	f := start(t, func(w http.ResponseWriter, _ *http.Request) {
		arrived <- struct{}{}
		<-release
		writeJSON(w, "{}")
	})
	kind := &outbound.Kind{Name: "document", MaxBytes: 10, MediaTypes: []string{"application/json"}, MaxEntries: 100}
	var group sync.WaitGroup
	for i := range outbound.MaxAtOnce + 1 {
		group.Go(func() {
			if _, err := f.guard.Get(t.Context(), kind, fmt.Sprintf("%s/%d", f.url, i)); err != nil {
				t.Error(err)
			}
		})
	}
	for range outbound.MaxAtOnce {
		<-arrived
	}
	select {
	case <-arrived:
		t.Errorf("more than %d requests at once", outbound.MaxAtOnce)
	case release <- struct{}{}: // one ends, and the last begins
		<-arrived
	}
	close(release)
	group.Wait()
}

// A document that cannot be fetched again is used until it expires, and fetched again at most once a minute.
func TestFailedRefreshKeepsTheDocument(t *testing.T) {
	t.Parallel()
	var broken atomic.Bool
	f := start(t, func(w http.ResponseWriter, r *http.Request) {
		if broken.Load() {
			http.NotFound(w, r)
			return
		}
		writeJSON(w, "{}")
	})
	f.get("")
	f.wait(time.Minute + time.Second)
	broken.Store(true)
	if _, err := f.guard.Refresh(t.Context(), outbound.ClientMetadata, f.url); err == nil {
		t.Error("a refresh that failed returned no error")
	}
	f.get("")
	if _, err := f.guard.Refresh(t.Context(), outbound.ClientMetadata, f.url); err != nil {
		t.Errorf("a refresh within a minute of a failed one: %v", err)
	}
	if n := f.hits.Load(); n != 2 {
		t.Errorf("%d requests, want 2", n)
	}
	f.wait(4 * time.Minute)
	f.expectError("expired", f.url, "404")
}
