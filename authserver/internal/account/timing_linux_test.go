package account_test

import (
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
)

// CHECKLIST 15: every way to be refused costs the same work, whatever the cost is of
// the hash that the user happens to have. It is measured in the CPU time of the
// thread, which other programs of the machine do not change, at a cost that is far
// above all else a login does.
func TestRefusalsCostTheSame(t *testing.T) {
	const cost = 6
	t.Run("at the cost of the settings", func(t *testing.T) {
		h := newHouse(t)
		h.Hasher = newHasher(t, cost)
		refusalsCostTheSame(h, cost)
	})
	t.Run("after it was lowered", func(t *testing.T) {
		h := newHouse(t)
		h.Hasher = newHasher(t, bcrypt.MinCost)
		h.add("from before", cost)
		if _, err := h.Check(t.Context(), account.Attempt{Username: "from before", Password: right}); err != nil {
			t.Fatal(err)
		}
		refusalsCostTheSame(h, cost)
	})
}

// refusalsCostTheSame checks it with users whose hashes have this cost, or less.
func refusalsCostTheSame(h *house, cost int) {
	h.t.Helper()
	h.add("current", cost)
	h.add("weak", bcrypt.MinCost)
	h.add("weaker", cost-1)
	h.add("disabled", cost)
	h.add("disabled and weak", bcrypt.MinCost)
	h.addHash("broken", "not a hash")
	for _, username := range []string{"disabled", "disabled and weak"} {
		if err := h.store.DisableUser(h.t.Context(), username, h.now); err != nil {
			h.t.Fatal(err)
		}
	}
	base := cpuTime(h, "current", wrong)
	for _, tt := range []struct{ username, password string }{
		{"nobody", wrong}, {"nobody", strings.Repeat("x", 100)}, {"current", strings.Repeat("x", 100)},
		{"weak", wrong}, {"weak", strings.Repeat("x", 100)}, {"weaker", wrong}, {"broken", wrong},
		{"disabled", right}, {"disabled", wrong}, {"disabled and weak", right}, {"disabled and weak", wrong},
	} {
		if ratio := float64(cpuTime(h, tt.username, tt.password)) / float64(base); ratio < 0.7 || ratio > 1.4 {
			h.t.Errorf("%s with %q costs %.2f of a wrong password", tt.username, tt.password, ratio)
		}
	}
}

// cpuTime returns the CPU time that a refused login takes, the least of some.
func cpuTime(h *house, username, password string) time.Duration {
	h.t.Helper()
	runtime.LockOSThread() // bcrypt runs in the goroutine of the caller
	defer runtime.UnlockOSThread()
	least := time.Hour
	for range 3 {
		before := threadTime(h.t)
		if _, err := h.Check(h.t.Context(), account.Attempt{Username: username, Password: password}); err == nil || waitOf(err) > 0 {
			h.t.Fatalf("%s with %q: %v", username, password, err)
		}
		least = min(least, threadTime(h.t)-before)
	}
	return least
}

func threadTime(t *testing.T) time.Duration {
	t.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_THREAD, &usage); err != nil {
		t.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
