package e2e_test

import (
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// clients log in, refresh, redeem codes, revoke and call APIs, at all replicas, until stop is called. They record
// what was done to each grant.
type clients struct {
	t        *testing.T
	auth     []string // base URLs
	api      []string
	access   []string // for calls to each API
	app      app
	counts   *counts
	stopping atomic.Bool
	// restarts is odd while a server is restarted, when it may give no response.
	restarts atomic.Int64
	running  sync.WaitGroup

	mu      sync.Mutex
	ended   []*login
	revoked []string // access tokens that every API must refuse

	checked, refused int // how many of both were checked
}

// startClients starts workers, each with a user of its own.
func startClients(t *testing.T, c *cluster, workers int) *clients {
	t.Helper()
	cs := &clients{t: t, counts: newCounts()}
	t.Cleanup(cs.stop)
	for _, m := range c.auth[:fleetServers] {
		cs.auth = append(cs.auth, "http://"+m.address+":9000")
	}
	for _, m := range c.api {
		cs.api = append(cs.api, "http://"+m.address+":9000")
	}
	cs.app = c.register(t, "fleet", "https://app.example/callback", "--first-party", "--grant", "password")
	for i, api := range cs.api {
		cs.access = append(cs.access, cs.tokenFor(c, i))
		cs.awaitLists(t, api, cs.access[i])
		cs.callAlways(api, cs.access[i])
	}
	for i := range workers {
		user := fmt.Sprintf("fleet%d", i)
		c.admin(t, demoPassword+"\n", "user", "add", user, "--bcrypt-cost", "10", "--password-min-length", "8")
		v := &visitor{t: t, base: c.authURL}
		untilServed(t, "a session", func() (response, error) {
			return v.post("/login", "username", user, "password", demoPassword, "continue", cs.app.query()), nil
		}).location(t)
		cs.running.Go(func() {
			for n := i; !cs.over(); n++ {
				cs.use(&login{clients: cs, user: user, cookie: v.cookie, byPassword: n%2 == 0, number: n, history: newHistory()})
			}
		})
	}
	return cs
}

// untilServed repeats a request that gets 503, as it may on a busy machine.
func untilServed(t *testing.T, what string, send func() (response, error)) (got response) {
	t.Helper()
	waitFor(t, what, func() bool {
		var err error
		got, err = send()
		return err == nil && got.status != http.StatusServiceUnavailable
	})
	return got
}

// awaitLists waits until an API accepts a token: one that has just started gives 503 until it has the status list.
func (c *clients) awaitLists(t *testing.T, api, access string) {
	t.Helper()
	waitFor(t, "an API to have the status list", func() bool {
		got, err := try(t.Context(), api, get("/users/me", "Bearer "+access))
		return err == nil && got.status == http.StatusOK
	})
}

// over reports whether the clients are to end.
func (c *clients) over() bool { return c.stopping.Load() || c.t.Context().Err() != nil }

// awaitLoad waits until the clients have refreshed fifty times more.
func (c *clients) awaitLoad(t *testing.T) {
	t.Helper()
	before := c.counts.of("refresh", "200")
	waitFor(t, "load", func() bool { return c.counts.of("refresh", "200") > before+50 })
}

// stop ends the clients.
func (c *clients) stop() {
	c.stopping.Store(true)
	c.running.Wait()
}

// tokenFor returns an access token for the calls to an API.
func (c *clients) tokenFor(cluster *cluster, i int) string {
	user := fmt.Sprintf("caller%d", i)
	cluster.admin(c.t, demoPassword+"\n", "user", "add", user, "--bcrypt-cost", "10", "--password-min-length", "8")
	form := c.app.tokenForm(url.Values{"grant_type": {"password"}, "username": {user}, "password": {demoPassword}}, nil)
	return untilServed(c.t, "a token", func() (response, error) {
		return try(c.t.Context(), c.auth[0], form)
	}).tokens(c.t).access
}

// callAlways calls an API with a valid token until the end. Every response must be 200.
func (c *clients) callAlways(api, access string) {
	for _, path := range []string{"/users/me", "/items/42"} {
		c.running.Go(func() {
			for ; !c.over(); time.Sleep(10 * time.Millisecond) {
				c.callAPI(api, path, access)
			}
		})
	}
}

func (c *clients) callAPI(api, path, access string) {
	restarted := c.watchRestarts()
	got, err := try(c.t.Context(), api, get(path, "Bearer "+access))
	c.counts.add("GET "+path, got, err)
	excused := c.t.Context().Err() != nil || (restarted() && duringRestart(got, err))
	if (err != nil || got.status != http.StatusOK) && !excused {
		c.t.Errorf("GET %s: %v %d %s, want 200", path, err, got.status, got.body)
	}
}

// watchRestarts returns a function that reports whether a server has been restarted since.
func (c *clients) watchRestarts() func() bool {
	before := c.restarts.Load()
	return func() bool { return before%2 == 1 || c.restarts.Load() != before }
}

// duringRestart reports whether an API that is restarted may respond so: not at all, or with 503 before it has the
// status list.
func duringRestart(got response, err error) bool {
	return err != nil || got.status == http.StatusServiceUnavailable
}
