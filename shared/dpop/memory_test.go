package dpop_test

import (
	"crypto/sha256"
	"errors"
	"strconv"
	"testing"
	"time"

	"github.com/hallpass-auth/hallpass/shared/dpop"
)

// use uses a proof with a number.
func use(t testing.TB, m *dpop.Memory, number int, now time.Time) error {
	t.Helper()
	return m.Use(t.Context(), sha256.Sum256([]byte(strconv.Itoa(number))), time.Time{}, now)
}

// A proof is remembered for at least 65 seconds, as long as it can be valid, and forgotten later.
func TestMemoryForgets(t *testing.T) {
	for offset := range 130 {
		m := dpop.NewMemory(1000)
		if err := use(t, m, 0, start); err != nil {
			t.Fatal(err)
		}
		used := start.Add(time.Duration(offset) * time.Second)
		if err := use(t, m, 1, used); err != nil {
			t.Fatal(err)
		}
		for second := range 65 {
			if err := use(t, m, 1, used.Add(time.Duration(second)*time.Second)); !errors.Is(err, dpop.ErrReplayed) {
				t.Fatalf("used after %d s, again %d s later: %v", offset, second, err)
			}
		}
		if err := use(t, m, 1, used.Add(3*time.Minute)); err != nil {
			t.Errorf("three minutes later: %v", err)
		}
	}
}

// The memory is bounded. When it is full, new proofs are refused until old ones have expired, and those that were
// used stay refused.
func TestMemoryIsBounded(t *testing.T) {
	m := dpop.NewMemory(10)
	for i := range 10 {
		if err := use(t, m, i, start); err != nil {
			t.Fatal(err)
		}
	}
	if err := use(t, m, 10, start.Add(time.Minute)); !errors.Is(err, dpop.ErrFull) {
		t.Errorf("when it is full: %v", err)
	}
	if err := use(t, m, 3, start.Add(time.Minute)); !errors.Is(err, dpop.ErrReplayed) {
		t.Errorf("a used one when it is full: %v", err)
	}
	if err := use(t, m, 10, start.Add(3*time.Minute)); err != nil {
		t.Errorf("later: %v", err)
	}
}
