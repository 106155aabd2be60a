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

// keyFile is a source whose ring changes like that of a keys file. The keys of each ring are new
// pointers.
type keyFile struct{ ring atomic.Pointer[keyring.Ring] }

func (f *keyFile) Current() *keyring.Ring { return f.ring.Load() }

// read gives f new secrets. Each is written as id:secret or id:secret:exp.
func (f *keyFile) read(t *testing.T, keys ...string) *keyring.Ring {
	t.Helper()
	jwks := make([]string, len(keys))
	for i, key := range keys {
		parts := append(strings.Split(key, ":"), "")
		secret := base64.RawURLEncoding.EncodeToString([]byte(parts[1]))
		jwks[i] = fmt.Sprintf(`{"kty":"oct","kid":%q,"k":%q`, parts[0], secret)
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

// openWith is open with a keyFile. The list has a ttl of an hour, so that only a changed key causes a
// fetch.
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

// signWith makes the publisher sign with another ring, so that its list has another ETag.
func (p *publisher) signWith(ring *keyring.Ring) {
	p.mu.Lock()
	p.ring = ring
	p.mu.Unlock()
	p.publish()
}

// A list whose key was removed or replaced is no longer used, since a thief of the key could have signed
// it. It is fetched again at once, without If-None-Match.
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
					t.Fatalf("%d requests, or with If-None-Match", len(asked))
				}
				expect(t, c, 17, false)
			})
		})
	}
}

// Until there is a list signed with another key, nothing is known, and the server gets at most two
// requests a second. A 304 does not help.
func TestClientWaitsForAListOfAnotherKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, c, file := openWith(t, keyA)
		expect(t, c, 17, false)
		synctest.Wait()
		p.requests()
		before := p.ring
		p.signWith(file.read(t, keyB))
		p.signWith(before) // it has not read its file yet
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
			t.Errorf("%d requests in 3 seconds", n)
		}
		p.instead(nil)
		p.signWith(file.Current())
		time.Sleep(time.Second)
		expect(t, c, 17, false)
	})
}

// A 304 is ignored if the key has ended since the request was sent.
func TestClientIgnores304AfterKeyEnds(t *testing.T) {
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

// A key that was read again from its file is the same key, for every algorithm.
func TestClientAcceptsEqualKeys(t *testing.T) {
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

// A list stays in use when keys are added to the file, and until the old key ends.
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
				t.Fatal("the list was fetched again while its key verifies")
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
		p.signWith(ring) // the second key signs now
		time.Sleep(time.Second)
		expect(t, c, 17, false)
	})
}
