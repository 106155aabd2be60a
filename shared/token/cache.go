package token

import (
	"crypto/sha256"
	"strings"
	"sync"
)

// digest is the hash of a token's signature, so that a memory dump of the cache has no usable token.
type digest [sha256.Size]byte

// tokenKey identifies a token in the cache: its signed part, and a digest of its signature. The signed
// part is compared as it is, because hashing its 500 bytes would be most of the cost of a hit.
type tokenKey struct {
	signed    string
	signature digest
}

// newTokenKey returns the cache key of a token. A signature of up to 512 bytes is copied to the stack,
// because converting the string to bytes would allocate on every request.
func newTokenKey(raw string) tokenKey {
	dot := max(strings.LastIndexByte(raw, '.'), 0)
	var buffer [512]byte
	signature := raw[dot:]
	if len(signature) > len(buffer) {
		return tokenKey{raw[:dot], sha256.Sum256([]byte(signature))}
	}
	return tokenKey{raw[:dot], sha256.Sum256(buffer[:copy(buffer[:], signature)])}
}

// cache holds verified tokens in two generations: when the young one is full it becomes the old one,
// and the old one is dropped. A hit in the old generation moves the token to the young one, so tokens
// in use stay. A hit in the young generation only takes a read lock, so that hits on many cores do not
// wait for each other.
type cache struct {
	half int // the size of a generation; 0 disables the cache

	mu         sync.RWMutex
	young, old map[digest]entry // by signature
}

// newCache returns a cache of size tokens, or one more if size is odd.
func newCache(size int) *cache {
	return &cache{half: (size + 1) / 2, young: map[digest]entry{}}
}

// entry is a cached token.
type entry struct {
	verified
	signed string
}

// get returns the token with the key k, if it is cached.
func (c *cache) get(k tokenKey) (verified, bool) {
	c.mu.RLock()
	e, young := c.young[k.signature]
	old := false
	if !young {
		e, old = c.old[k.signature]
	}
	c.mu.RUnlock()
	if e.signed != k.signed || !young && !old {
		return verified{}, false
	}
	if old {
		c.put(k, e.verified)
	}
	return e.verified, true
}

// put adds a token.
func (c *cache) put(k tokenKey, v verified) {
	if c.half == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.young[k.signature]; !ok && len(c.young) >= c.half {
		c.old, c.young = c.young, map[digest]entry{}
	}
	c.young[k.signature] = entry{v, strings.Clone(k.signed)} // a substring would keep the whole header in memory
}

// len returns the number of cached tokens.
func (c *cache) len() int {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return len(c.young) + len(c.old)
}
