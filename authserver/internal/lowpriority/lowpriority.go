// Package lowpriority runs work that needs much CPU time on threads that let others go first.
package lowpriority

import (
	"runtime"
	"syscall"
)

// Workers run functions, each worker one at a time. It is safe for concurrent use. A nil *Workers
// runs functions in the goroutine of the caller.
type Workers struct{ work chan func() }

// Start starts n workers for the rest of the program's life. nice, from 1 to 19, is added to the
// nice value of their threads.
//
// A goroutine that becomes ready while hashes occupy every P of the Go scheduler waits for up to
// 10 ms until one is preempted, and does so several times a request. Start raises GOMAXPROCS by n,
// so that hashes and other goroutines run on threads of their own, and the kernel chooses between
// them. It lets a thread with a lower nice value run first. On two cores, with eight clients that
// log in without pause, this took refreshing a token from 15 ms (99th percentile: 38 ms) to 0.7 ms
// (4 ms). With 5 and with 19 that is nearly the same; but with 19 the workers get almost no CPU
// time while other threads of the control group are busy, and logins time out.
//
// It relies on Linux, where each thread has a nice value, and on LockOSThread: Go runs nothing
// else on a locked thread and starts no threads from it that would inherit the value. On other
// systems the workers have the nice value of the program. Against a CPU quota, which counts the
// time of all threads alike, it does nothing. Once GOMAXPROCS is raised, Go no longer adjusts it
// when the quota changes.
func Start(n, nice int) *Workers {
	w := &Workers{work: make(chan func())}
	runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + n)
	for range n {
		go func() {
			runtime.LockOSThread()
			if runtime.GOOS == "linux" {
				inverse, _ := syscall.Getpriority(syscall.PRIO_PROCESS, 0)        // 20 - nice of this thread
				_ = syscall.Setpriority(syscall.PRIO_PROCESS, 0, 20-inverse+nice) // the kernel caps it
			}
			for work := range w.work {
				work()
			}
		}()
	}
	return w
}

// Do waits for a free worker, which runs work, and returns when work does. A panic of work is
// passed on to the caller.
func (w *Workers) Do(work func()) {
	if w == nil {
		work()
		return
	}
	done := make(chan any, 1)
	w.work <- func() {
		defer func() { done <- recover() }()
		work()
	}
	if reason := <-done; reason != nil {
		panic(reason)
	}
}
