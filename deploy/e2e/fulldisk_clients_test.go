package e2e_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// diskUse is clients that log in, refresh, revoke and call the API until stop is called.
type diskUse struct {
	*smallDisk
	t        *testing.T
	stopping atomic.Bool
	running  sync.WaitGroup

	mu      sync.Mutex
	begun   []tokens       // of logins that got 200
	revoked []tokens       // of those whose revocation got 200
	counts  map[string]int // by request and status
}

// use starts the clients.
func (d *smallDisk) use(t *testing.T) *diskUse {
	t.Helper()
	u := &diskUse{smallDisk: d, t: t, counts: map[string]int{}}
	t.Cleanup(u.end)
	for range 4 {
		kept := untilServed(t, "a login", func() (response, error) {
			return try(t.Context(), d.authURL, d.login())
		}).tokens(t)
		d.callMe(t, kept.access, "John Doe")
		u.running.Go(func() { u.repeat(kept) })
	}
	return u
}

// login is a login with a password.
func (d *smallDisk) login() request {
	return d.app.tokenForm(url.Values{
		"grant_type": {"password"}, "username": {"john.doe"}, "password": {demoPassword},
	}, nil)
}

// repeat logs in, refreshes the tokens of an older login, calls the API with the first access token of that one, and
// revokes every third login.
func (u *diskUse) repeat(kept tokens) {
	access := kept.access
	for n := 0; !u.over(); time.Sleep(50 * time.Millisecond) {
		if login, ok := u.begin("login", u.login()); ok {
			if n++; n%3 == 0 {
				u.revoke(login)
			} else {
				u.add(&u.begun, login)
			}
		}
		if next, ok := u.begin("refresh", u.app.refreshing(kept.refresh)); ok {
			kept = next
		}
		got, err := try(u.t.Context(), u.apiURL, get("/users/me", "Bearer "+access))
		if err != nil || got.status != http.StatusOK {
			u.t.Errorf("an API call with a full disk: %v %d %s, want 200", err, got.status, got.body)
		}
	}
	u.add(&u.begun, kept)
}

// begin sends a token request.
func (u *diskUse) begin(what string, r request) (_ tokens, ok bool) {
	var members struct {
		Access  string `json:"access_token"`
		Refresh string `json:"refresh_token"`
	}
	body, ok := u.send(what, r)
	if err := json.Unmarshal([]byte(body), &members); ok && err != nil {
		u.t.Errorf("a %s with a full disk: %v in %s", what, err, body)
	}
	return tokens{members.Access, members.Refresh}, ok
}

// revoke revokes a login. With 503 nobody knows whether it is revoked.
func (u *diskUse) revoke(login tokens) {
	if _, ok := u.send("revoke", revoking(u.app, login.refresh)); ok {
		u.add(&u.revoked, login)
	}
}

// send sends a request to the authorization server. The response must be 200, or 503 with Retry-After. It may also be
// 429: a login that could not be stored counts as failed.
func (u *diskUse) send(what string, r request) (body string, ok bool) {
	got, err := try(u.t.Context(), u.authURL, r)
	refused := got.status == http.StatusServiceUnavailable || what == "login" && got.status == http.StatusTooManyRequests
	busy := refused && got.header.Get("Retry-After") != ""
	if err != nil || got.status != http.StatusOK && !busy {
		u.t.Errorf("a %s with a full disk: %v %d %v %s, want 200 or 503 with Retry-After",
			what, err, got.status, got.header, got.body)
		return "", false
	}
	u.count(what, got.status)
	return got.body, got.status == http.StatusOK
}

func (u *diskUse) add(to *[]tokens, login tokens) {
	u.mu.Lock()
	defer u.mu.Unlock()
	*to = append(*to, login)
}

func (u *diskUse) count(what string, status int) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.counts[fmt.Sprint(what, " ", status)]++
}

// logins returns how many logins got one of some statuses.
func (u *diskUse) logins(statuses ...int) (n int) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, status := range statuses {
		n += u.counts[fmt.Sprint("login ", status)]
	}
	return n
}

// await waits until n more logins have got one of some statuses, and calls meanwhile again and again.
func (u *diskUse) await(t *testing.T, n int, meanwhile func(), statuses ...int) {
	t.Helper()
	before := u.logins(statuses...)
	waitFor(t, fmt.Sprintf("%d logins with %v", n, statuses), func() bool {
		meanwhile()
		return u.over() || u.logins(statuses...) >= before+n
	})
}

// over reports whether the clients are to end.
func (u *diskUse) over() bool { return u.stopping.Load() || u.t.Context().Err() != nil || u.t.Failed() }

// end ends the clients.
func (u *diskUse) end() {
	u.stopping.Store(true)
	u.running.Wait()
}

// stop ends the clients and checks what got 200: each login is refreshed, and the API accepts its access token, unless
// it was revoked.
func (u *diskUse) stop(t *testing.T) {
	t.Helper()
	u.end()
	for _, login := range u.begun {
		if r := u.refreshed(t, login); r.status != http.StatusOK {
			t.Errorf("a login got 200, and its refresh %d %s", r.status, r.body)
		}
		u.callMe(t, login.access, "John Doe")
	}
	for _, login := range u.revoked {
		u.refreshed(t, login).checkRefused(t, http.StatusBadRequest, "invalid_grant")
		u.refusedSoon(t, login.access)
	}
}

// refreshed refreshes the tokens of a login.
func (u *diskUse) refreshed(t *testing.T, login tokens) response {
	t.Helper()
	return untilServed(t, "a refresh", func() (response, error) {
		return try(t.Context(), u.authURL, u.app.refreshing(login.refresh))
	})
}

// String returns how often each request got each status.
func (u *diskUse) String() string {
	u.mu.Lock()
	defer u.mu.Unlock()
	var texts []string
	for _, key := range slices.Sorted(maps.Keys(u.counts)) {
		texts = append(texts, fmt.Sprint(key, ": ", u.counts[key]))
	}
	return strings.Join(texts, ", ")
}
