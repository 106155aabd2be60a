package e2e_test

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"
)

// counts are the responses of a test, by kind of request, and when each server has given a new refresh token.
type counts struct {
	mu      sync.Mutex
	results map[string]map[string]int
	good    map[int][]time.Time // by server
}

func newCounts() *counts {
	return &counts{results: map[string]map[string]int{}, good: map[int][]time.Time{}}
}

// add counts a response.
func (c *counts) add(what string, got response, err error) {
	result := fmt.Sprint(got.status)
	if err != nil {
		result = "no response"
	}
	c.addResult(what, result)
}

// addResult counts what happened to a request.
func (c *counts) addResult(what, result string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.results[what] == nil {
		c.results[what] = map[string]int{}
	}
	c.results[what][result]++
}

// succeeded notes that a server has given a new refresh token, which it had to write.
func (c *counts) succeeded(server int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.good[server] = append(c.good[server], time.Now())
}

// since returns when a server first gave a new refresh token after a time; zero if it has not. It forgets what was
// before.
func (c *counts) since(server int, t time.Time) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.good[server]) > 0 && !c.good[server][0].After(t) {
		c.good[server] = c.good[server][1:]
	}
	if len(c.good[server]) == 0 {
		return time.Time{}
	}
	return c.good[server][0]
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
