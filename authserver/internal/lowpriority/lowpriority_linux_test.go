package lowpriority_test

import (
	"runtime"
	"sync"
	"syscall"
	"testing"
)

// niceOfThread returns the nice value of the thread that calls it.
func niceOfThread(t *testing.T) int {
	t.Helper()
	priority, err := syscall.Getpriority(syscall.PRIO_PROCESS, 0)
	if err != nil {
		t.Error(err)
	}
	return 20 - priority // the system call returns 20 - nice
}

func TestWorkIsNiceAndOtherGoroutinesAreNot(t *testing.T) {
	before := niceOfThread(t)
	workers := start(t, 2, 1)
	workers.Do(func() {
		if got := niceOfThread(t); got != before+1 {
			t.Errorf("a worker has the nice value %d, want %d", got, before+1)
		}
	})
	var others sync.WaitGroup
	for range 50 { // more than there are threads, so new ones start too
		others.Go(func() {
			runtime.LockOSThread()
			if got := niceOfThread(t); got != before {
				t.Errorf("another goroutine has the nice value %d, want %d", got, before)
			}
		})
	}
	others.Wait()
}
