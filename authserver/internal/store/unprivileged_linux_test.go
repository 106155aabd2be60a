package store_test

import (
	"os"
	"runtime"
	"syscall"
	"testing"
)

// unprivileged runs work as a user that file permissions apply to. Tests in a container run as
// root, to which they do not.
func unprivileged(t *testing.T, work func()) {
	t.Helper()
	if os.Geteuid() != 0 {
		work()
		return
	}
	const nobody = 65534
	runtime.LockOSThread() // Setfsuid changes the current thread only
	defer runtime.UnlockOSThread()
	if err := syscall.Setfsuid(nobody); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := syscall.Setfsuid(0); err != nil {
			t.Fatal(err)
		}
	}()
	work()
}
