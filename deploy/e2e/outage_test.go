package e2e_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// load is a steady stream of logins and API calls, and what became of them.
type load struct {
	stopping atomic.Bool
	running  sync.WaitGroup

	mu      sync.Mutex
	answers map[string]map[string]int // by what was asked and what was answered
	times   map[string]time.Duration  // the longest
}

// startLoad sends calls and logins until stop is called.
func (c *cluster) startLoad(t *testing.T) *load {
	t.Helper()
	l := &load{answers: map[string]map[string]int{"call": {}, "login": {}}, times: map[string]time.Duration{}}
	call := get("/users/me", "Bearer "+c.login(t, "john.doe", demoPassword))
	for range 3 {
		l.repeat(t, "call", c.apiURL, call, 10*time.Millisecond)
	}
	for _, user := range []string{"john.doe", "jane.smith"} {
		password := map[string]string{"john.doe": demoPassword, "jane.smith": "anothersecurepass"}[user]
		l.repeat(t, "login", c.authURL, form("username", user, "password", password), 50*time.Millisecond)
	}
	return l
}

func (l *load) repeat(t *testing.T, what, base string, r request, pause time.Duration) {
	l.running.Go(func() {
		for ; !l.stopping.Load(); time.Sleep(pause) {
			start := time.Now()
			got, err := try(t.Context(), base, r)
			result := fmt.Sprint(got.status)
			switch {
			case err != nil:
				result = err.Error()
			case got.status == http.StatusServiceUnavailable && got.header.Get("Retry-After") == "":
				result = "503 without Retry-After: " + got.body
			case got.status != http.StatusOK && got.status != http.StatusServiceUnavailable:
				result += " " + got.body
			}
			l.mu.Lock()
			l.answers[what][result]++
			l.times[what] = max(l.times[what], time.Since(start))
			l.mu.Unlock()
		}
	})
}

// good returns how many requests of a kind were answered with 200.
func (l *load) good(what string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.answers[what]["200"]
}

// more waits until so many more requests of a kind have been answered with 200.
func (l *load) more(t *testing.T, what string, n int) {
	t.Helper()
	before := l.good(what)
	waitFor(t, fmt.Sprintf("%d more good answers to a %s", n, what), func() bool { return l.good(what) >= before+n })
}

// stop ends the load. Answers to a kind other than 200 and those allowed for it fail
// the test.
func (l *load) stop(t *testing.T, allowed map[string][]string) {
	t.Helper()
	l.stopping.Store(true)
	l.running.Wait()
	for what, answers := range l.answers {
		t.Logf("%s: %v, the longest took %v", what, answers, l.times[what].Round(time.Millisecond))
		for _, answer := range slices.Sorted(maps.Keys(answers)) {
			if answer != "200" && !slices.Contains(allowed[what], answer) {
				t.Errorf("%d times a %s got %s", answers[answer], what, answer)
			}
		}
	}
}

// Two servers that start at once on an empty database make one schema and one set of
// demo users.
func TestClusterStartsOnAnEmptyDatabase(t *testing.T) {
	longTest(t)
	c := startCluster(t)
	var users []struct{ Username string }
	if err := json.Unmarshal([]byte(c.admin(t, "", "user", "list", "--json")), &users); err != nil {
		t.Fatal(err)
	}
	if len(users) != 2 {
		t.Errorf("users: %v", users)
	}
	if got := c.admin(t, "", "client", "list"); strings.Count(got, "demo") != 1 {
		t.Errorf("clients:\n%s", got)
	}
	// What one server issued, every API accepts.
	token := c.login(t, "john.doe", demoPassword)
	for _, m := range c.api {
		if got := send(t, "http://"+m.address+":9000", get("/users/me", "Bearer "+token)); got.status != http.StatusOK {
			t.Errorf("%s: %d %s", m.address, got.status, got.body)
		}
	}
}

// Every process is restarted in turn, under load: no request fails.
func TestClusterRollingRestart(t *testing.T) {
	longTest(t)
	c := startCluster(t)
	l := c.startLoad(t)
	l.more(t, "login", 5)
	for _, m := range c.all() {
		m.process.stop(t)
		m.start(t)
		l.more(t, "call", 30)
	}
	l.more(t, "login", 5)
	l.stop(t, nil)
}

// A server that is killed takes with it the requests that it was answering, of
// which the proxy saves those that can be repeated, and no other.
func TestClusterSurvivesKilledServers(t *testing.T) {
	longTest(t)
	c := startCluster(t)
	l := c.startLoad(t)
	l.more(t, "login", 5)
	for _, m := range []*member{c.api[0], c.auth[0]} {
		m.process.signal(t, syscall.SIGKILL)
		m.process.wait(t)
		l.more(t, "call", 30)
		l.more(t, "login", 5)
		m.start(t)
	}
	lost := "502 " // Caddy's answer to a login that was in flight on the killed server
	l.stop(t, map[string][]string{"login": {lost}})
	if n := l.answers["login"][lost]; n > 2 {
		t.Errorf("%d logins were lost, with at most 2 in flight", n)
	}
}

// The database goes and comes back: the API does not notice, logins are told to come
// back, never that they are wrong, and work again by themselves.
func TestClusterSurvivesTheDatabase(t *testing.T) {
	longTest(t)
	c := startCluster(t)
	l := c.startLoad(t)
	l.more(t, "login", 5)
	if err := c.database.Stop(); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the authorization servers to say that they are not ready", func() bool {
		return !isReady(c.auth[0].address+":9001") && !isReady(c.auth[1].address+":9001")
	})
	l.more(t, "call", 100)
	for _, m := range c.auth { // asked directly: the proxy has taken them out by now
		got := send(t, "http://"+m.address+":9000", form("username", "john.doe", "password", demoPassword))
		if got.status != http.StatusServiceUnavailable || got.header.Get("Retry-After") == "" {
			t.Errorf("a login without a database got %d %v %s, want 503 with Retry-After", got.status, got.header, got.body)
		}
	}
	if err := c.database.Start(); err != nil {
		t.Fatal(err)
	}
	l.more(t, "login", 5)
	l.stop(t, map[string][]string{"login": {"503", "503 without Retry-After: "}}) // the second is Caddy's own: no upstream is ready
}

// All authorization servers stop: the API does not notice. It goes on to accept what it
// accepted and to refuse what was revoked.
func TestClusterAPIOutlivesTheAuthorizationServers(t *testing.T) {
	longTest(t)
	c := startCluster(t)
	good := c.login(t, "john.doe", demoPassword)
	revoked, end := endings["user disable"](t, c)
	c.expectEverywhere(t, "a token", good, http.StatusOK)
	end()
	c.refusedEverywhere(t, revoked)
	for _, m := range c.auth {
		m.process.signal(t, syscall.SIGINT)
		m.process.wait(t)
	}
	for range 50 {
		c.expectEverywhere(t, "a token", good, http.StatusOK)
		c.expectEverywhere(t, "a revoked token", revoked, http.StatusUnauthorized)
	}
}
