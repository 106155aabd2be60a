package token

import (
	"crypto/sha256"
	"sync"
)

// digest stands for a token in the cache, so that a dump of the memory holds no
// token that could be used.
type digest [sha256.Size]byte

// digestOf copies a token of usual length to the stack: converting the string would
// put half a kilobyte on the heap at every request.
func digestOf(raw string) digest {
	var usual [1 << 10]byte
	if len(raw) > len(usual) {
		return sha256.Sum256([]byte(raw))
	}
	return sha256.Sum256(usual[:copy(usual[:], raw)])
}

// cache remembers verified tokens, at most size of them (one more if size is odd),
// in two generations: when the young one is full it becomes the old one, and the
// old one is dropped. What is asked for moves back to the young one, so tokens in
// use stay. A hit in the young generation takes a read lock and changes nothing,
// which is what keeps it cheap on many cores.
type cache struct {
	half int // how many entries a generation holds; 0 turns the cache off

	mu         sync.RWMutex
	young, old map[digest]verified
}

func newCache(size int) *cache {
	return &cache{half: (size + 1) / 2, young: map[digest]verified{}}
}

func (c *cache) get(d digest) (verified, bool) {
	c.mu.RLock()
	v, young := c.young[d]
	old := false
	if !young {
		v, old = c.old[d]
	}
	c.mu.RUnlock()
	if old {
		c.put(d, v)
	}
	return v, young || old
}

func (c *cache) put(d digest, v verified) {
	if c.half == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.young[d]; !ok && len(c.young) >= c.half {
		c.old, c.young = c.young, map[digest]verified{}
	}
	c.young[d] = v
}

// len returns how many tokens are remembered.
func (c *cache) len() int {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return len(c.young) + len(c.old)
}
