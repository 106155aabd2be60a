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

// retryPause is how long a client waits after 503. It is less than Retry-After says, so that figures are exact.
const retryPause = 500 * time.Millisecond

// refreshesEach is how often each client of a login refreshes. All replaced tokens of a login are remembered.
const refreshesEach = 8

// clients log in, refresh, redeem codes, revoke and call APIs, at all replicas, until stop is called. They record
// what was done to each grant.
type clients struct {
	t        *testing.T
	auth     []string // base URLs
	api      []string
	app      app
	counts   *counts
	stopping atomic.Bool
	// restarting says that a server may give no response.
	restarting atomic.Bool
	running    sync.WaitGroup

	mu      sync.Mutex
	ended   []*login
	revoked []string // access tokens that every API must refuse
}

// login is one grant, used by two clients.
type login struct {
	*clients
	user, cookie string
	number       int
	byPassword   bool
	code         string
	history      *history

	mu      sync.Mutex
	refresh []string // tokens that were received
	access  string   // the last one
	revoked bool     // a client has begun to revoke it
}

// startClients starts workers, each with a user of its own.
func startClients(t *testing.T, c *cluster, workers int) *clients {
	t.Helper()
	cs := &clients{t: t, counts: newCounts()}
	for _, m := range c.auth {
		cs.auth = append(cs.auth, "http://"+m.address+":9000")
	}
	for _, m := range c.api {
		cs.api = append(cs.api, "http://"+m.address+":9000")
	}
	cs.app = c.register(t, "fleet", "https://app.example/callback", "--first-party", "--grant", "password")
	for i := range workers {
		user := fmt.Sprintf("fleet%d", i)
		c.admin(t, demoPassword+"\n", "user", "add", user, "--bcrypt-cost", "10")
		v := &visitor{t: t, base: c.authURL}
		v.post("/login", "username", user, "password", demoPassword, "continue", cs.app.query()).location(t)
		cs.running.Go(func() {
			for n := i; !cs.over(); n++ {
				cs.use(&login{clients: cs, user: user, cookie: v.cookie, byPassword: n%2 == 0, number: n, history: newHistory()})
			}
		})
	}
	for i, api := range cs.api {
		cs.callAlways(api, cs.tokenFor(c, i))
	}
	return cs
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
	cluster.admin(c.t, demoPassword+"\n", "user", "add", user, "--bcrypt-cost", "10")
	form := c.app.tokenForm(url.Values{"grant_type": {"password"}, "username": {user}, "password": {demoPassword}}, nil)
	return send(c.t, c.auth[0], form).tokens(c.t).access
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
	got, err := try(c.t.Context(), api, get(path, "Bearer "+access))
	c.counts.add("GET "+path, got, err)
	if (err != nil || got.status != http.StatusOK) && c.t.Context().Err() == nil {
		c.t.Errorf("GET %s: %v %d %s, want 200", path, err, got.status, got.body)
	}
}

// use begins a login, uses it by two clients at once and ends it in one of several ways.
func (c *clients) use(l *login) {
	if !l.start() {
		return
	}
	var both sync.WaitGroup
	for client := range 2 {
		both.Go(func() { l.refreshAll(client) })
	}
	if l.number%3 == 0 {
		both.Go(func() { l.revoke(2) })
	}
	both.Wait()
	if l.number%5 == 0 && l.code != "" {
		l.replay(2)
	}
	l.useOnce(3, false) // shows what the grant has become
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = append(c.ended, l)
	if l.revoked && l.access != "" {
		c.revoked = append(c.revoked, l.access)
	}
}

// start begins the login, and reports whether it did before the end. It repeats a request that got 503. If one of these
// requests was a redemption, and its code does not work later, the user must log in again: that is a wrong 400.
func (l *login) start() bool {
	for attempt := 0; !l.over(); attempt++ {
		if !l.byPassword && l.code == "" && !l.authorize() {
			return false
		}
		out := l.begin(0, attempt)
		switch out.outcome {
		case done:
			return true
		case refused:
			l.t.Errorf("a login was refused after %d requests of unknown outcome (by password: %v)", attempt, l.byPassword)
			return false
		case unknown:
		}
		if l.byPassword {
			l.history = newHistory() // a login that was repeated starts another grant
		}
		time.Sleep(retryPause)
	}
	return false
}

// begin logs in with the password, or redeems the code, and records it.
func (l *login) begin(client, attempt int) reply {
	r := l.app.redemption(l.code)
	if l.byPassword {
		r = l.app.tokenForm(url.Values{"grant_type": {"password"}, "username": {l.user}, "password": {demoPassword}}, nil)
	}
	what := "redeem"
	if l.byPassword {
		what = "login"
	}
	return l.send(what, client, attempt, call{action: begin}, r)
}

// authorize gets a code, and reports whether it did before the end.
func (l *login) authorize() bool {
	r := request{path: "/authorize?" + l.app.query(), header: http.Header{"Cookie": {l.cookie}}}
	for i := l.number; !l.over(); i++ {
		got, err := try(l.t.Context(), l.auth[i%len(l.auth)], r)
		l.counts.add("authorize", got, err)
		if err == nil && got.status == http.StatusSeeOther {
			if to, err := url.Parse(got.header.Get("Location")); err == nil && to.Query().Get("code") != "" {
				l.code = to.Query().Get("code")
				return true
			}
		}
		if err == nil && got.status != http.StatusServiceUnavailable {
			l.t.Errorf("/authorize: %d %v %s", got.status, got.header, got.body)
			return false
		}
		time.Sleep(retryPause)
	}
	return false
}

// refreshAll refreshes as often as a client does, and calls an API after each time.
func (l *login) refreshAll(client int) {
	for range refreshesEach {
		if l.over() || !l.useOnce(client, client == 1) {
			return
		}
		l.mu.Lock()
		access, revoked := l.access, l.revoked
		l.mu.Unlock()
		if !revoked {
			l.callAccepted(l.api[client%len(l.api)], access)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// callAccepted calls an API with a token that is valid unless a client has begun to revoke it.
func (l *login) callAccepted(api, access string) {
	got, err := try(l.t.Context(), api, get("/users/me", "Bearer "+access))
	l.counts.add("GET /users/me, new token", got, err)
	l.mu.Lock()
	defer l.mu.Unlock()
	if (err != nil || got.status != http.StatusOK) && !l.revoked && !l.over() {
		l.t.Errorf("GET /users/me: %v %d %s, want 200", err, got.status, got.body)
	}
}

// useOnce refreshes until the outcome is known, and reports whether it got a token. A client that is behind uses the
// token before the last one.
func (l *login) useOnce(client int, behind bool) bool {
	l.mu.Lock()
	token := l.refresh[len(l.refresh)-1]
	if behind && len(l.refresh) > 1 {
		token = l.refresh[len(l.refresh)-2]
	}
	l.mu.Unlock()
	return l.untilKnown("refresh", client, call{refresh, token}, l.app.refreshing(token)).outcome == done
}

// revoke revokes the last refresh token until the outcome is known.
func (l *login) revoke(client int) {
	time.Sleep(time.Duration(l.number%7) * 20 * time.Millisecond)
	l.mu.Lock()
	token := l.refresh[len(l.refresh)-1]
	l.revoked = true
	l.mu.Unlock()
	l.untilKnown("revoke", client, call{revoke, token}, revoking(l.app, token))
}

// replay redeems the code again, which ends the grant.
func (l *login) replay(client int) {
	l.mu.Lock()
	l.revoked = true
	l.mu.Unlock()
	l.untilKnown("replay", client, call{action: begin}, l.app.redemption(l.code))
}

// untilKnown sends a request until its outcome is known, or the clients end.
func (l *login) untilKnown(what string, client int, in call, r request) (out reply) {
	for attempt := 0; ; attempt++ {
		out = l.send(what, client, attempt, in, r)
		if out.outcome != unknown || l.over() {
			return out
		}
		time.Sleep(retryPause)
	}
}

// received returns how many different refresh tokens the clients have received.
func (l *login) received() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.refresh)
}

// send sends a request to one of the servers and records its outcome.
func (l *login) send(what string, client, attempt int, in call, r request) reply {
	server := (l.number + client + attempt) % len(l.auth)
	return l.history.record(client, in, func() reply {
		before := l.received()
		got, err := try(l.t.Context(), l.auth[server], r)
		l.counts.add(what, got, err)
		out := l.outcome(what, got, err)
		if l.received() > before {
			l.counts.succeeded(server)
		}
		return out
	})
}
