package outbound

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// How long documents and failures are cached. A response says how long within these bounds
// (RFC 9111 section 4.2).
const (
	minFresh     = time.Minute
	defaultFresh = 5 * time.Minute
	maxFresh     = 24 * time.Hour
	// FailureMemory is how long a failure is cached. Until then a retry fails as well.
	FailureMemory = 30 * time.Second
)

// entry is a document, or why it could not be fetched.
type entry struct {
	document Document
	err      error
	tried    time.Time // when it was fetched last, or fetching it again failed
	expires  time.Time
	used     time.Time

	refreshErr error // why fetching the document again failed, if it may succeed later
}

// cache holds the documents and failures of one kind. It is safe for concurrent use.
type cache struct {
	max int

	mu      sync.Mutex
	entries map[string]*entry
}

// get returns what is known about a URL, if it has not expired.
func (c *cache) get(url string, now time.Time) (entry, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.entries[url]
	if !ok || !now.Before(e.expires) {
		return entry{}, false
	}
	e.used = now
	return *e, true
}

// put stores what is known about a URL. A failure does not replace a document that has not expired: anybody
// can cause it to be fetched again.
func (c *cache) put(url string, e entry, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e.used, e.tried = now, now
	old, ok := c.entries[url]
	if ok && e.err != nil && old.err == nil && now.Before(old.expires) {
		old.tried, old.refreshErr = now, nil
		if errors.Is(e.err, ErrUnavailable) {
			old.refreshErr = e.err
		}
		return
	}
	if !ok {
		c.makeRoom(now)
	}
	c.entries[url] = &e
}

// makeRoom bounds the number of entries. It deletes those that have expired; if there are none,
// one that is a failure if possible, and among those the one not used for the longest time.
func (c *cache) makeRoom(now time.Time) {
	if len(c.entries) < c.max {
		return
	}
	oldest, found := "", (*entry)(nil)
	for url, e := range c.entries {
		if !now.Before(e.expires) {
			delete(c.entries, url)
			continue
		}
		if found == nil || e.before(found) {
			oldest, found = url, e
		}
	}
	if len(c.entries) >= c.max {
		delete(c.entries, oldest)
	}
}

// before reports whether e is deleted before other.
func (e *entry) before(other *entry) bool {
	if (e.err != nil) != (other.err != nil) {
		return e.err != nil
	}
	return e.used.Before(other.used)
}

// freshness returns how long a response is cached (RFC 9111 sections 4.2 and 5.2.2). Even a
// document that must not be stored is kept for minFresh: it is fetched for many requests.
func freshness(h http.Header, now time.Time) time.Duration {
	fresh := defaultFresh
	if expires, err := http.ParseTime(h.Get("Expires")); err == nil {
		date, err := http.ParseTime(h.Get("Date"))
		if err != nil {
			date = now
		}
		fresh = expires.Sub(date)
	} else if h.Get("Expires") != "" { // such as 0: already expired
		fresh = 0
	}
	for directive := range strings.SplitSeq(strings.Join(h.Values("Cache-Control"), ","), ",") {
		name, value, _ := strings.Cut(strings.ToLower(strings.TrimSpace(directive)), "=")
		switch name {
		case "no-store", "no-cache":
			return minFresh
		case "max-age":
			fresh = wholeSeconds(strings.Trim(value, `"`))
		}
	}
	return min(max(fresh-wholeSeconds(h.Get("Age")), minFresh), maxFresh)
}

// wholeSeconds parses a number of seconds. It returns 0 for malformed text, and bounds the
// number.
func wholeSeconds(text string) time.Duration {
	n, err := strconv.ParseUint(text, 10, 31)
	if err != nil {
		return 0
	}
	return time.Duration(n) * time.Second
}
