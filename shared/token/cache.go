package token

import (
	"crypto/sha256"
	"strings"
	"sync"
)

// digest stands for the signature of a token in the cache, so that a dump of the memory
// holds no token that could be used.
type digest [sha256.Size]byte

// taken is a token taken apart: what was signed, and a digest of the signature. The one is
// compared as it is, since a digest of some six hundred bytes would cost more than all else
// that a hit takes.
type taken struct {
	signed    string
	signature digest
}

// takeApart copies a signature of usual length to the stack: converting the string would
// put it on the heap at every request.
func takeApart(raw string) taken {
	dot := max(strings.LastIndexByte(raw, '.'), 0)
	var usual [512]byte
	signature := raw[dot:]
	if len(signature) > len(usual) {
		return taken{raw[:dot], sha256.Sum256([]byte(signature))}
	}
	return taken{raw[:dot], sha256.Sum256(usual[:copy(usual[:], signature)])}
}

// cache remembers verified tokens, at most size of them (one more if size is odd),
// in two generations: when the young one is full it becomes the old one, and the
// old one is dropped. What is asked for moves back to the young one, so tokens in
// use stay. A hit in the young generation takes a read lock and changes nothing,
// which is what keeps it cheap on many cores.
type cache struct {
	half int // how many entries a generation holds; 0 turns the cache off

	mu         sync.RWMutex
	young, old map[digest]entry // by the signature
}

func newCache(size int) *cache {
	return &cache{half: (size + 1) / 2, young: map[digest]entry{}}
}

// entry is what is remembered of a token.
type entry struct {
	verified
	signed string
}

// get returns what is remembered of a token, all of which must be the same.
func (c *cache) get(t taken) (verified, bool) {
	c.mu.RLock()
	e, young := c.young[t.signature]
	old := false
	if !young {
		e, old = c.old[t.signature]
	}
	c.mu.RUnlock()
	if e.signed != t.signed || !young && !old {
		return verified{}, false
	}
	if old {
		c.put(t, e.verified)
	}
	return e.verified, true
}

func (c *cache) put(t taken, v verified) {
	if c.half == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.young[t.signature]; !ok && len(c.young) >= c.half {
		c.old, c.young = c.young, map[digest]entry{}
	}
	c.young[t.signature] = entry{v, strings.Clone(t.signed)} // a clone, or it would keep the memory of a whole request
}

// len returns how many tokens are remembered.
func (c *cache) len() int {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return len(c.young) + len(c.old)
}
