package e2e_test

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"
)

// counts are the responses of a test, by kind of request, and when each server had its last success.
type counts struct {
	mu      sync.Mutex
	results map[string]map[string]int
	good    map[int][]success // by server
}

// success is a request that got 200.
type success struct{ sent, received time.Time }

func newCounts() *counts {
	return &counts{results: map[string]map[string]int{}, good: map[int][]success{}}
}

// add counts a response.
func (c *counts) add(what string, got response, err error) {
	result := fmt.Sprint(got.status)
	if err != nil {
		result = "no response"
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.results[what] == nil {
		c.results[what] = map[string]int{}
	}
	c.results[what][result]++
}

// succeeded notes a token request that got 200.
func (c *counts) succeeded(server int, sent time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.good[server] = append(c.good[server], success{sent, time.Now()})
}

// since returns when a server first responded with 200 to a request that was sent after a time; zero if it has not.
func (c *counts) since(server int, t time.Time) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.good[server] {
		if s.received.After(t) {
			return s.received
		}
	}
	return time.Time{}
}

// of returns how many responses of a kind had a status.
func (c *counts) of(what, status string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.results[what][status]
}

// log logs all counts.
func (c *counts) log(t *testing.T) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, what := range slices.Sorted(maps.Keys(c.results)) {
		t.Logf("%s: %v", what, c.results[what])
	}
}
