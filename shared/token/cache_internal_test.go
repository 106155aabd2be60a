package token

import (
	"strings"
	"testing"
	"unsafe"
)

// A token comes as a piece of a request's memory, all of which would be kept for as long as
// the token is remembered.
func TestCacheKeepsNoMemoryOfItsCaller(t *testing.T) {
	request := strings.Repeat("x", 1<<10) + "header.claims.signature"
	raw := request[1<<10:]
	c := newCache(2)
	c.put(takeApart(raw), verified{})
	for _, e := range c.young {
		if e.signed != "header.claims" || unsafe.StringData(e.signed) == unsafe.StringData(raw) {
			t.Errorf("%q is remembered in the memory of the request", e.signed)
		}
	}
	if c.len() != 1 {
		t.Errorf("%d tokens are remembered, not 1", c.len())
	}
}
