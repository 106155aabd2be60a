package statuslist_test

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hallpass-auth/hallpass/shared/keyring"
	"github.com/hallpass-auth/hallpass/shared/statuslist"
)

// issued returns a list issued at a time, in which the indices are revoked.
func issued(at time.Time, indices ...int64) statuslist.Token {
	list := newToken(indices...)
	list.IssuedAt, list.ExpiresAt = at, at.Add(time.Hour)
	return list
}

// serve makes the publisher respond with the lists in turn, without an ETag, and waits until the client has
// fetched each twice.
func (p *publisher) serve(ring *keyring.Ring, lists ...statuslist.Token) {
	n, key := 0, signer(p.t, ring)
	p.instead(func(*http.Request) *http.Response {
		n++
		return respond(http.StatusOK, sign(p.t, lists[n%len(lists)], key))
	})
	time.Sleep(time.Duration(len(lists)) * time.Second) // a fetch every half second
	synctest.Wait()
}

// A response older than the copy is ignored. For two minutes it is not a failure, since replicas drop
// bits at different moments; then it is.
func TestClientIgnoresOlderLists(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, c, log := open(t, nil)
		p.publish(17)
		expect(t, c, 17, true)
		p.serve(p.ring, issued(start.Add(-time.Minute), 18))
		time.Sleep(time.Minute)
		synctest.Wait()
		expect(t, c, 17, true)
		expect(t, c, 18, false)
		if s := c.Stats(); s.Failures != 0 || s.Oldest < time.Minute {
			t.Errorf("after a minute: %+v", s)
		}
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		expect(t, c, 17, true)
		if s := c.Stats(); s.Failures == 0 || s.Oldest < 3*time.Minute {
			t.Errorf("after three minutes: %+v", s)
		}
		short := issued(time.Now(), 17, 18)
		short.ExpiresAt = time.Now().Add(time.Minute)
		p.serve(p.ring, short)
		expect(t, c, 18, true)
		time.Sleep(2 * time.Minute) // it has expired, so an older one is accepted
		p.serve(p.ring, issued(start))
		expect(t, c, 17, false)
		if n := strings.Count(log.String(), "stays in use"); n != 1 {
			t.Errorf("logged %d times:\n%s", n, log)
		}
	})
}

// A bit that one replica has set stays set, also if a replica that is behind has signed later.
func TestClientMergesReplicas(t *testing.T) {
	for name, apart := range map[string]time.Duration{"in the same second": 0, "later": time.Second,
		"much later": 5 * time.Second, "earlier": -5 * time.Second} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, c, _ := open(t, nil)
				p.publish(17)
				expect(t, c, 17, true)
				behind := issued(start.Add(apart), 18)
				p.serve(p.ring, behind)
				expect(t, c, 17, true)
				expect(t, c, 18, true)
				p.serve(p.ring, behind, issued(start, 17))
				for range 5 {
					expect(t, c, 17, true)
					expect(t, c, 18, true)
					expect(t, c, 19, false)
					time.Sleep(300 * time.Millisecond)
				}
				if s := c.Stats(); s.Failures != 0 || s.Oldest > time.Second {
					t.Errorf("%+v", s)
				}
			})
		})
	}
}

// A bit that the server has cleared is cleared in the copy, also if the server signs every few seconds.
func TestClientClearsBits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, c, _ := open(t, nil)
		p.publish(17)
		expect(t, c, 17, true)
		for range 4 {
			time.Sleep(time.Second)
			p.serve(p.ring, issued(time.Now(), 18))
		}
		expect(t, c, 17, false)
		expect(t, c, 18, true)
	})
}

// A list from a clock that was ahead does not block later lists.
func TestClientWithAListFromTheFuture(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, c, _ := open(t, nil)
		p.instead(func(*http.Request) *http.Response {
			return respond(http.StatusOK, sign(t, issued(start.AddDate(1, 0, 0)), signer(t, p.ring)))
		})
		expect(t, c, 17, false)
		p.serve(p.ring, issued(time.Now(), 17))
		expect(t, c, 17, true)
	})
}

// After the clocks of both machines were ahead for a while, a copy from then does not block later lists.
func TestClientAfterItsClockWasPutBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ahead atomic.Bool
		now := func() time.Time {
			if ahead.Load() {
				return time.Now().AddDate(1, 0, 0)
			}
			return time.Now()
		}
		p, c, _ := open(t, func(cfg *statuslist.Config) { cfg.Now = now })
		ahead.Store(true)
		key := signer(t, p.ring)
		p.instead(func(*http.Request) *http.Response { return respond(http.StatusOK, sign(t, issued(now()), key)) })
		expect(t, c, 17, false)
		ahead.Store(false)
		p.serve(p.ring, issued(time.Now(), 17))
		expect(t, c, 17, true)
		if s := c.Stats(); s.Failures != 0 || s.Oldest > time.Second {
			t.Errorf("%+v", s)
		}
	})
}

// A list from a server whose clock was ahead is used for as long as the server meant, not until its exp.
func TestClientLimitsAListFromTheFuture(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, c, _ := open(t, nil)
		p.serve(p.ring, issued(start.AddDate(1, 0, 0)))
		expect(t, c, 17, false)
		p.instead(down)
		time.Sleep(59 * time.Minute)
		expect(t, c, 17, false)
		time.Sleep(2 * time.Minute)
		expectUnknown(t, c, uri)
	})
}

// A list whose key has ended neither blocks older lists nor revokes anything.
func TestClientDropsListsOfEndedKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, c, file := openWith(t, keyA)
		p.list.TTL = time.Second
		p.publish(17)
		expect(t, c, 17, true)
		p.signWith(file.read(t, keyA, keyB)) // the second key signs
		time.Sleep(2 * time.Second)
		expect(t, c, 17, true)
		file.read(t, keyB)
		p.instead(down)
		expect(t, c, 17, false)

		other := file.read(t, keyA)
		expectUnknown(t, c, uri)
		p.serve(other, issued(start.Add(-time.Minute), 18))
		expect(t, c, 18, true)
	})
}
