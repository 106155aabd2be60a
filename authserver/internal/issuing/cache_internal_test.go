package issuing

import (
	"context"
	"errors"
	"testing"
	"time"
)

// source is what a cache reads. It counts how often it is read.
type source struct {
	now    time.Time
	value  string
	err    error
	reads  int
	during func() // runs while the value is read
}

func (s *source) cache() *cache[int, string] {
	return newCache(func() time.Time { return s.now }, func(context.Context, int) (string, error) {
		s.reads++
		value := s.value
		if s.during != nil {
			s.during()
		}
		return value, s.err
	})
}

func expectValue(t *testing.T, c *cache[int, string], key int, want string) {
	t.Helper()
	if got, err := c.get(t.Context(), key); got != want || err != nil {
		t.Errorf("key %d: %q, %v, want %q", key, got, err, want)
	}
}

func expectReads(t *testing.T, s *source, want int) {
	t.Helper()
	if s.reads != want {
		t.Errorf("%d reads, want %d", s.reads, want)
	}
}

// The time counts from before the read, however long that takes.
func TestCacheAge(t *testing.T) {
	s := &source{now: time.Now(), value: "old"}
	c := s.cache()
	s.during = func() { s.now = s.now.Add(100 * time.Millisecond) }
	expectValue(t, c, 1, "old")
	s.value, s.during = "new", nil
	s.now = s.now.Add(CacheTime - 101*time.Millisecond)
	expectValue(t, c, 1, "old")
	expectReads(t, s, 1)
	s.now = s.now.Add(time.Millisecond)
	expectValue(t, c, 1, "new")
	expectReads(t, s, 2)
	expectValue(t, c, 2, "new")
	expectReads(t, s, 3)
	s.value = "newer"
	s.now = s.now.Add(-time.Hour)
	expectValue(t, c, 1, "newer")
}

// Errors are not kept: a client can be used once it is registered.
func TestCacheKeepsNoErrors(t *testing.T) {
	s := &source{now: time.Now(), err: errors.New("not found")}
	c := s.cache()
	for range 3 {
		if _, err := c.get(t.Context(), 1); !errors.Is(err, s.err) {
			t.Errorf("error %v, want %v", err, s.err)
		}
	}
	expectReads(t, s, 3)
	if len(c.entries) > 0 {
		t.Errorf("%d entries", len(c.entries))
	}
	s.value, s.err = "registered", nil
	expectValue(t, c, 1, "registered")
}

// A process sees its own changes at once, also if the record is being read meanwhile.
func TestCacheDrop(t *testing.T) {
	s := &source{now: time.Now(), value: "old"}
	c := s.cache()
	expectValue(t, c, 1, "old")
	s.value = "new"
	c.drop(1)
	expectValue(t, c, 1, "new")
	c.drop(1)
	s.during = func() { s.value = "newer"; c.drop(1) }
	expectValue(t, c, 1, "new") // it was read before the change
	s.during = nil
	expectValue(t, c, 1, "newer")
}

func TestCacheIsBounded(t *testing.T) {
	s := &source{now: time.Now(), value: "x"}
	c := s.cache()
	for key := range 2*maxCached + 1 {
		expectValue(t, c, key, "x")
	}
	if len(c.entries) > maxCached {
		t.Errorf("%d entries, want at most %d", len(c.entries), maxCached)
	}
	expectValue(t, c, 2*maxCached, "x")
	expectReads(t, s, 2*maxCached+1)
}
