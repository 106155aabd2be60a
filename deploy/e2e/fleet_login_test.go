package e2e_test

import (
	"net/http"
	"net/url"
	"sync"
	"time"
)

// retryPause is how long a client waits after 503. It is less than Retry-After says, so that figures are exact.
const retryPause = 500 * time.Millisecond

// codePatience is how long a code surely works. If a server does not learn for 30 seconds whether a redemption was
// stored, the code may count as used. After a minute it expires.
const codePatience = 28 * time.Second

// refreshesEach is how often each client of a login refreshes. All replaced tokens of a login are remembered.
const refreshesEach = 8

// login is one grant, used by two clients.
type login struct {
	*clients
	user, cookie string
	number       int
	byPassword   bool
	code         string
	codeAt       time.Time // when the code was asked for
	history      *history

	mu      sync.Mutex
	refresh []string // tokens that were received
	access  string   // the last one
	revoked bool     // a client has begun to revoke it
	gone    bool     // a server has said that it is revoked
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
	if l.tooLong() {
		c.counts.addResult("login", "longer than the grace period")
		return
	}
	c.ended = append(c.ended, l)
	if l.gone && l.access != "" {
		c.revoked = append(c.revoked, l.access)
	}
}

// tooLong reports whether the login has lasted longer than the grace period, as it can in a long outage. After that a
// token that was repeated counts as stolen.
func (l *login) tooLong() bool { return time.Since(l.history.start) > fleetGrace }

// start begins the login, and reports whether it did before the end. It repeats a request that got 503. If one of these
// requests was a redemption, and its code does not work later, the user must log in again: that is a wrong 400, unless
// the outage was long.
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
			if !l.byPassword && time.Since(l.codeAt) > codePatience {
				l.counts.addResult("redeem", "too late for the code")
				l.code, l.history = "", newHistory()
				continue
			}
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
		l.codeAt = time.Now()
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
	restarted := l.watchRestarts()
	got, err := try(l.t.Context(), api, get("/users/me", "Bearer "+access))
	l.counts.add("GET /users/me, new token", got, err)
	l.mu.Lock()
	defer l.mu.Unlock()
	excused := l.revoked || l.over() || l.tooLong() || (restarted() && duringRestart(got, err))
	if (err != nil || got.status != http.StatusOK) && !excused {
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
	l.isGone(l.untilKnown("revoke", client, call{revoke, token}, revoking(l.app, token)).outcome == done)
}

// isGone notes whether a server has said that the grant is revoked.
func (l *login) isGone(gone bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.gone = l.gone || gone
}

// replay redeems the code again, which ends the grant.
func (l *login) replay(client int) {
	l.mu.Lock()
	l.revoked = true
	l.mu.Unlock()
	l.isGone(l.untilKnown("replay", client, call{action: begin}, l.app.redemption(l.code)).outcome == refused)
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
		before, restarted := l.received(), l.watchRestarts()
		got, err := try(l.t.Context(), l.auth[server], r)
		l.counts.add(what, got, err)
		if err != nil && (restarted() || l.t.Context().Err() != nil) {
			return reply{outcome: unknown}
		}
		out := l.outcome(what, got, err)
		if l.received() > before {
			l.counts.succeeded(server)
		}
		return out
	})
}
