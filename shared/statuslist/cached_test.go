package statuslist_test

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hallpass-auth/hallpass/shared/keyring"
	"github.com/hallpass-auth/hallpass/shared/statuslist"
)

// keyFile is a source whose ring changes, as that of a file does. The keys of a ring that
// was read anew are never the same pointers.
type keyFile struct{ ring atomic.Pointer[keyring.Ring] }

func (f *keyFile) Current() *keyring.Ring { return f.ring.Load() }

// read makes f hold secrets; each is an id, a colon, the secret, and maybe a colon and when
// it ends, in seconds since 1970.
func (f *keyFile) read(t *testing.T, keys ...string) *keyring.Ring {
	t.Helper()
	jwks := make([]string, len(keys))
	for i, key := range keys {
		parts := append(strings.Split(key, ":"), "")
		jwks[i] = fmt.Sprintf(`{"kty":"oct","kid":%q,"k":%q`, parts[0], base64.RawURLEncoding.EncodeToString([]byte(parts[1])))
		if parts[2] != "" {
			jwks[i] += `,"exp":` + parts[2]
		}
		jwks[i] += "}"
	}
	ring, err := keyring.Parse([]byte(`{"keys":[` + strings.Join(jwks, ",") + "]}"))
	f.ring.Store(must(t, ring, err))
	return ring
}

// Two keys, the second under either id.
const (
	keyA      = "a:" + secret
	keyB      = "b:fedcba9876543210fedcba9876543210"
	keyAOther = "a:fedcba9876543210fedcba9876543210"
)

// openWith is open with a file of keys; the list may be kept for an hour, so that a client
// which does not hurry is found out.
func openWith(t *testing.T, keys ...string) (*publisher, *statuslist.Client, *keyFile) {
	t.Helper()
	file := &keyFile{}
	ring := file.read(t, keys...)
	p, c, _ := open(t, func(cfg *statuslist.Config) { cfg.Keys = file })
	p.mu.Lock()
	p.ring, p.list.TTL = ring, time.Hour
	p.mu.Unlock()
	return p, c, file
}

// signWith has the publisher sign with another ring, so that its list has another tag.
func (p *publisher) signWith(ring *keyring.Ring) {
	p.mu.Lock()
	p.ring = ring
	p.mu.Unlock()
	p.publish()
}

// A list whose key is no longer in the ring, or another one of that name, is not believed
// any more: whoever has the key could have made it. It is fetched again at once, all of it.
func TestClientDropsAListWithItsKey(t *testing.T) {
	for name, after := range map[string]string{"another key": keyB, "the same id": keyAOther} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, c, file := openWith(t, keyA)
				p.publish(17)
				expect(t, c, 17, true)
				synctest.Wait()
				p.requests()
				p.signWith(file.read(t, after))
				expectUnknown(t, c, uri)
				synctest.Wait()
				asked := p.requests()
				if len(asked) == 0 || asked[0].Header.Get("If-None-Match") != "" {
					t.Fatalf("asked %d times, and not for all of it", len(asked))
				}
				expect(t, c, 17, false)
			})
		})
	}
}

// Until there is a list of another key nothing is known, and however many ask, the server
// is not asked more than twice a second. It cannot make the list good again by a 304.
func TestClientWaitsForAListOfAnotherKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, c, file := openWith(t, keyA)
		expect(t, c, 17, false)
		synctest.Wait()
		p.requests()
		before := p.ring
		p.signWith(file.read(t, keyB))
		p.signWith(before) // it has not looked at its file yet
		for range 200 {
			expectUnknown(t, c, uri)
			time.Sleep(10 * time.Millisecond)
		}
		p.instead(func(*http.Request) *http.Response { return respond(http.StatusNotModified, "") })
		for range 100 {
			expectUnknown(t, c, uri)
			time.Sleep(10 * time.Millisecond)
		}
		if n := len(p.requests()); n > 8 {
			t.Errorf("asked %d times in 3 seconds", n)
		}
		p.instead(nil)
		p.signWith(file.Current())
		time.Sleep(time.Second)
		expect(t, c, 17, false)
	})
}

// A 304 that was on its way when the key ended confirms nothing.
func TestClientAsksAgainWhereTheKeyEndsMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, c, file := openWith(t, keyA)
		p.list.TTL = time.Second
		expect(t, c, 17, false)
		p.instead(func(*http.Request) *http.Response {
			file.read(t, keyB)
			return respond(http.StatusNotModified, "")
		})
		time.Sleep(3 * time.Second)
		if s := c.Stats(); s.Failures == 0 || s.Oldest < 3*time.Second {
			t.Errorf("%+v, but the key of the list has ended", s)
		}
		expectUnknown(t, c, uri)
	})
}

// A key of whatever kind is the same when its file has been read anew.
func TestClientKnowsAKeyAgain(t *testing.T) {
	for _, algorithm := range keyring.Algorithms {
		synctest.Test(t, func(t *testing.T) {
			set, err := keyring.Generate(algorithm, start.Add(-time.Hour), rand.Reader)
			must(t, set, err)
			p, c, file := openWith(t, keyA)
			for range 2 {
				ring, err := keyring.Parse(set)
				p.signWith(must(t, ring, err))
				file.ring.Store(ring)
				expect(t, c, 17, false)
			}
			synctest.Wait()
			if n := len(p.requests()); n != 1 {
				t.Errorf("%s: fetched %d times", algorithm, n)
			}
		})
	}
}

// Nobody notices when keys are added to the file, nor when the old one is given an end
// before which there is a list of the new one; beyond it the list does not answer.
func TestClientDuringARotation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, c, file := openWith(t, keyA)
		p.list.TTL = time.Second
		p.publish(17)
		expect(t, c, 17, true)
		p.requests()
		ring := file.read(t, fmt.Sprintf("%s:%d", keyA, start.Add(36*time.Minute).Unix()), keyB)
		for range 100 {
			expect(t, c, 17, true)
			time.Sleep(50 * time.Millisecond)
		}
		for _, r := range p.requests() {
			if r.Header.Get("If-None-Match") == "" {
				t.Fatal("the list was fetched again where its key is still good")
			}
		}
		if s := c.Stats(); s.Failures != 0 {
			t.Errorf("%+v", s)
		}
		time.Sleep(35*time.Minute + 54*time.Second) // a second before the end
		expect(t, c, 17, true)
		p.instead(down)
		time.Sleep(time.Minute)
		expectUnknown(t, c, uri)
		p.instead(nil)
		p.signWith(ring) // of which the second key signs now
		time.Sleep(time.Second)
		expect(t, c, 17, false)
	})
}
