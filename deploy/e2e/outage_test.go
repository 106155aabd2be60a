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

// load is a steady stream of logins and API calls. It counts the responses.
type load struct {
	stopping atomic.Bool
	running  sync.WaitGroup

	mu      sync.Mutex
	results map[string]map[string]int // by kind of request and result
	longest map[string]time.Duration  // by kind of request
}

// startLoad sends calls and logins until stop is called.
func (c *cluster) startLoad(t *testing.T) *load {
	t.Helper()
	l := &load{results: map[string]map[string]int{"call": {}, "login": {}}, longest: map[string]time.Duration{}}
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

// repeat sends a request again and again until stop is called.
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
			l.results[what][result]++
			l.longest[what] = max(l.longest[what], time.Since(start))
			l.mu.Unlock()
		}
	})
}

// succeeded returns how many requests of a kind got 200.
func (l *load) succeeded(what string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.results[what]["200"]
}

// more waits until n more requests of a kind have got 200.
func (l *load) more(t *testing.T, what string, n int) {
	t.Helper()
	before := l.succeeded(what)
	waitFor(t, fmt.Sprintf("%d more 200 for a %s", n, what), func() bool { return l.succeeded(what) >= before+n })
}

// stop ends the load. A result other than 200 fails the test unless it is allowed for this
// kind of request.
func (l *load) stop(t *testing.T, allowed map[string][]string) {
	t.Helper()
	l.stopping.Store(true)
	l.running.Wait()
	for what, results := range l.results {
		t.Logf("%s: %v, the longest took %v", what, results, l.longest[what].Round(time.Millisecond))
		for _, result := range slices.Sorted(maps.Keys(results)) {
			if result != "200" && !slices.Contains(allowed[what], result) {
				t.Errorf("%d times, a %s got %s", results[result], what, result)
			}
		}
	}
}

// Two servers that start at the same time on an empty database create one schema and one set
// of demo users.
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
	// Every API accepts the token of either server.
	token := c.login(t, "john.doe", demoPassword)
	for _, m := range c.api {
		if got := send(t, "http://"+m.address+":9000", get("/users/me", "Bearer "+token)); got.status != http.StatusOK {
			t.Errorf("%s: %d %s", m.address, got.status, got.body)
		}
	}
}

// No request fails while the servers are restarted one after another under load.
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

// When a server is killed, only logins that it was answering fail: the proxy repeats requests
// that are safe to repeat.
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
	lost := "502 " // Caddy's response to a login in flight on the killed server
	l.stop(t, map[string][]string{"login": {lost}})
	// Two logins are in flight. The next ones may reach the server's socket while the kernel still closes it.
	if n := l.results["login"][lost]; n > 4 {
		t.Errorf("%d logins were lost, with at most 2 in flight", n)
	}
}

// While the database is down, API calls succeed and logins get 503, never "wrong password".
// Logins succeed again when the database is back.
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
	for _, m := range c.auth { // not through the proxy, which no longer uses them
		got := send(t, "http://"+m.address+":9000", form("username", "john.doe", "password", demoPassword))
		if got.status != http.StatusServiceUnavailable || got.header.Get("Retry-After") == "" {
			t.Errorf("a login without a database got %d %v %s, want 503 with Retry-After", got.status, got.header, got.body)
		}
	}
	if err := c.database.Start(); err != nil {
		t.Fatal(err)
	}
	l.more(t, "login", 5)
	byCaddy := "503 without Retry-After: " // no upstream is ready
	l.stop(t, map[string][]string{"login": {"503", byCaddy}})
}

// An API that starts while only the database is down accepts tokens: the authorization server
// publishes status lists as they were.
func TestAPIStartsWithoutTheDatabase(t *testing.T) {
	longTest(t)
	s := newSystem(t)
	database, url := startPostgres(t)
	s.database = url
	s.startAuthserver(t, "--demo")
	s.startResourceserver(t)
	token := s.login(t, "john.doe", demoPassword)
	s.callMe(t, token, "John Doe")
	if err := database.Stop(); err != nil {
		t.Fatal(err)
	}
	s.resourceserver.stop(t)
	s.startResourceserver(t)
	s.callMe(t, token, "John Doe")
}

// While all authorization servers are down, the API accepts valid tokens and refuses revoked
// ones.
func TestClusterAPIOutlivesTheAuthorizationServers(t *testing.T) {
	longTest(t)
	c := startCluster(t)
	valid := c.login(t, "john.doe", demoPassword)
	revoked, end := endings["user disable"](t, c)
	c.expectEverywhere(t, "a token", valid, http.StatusOK)
	end()
	c.refusedEverywhere(t, revoked)
	for _, m := range c.auth {
		m.process.signal(t, syscall.SIGINT)
		m.process.wait(t)
	}
	for range 50 {
		c.expectEverywhere(t, "a token", valid, http.StatusOK)
		c.expectEverywhere(t, "a revoked token", revoked, http.StatusUnauthorized)
	}
}
