package statuslist_test

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hallpass-auth/hallpass/shared/keyring"
	"github.com/hallpass-auth/hallpass/shared/statuslist"
)

// issued returns a form of that moment, in which some are revoked.
func issued(at time.Time, indices ...int64) statuslist.Token {
	list := newToken(indices...)
	list.IssuedAt, list.ExpiresAt = at, at.Add(time.Hour)
	return list
}

// serve has the publisher answer with these in turn, one at each fetch, none of them with a
// tag, and waits until the client has had all of them twice.
func (p *publisher) serve(ring *keyring.Ring, forms ...statuslist.Token) {
	n, key := 0, signer(p.t, ring)
	p.instead(func(*http.Request) *http.Response {
		n++
		return respond(http.StatusOK, sign(p.t, forms[n%len(forms)], key))
	})
	time.Sleep(time.Duration(len(forms)) * time.Second) // half the ttl lies between two
	synctest.Wait()
}

// What an older form does not say is not undone: a cache may have kept it, or somebody may
// repeat it. It is no failure that servers drop a bit at different moments, but it is none
// of the confirmations either, and where nothing else comes it is a failure in the end.
func TestClientTakesNoOlderForm(t *testing.T) {
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
		time.Sleep(2 * time.Minute) // it has run out: now any is better than none
		p.serve(p.ring, issued(start))
		expect(t, c, 17, false)
		if n := strings.Count(log.String(), "stays in use"); n != 1 {
			t.Errorf("said %d times:\n%s", n, log)
		}
	})
}

// What any of several servers calls revoked stays revoked, whichever of them is asked, also
// where one that is behind, or whose clock is, has signed later.
func TestClientBelievesAllServers(t *testing.T) {
	for name, apart := range map[string]time.Duration{"in the same second": 0, "later": time.Second, "much later": 5 * time.Second, "earlier": -5 * time.Second} {
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

// A bit that the server has dropped goes, also where it signs more often than every few
// seconds.
func TestClientDropsWhatTheServerDrops(t *testing.T) {
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

// A form from a clock that is far ahead does not keep away what is issued when that clock
// has been set right.
func TestClientOutlivesAFormFromTheFuture(t *testing.T) {
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

// What was signed with a key that has ended since neither keeps an older form away nor
// revokes anything.
func TestClientForgetsFormsOfAnEndedKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, c, file := openWith(t, keyA)
		p.list.TTL = time.Second
		p.publish(17)
		expect(t, c, 17, true)
		p.signWith(file.read(t, keyA, keyB)) // of which the second signs
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
