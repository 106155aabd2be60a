package e2e_test

import (
	"math"
	"strings"
	"syscall"
	"testing"
	"unsafe"
)

// limitFiles limits the size of files that the process may write, as a full disk does, and
// returns a function that lifts the limit.
func (p *process) limitFiles(t *testing.T) (lift func()) {
	t.Helper()
	set := func(size uint64) {
		limit := syscall.Rlimit{Cur: size, Max: math.MaxUint64}
		_, _, errno := syscall.RawSyscall6(syscall.SYS_PRLIMIT64, uintptr(p.cmd.Process.Pid), syscall.RLIMIT_FSIZE,
			uintptr(unsafe.Pointer(&limit)), 0, 0, 0)
		if errno != 0 {
			t.Fatalf("prlimit: %v", errno)
		}
	}
	set(0)
	return func() { set(math.MaxUint64) }
}

// A server whose disk is full is not ready, and says why. It is ready again when there is
// room.
func TestReadinessNoticesAFullDisk(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.startAuthserver(t)
	lift := s.authserver.limitFiles(t)
	waitFor(t, "the server not to be ready", func() bool { return !isReady(s.authAdmin) }, s.authserver)
	got := send(t, "http://"+s.authAdmin, get("/readyz"))
	if want := "not ready: database unavailable: write: "; got.status != 503 || !strings.HasPrefix(got.body, want) {
		t.Errorf("/readyz: %d %s", got.status, got.body)
	}
	if got := send(t, "http://"+s.authAdmin, get("/healthz")); got.status != 200 {
		t.Errorf("/healthz: %d %s", got.status, got.body)
	}
	lift()
	waitFor(t, "the server to be ready", func() bool { return isReady(s.authAdmin) }, s.authserver)
	s.authserver.stop(t)
}
