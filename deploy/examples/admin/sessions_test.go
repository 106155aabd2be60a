package main

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// browser keeps the cookie of a website.
type browser struct {
	t      *testing.T
	site   *website
	cookie *http.Cookie
}

// newBrowser returns a browser in which ada is logged in.
func newBrowser(t *testing.T) *browser {
	t.Helper()
	b := &browser{t: t, site: &website{sessions: newSessions("http://localhost")}}
	b.put(session{})
	if !b.put(session{user: &user{subject: "usr_ada", name: "Ada", expires: time.Now().Add(time.Hour)}}) {
		t.Fatal("nobody can log in")
	}
	return b
}

// request returns a request with the cookie.
func (b *browser) request(method, path string, form url.Values) *http.Request {
	r := httptest.NewRequest(method, path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if b.cookie != nil {
		r.AddCookie(b.cookie)
	}
	return r
}

// put stores a session, and keeps its cookie.
func (b *browser) put(next session) bool {
	w := httptest.NewRecorder()
	stored := b.site.sessions.put(w, b.request("GET", "/", nil), next)
	if cookies := w.Result().Cookies(); len(cookies) > 0 {
		b.cookie = cookies[0]
	}
	return stored
}

// A request that began before a logout does not log in again.
func TestLogoutDuringRequest(t *testing.T) {
	b := newBrowser(t)
	r := b.request("GET", "/", nil)
	current := b.site.sessions.get(r)
	b.site.sessions.end(httptest.NewRecorder(), b.request("POST", "/logout", nil))
	w := httptest.NewRecorder()
	if b.site.sessions.put(w, r, current) || len(w.Result().Cookies()) != 0 {
		t.Error("the session of before the logout was stored")
	}
	if got := b.site.sessions.get(r); got.user != nil {
		t.Errorf("still logged in: %+v", got)
	}
}

// Of concurrent callbacks, one finishes the login. One with another state finishes none.
func TestLoginIsTakenOnce(t *testing.T) {
	b := newBrowser(t)
	current := b.site.sessions.get(b.request("GET", "/", nil))
	current.login = &login{state: "the state", began: time.Now()}
	b.put(current)
	if _, ok := b.site.sessions.takeLogin(b.request("GET", "/callback", nil), "another state"); ok {
		t.Error("another state is accepted")
	}
	var taken atomic.Int64
	var group sync.WaitGroup
	for range 16 {
		group.Go(func() {
			if _, ok := b.site.sessions.takeLogin(b.request("GET", "/callback", nil), "the state"); ok {
				taken.Add(1)
			}
		})
	}
	group.Wait()
	if taken.Load() != 1 {
		t.Errorf("the login was taken %d times", taken.Load())
	}
}

// A notice is shown once.
func TestNotice(t *testing.T) {
	b := newBrowser(t)
	current := b.site.sessions.get(b.request("GET", "/", nil))
	current.notice = "saved"
	b.put(current)
	for _, want := range []string{"saved", ""} {
		if got := b.site.sessions.takeNotice(b.request("GET", "/", nil)); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// A form that does not say which state of the item it was shown for changes nothing: there is no API to call here.
func TestFormWithoutTag(t *testing.T) {
	b := newBrowser(t)
	for name, handle := range map[string]func(http.ResponseWriter, *http.Request, *user){
		"save": b.site.save, "remove": b.site.remove,
	} {
		w := httptest.NewRecorder()
		handle(w, b.request("POST", "/items/usr_1/7", url.Values{"title": {"new"}}), &user{name: "Ada"})
		if w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), "open the item again") {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
	}
}
