package store_test

import (
	"os"
	"runtime"
	"syscall"
	"testing"
)

// unprivileged runs work as somebody whom file permissions bind. They do not bind
// root, as whom tests in a container run.
func unprivileged(t *testing.T, work func()) {
	t.Helper()
	if os.Geteuid() != 0 {
		work()
		return
	}
	const nobody = 65534
	runtime.LockOSThread() // the file system's user is one of the thread
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
