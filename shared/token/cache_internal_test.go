package token

import (
	"strings"
	"testing"
	"unsafe"
)

// A token is a substring of a request, whose memory must be released.
func TestCacheCopiesTokens(t *testing.T) {
	request := strings.Repeat("x", 1<<10) + "header.claims.signature"
	raw := request[1<<10:]
	c := newCache(2)
	c.put(newTokenKey(raw), verified{})
	for _, e := range c.young {
		if e.signed != "header.claims" || unsafe.StringData(e.signed) == unsafe.StringData(raw) {
			t.Errorf("%q is cached in the memory of the request", e.signed)
		}
	}
	if c.len() != 1 {
		t.Errorf("%d tokens are cached, not 1", c.len())
	}
}

// The whole signature counts, also one of RSA with 4096 bits, which has 683 characters.
func TestTokenKey(t *testing.T) {
	for _, length := range []int{1, 43, 342, 510, 511, 512, 683, MaxLength} {
		raw := "header.claims." + strings.Repeat("A", length)
		whole := newTokenKey(raw)
		if whole.signed != "header.claims" || whole != newTokenKey(raw) {
			t.Errorf("of %d characters: %q", length, whole.signed)
		}
		for _, other := range []string{raw[:len(raw)-1], raw[:len(raw)-1] + "B", raw + "A"} {
			if newTokenKey(other).signature == whole.signature {
				t.Errorf("a signature of %d characters has the digest of another", length)
			}
		}
	}
}
