package main

import (
	"crypto/rand"
	"crypto/subtle"
	"maps"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Limits of sessions, which are in memory.
const (
	sessionLifetime = time.Hour
	maxSessions     = 1000
)

// session is what the website knows about a browser.
type session struct {
	expires time.Time
	login   *login // the login that was begun, or nil
	user    *user  // who is logged in; nil if nobody is
	notice  string // for the next page
}

// login is a login that was begun, and not finished.
type login struct {
	state, nonce, verifier string
	began                  time.Time
	deletion               *deletion // what to do when it is finished; nil for nothing
}

// deletion is an item to delete, in the state that the administrator has seen.
type deletion struct {
	owner, number, tag string
}

// user is who is logged in.
type user struct {
	subject, name string
	token         string // the access token
	idToken       string
	expires       time.Time // of the token
}

// sessions are the sessions of all browsers, by the value of their cookies. It is safe for concurrent use; a
// session that it returns is a copy.
type sessions struct {
	cookie string
	secure bool

	mu   sync.Mutex
	open map[string]session
}

// newSessions returns sessions for the website at the URL.
func newSessions(site string) *sessions {
	s := &sessions{cookie: "admin", open: map[string]session{}}
	if strings.HasPrefix(site, "https:") {
		s.cookie, s.secure = "__Host-admin", true // browsers keep it from other hosts (RFC 6265bis section 4.1.3)
	}
	return s
}

// get returns the session of a request's browser, or an empty one.
func (s *sessions) get(r *http.Request) session {
	s.mu.Lock()
	defer s.mu.Unlock()
	found := s.open[s.idOf(r)]
	if time.Now().After(found.expires) {
		return session{}
	}
	return found
}

// put replaces the session of a request's browser. It gets another cookie, so that nobody who has seen the one
// before gets in. A session in which somebody is logged in only replaces one that is open: put does nothing and
// returns false if the user has logged out since the caller called get.
func (s *sessions) put(w http.ResponseWriter, r *http.Request, next session) bool {
	id := rand.Text()
	next.expires = time.Now().Add(sessionLifetime)
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.idOf(r)
	if _, open := s.open[before]; !open && next.user != nil {
		return false
	}
	delete(s.open, before)
	s.makeRoom()
	s.open[id] = next
	http.SetCookie(w, &http.Cookie{
		Name: s.cookie, Value: id, Path: "/", MaxAge: int(sessionLifetime / time.Second),
		HttpOnly: true, Secure: s.secure, SameSite: http.SameSiteLaxMode,
	})
	return true
}

// idOf returns the value of the session's cookie, or "" without one.
func (s *sessions) idOf(r *http.Request) string {
	cookie, err := r.Cookie(s.cookie)
	if err != nil {
		return ""
	}
	return cookie.Value
}

// takeLogin returns the login that was begun in the browser with this state, if it is not over, and forgets it: a
// login is finished once, whether it succeeds or not.
func (s *sessions) takeLogin(r *http.Request, state string) (login, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := s.idOf(r)
	current, open := s.open[id]
	begun := current.login
	if !open || begun == nil || subtle.ConstantTimeCompare([]byte(begun.state), []byte(state)) != 1 {
		return login{}, false
	}
	current.login = nil
	s.open[id] = current
	return *begun, time.Since(begun.began) <= loginLifetime && time.Now().Before(current.expires)
}

// takeNotice returns the notice for the browser's next page, and forgets it.
func (s *sessions) takeNotice(r *http.Request) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := s.idOf(r)
	current, open := s.open[id]
	notice := current.notice
	if open && notice != "" {
		current.notice = ""
		s.open[id] = current
	}
	return notice
}

// makeRoom deletes sessions that have expired and, while there are too many, others: first those in which nobody
// is logged in, which everybody can begin.
func (s *sessions) makeRoom() {
	now := time.Now()
	maps.DeleteFunc(s.open, func(_ string, old session) bool { return now.After(old.expires) })
	for _, anonymous := range []bool{true, false} {
		for id, old := range s.open {
			if len(s.open) < maxSessions {
				return
			}
			if !anonymous || old.user == nil {
				delete(s.open, id)
			}
		}
	}
}

// end ends the session of a request's browser.
func (s *sessions) end(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	delete(s.open, s.idOf(r))
	s.mu.Unlock()
	http.SetCookie(w, &http.Cookie{Name: s.cookie, Path: "/", MaxAge: -1, HttpOnly: true, Secure: s.secure})
}
