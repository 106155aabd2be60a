package statuslist

import (
	"testing"
	"time"

	"github.com/hallpass-auth/hallpass/shared/keyring"
)

// A copy grows with the number of different lists, not with the number of fetches.
func TestMergeIsBounded(t *testing.T) {
	ring, err := keyring.FromSecret("0123456789abcdef0123456789abcdef")
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)
	key, err := ring.Signer(now)
	if err != nil {
		t.Fatal(err)
	}
	c := &Client{cfg: Config{Keys: ring}}
	var h *cachedList
	for n := range 1000 {
		list := NewList(64)
		list.Revoke(int64(n % 3))
		at := now.Add(time.Duration(n) * 10 * time.Millisecond).Truncate(time.Second)
		next := newPublishedList(Token{IssuedAt: at, ExpiresAt: now.Add(time.Hour), List: list, Key: key}, "", at)
		if h, err = c.merge(h, next, at); err != nil {
			t.Fatal(err)
		}
		if got := len(h.lists); got > 3 {
			t.Fatalf("%d lists after %d fetches from three servers", got, n+1)
		}
	}
	if len(h.lists) != 3 {
		t.Errorf("%d lists from three servers that differ", len(h.lists))
	}
}
