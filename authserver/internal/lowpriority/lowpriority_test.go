package lowpriority_test

import (
	"runtime"
	"sync"
	"testing"

	"github.com/hallpass-auth/hallpass/authserver/internal/lowpriority"
)

// start starts workers and restores GOMAXPROCS at the end of the test.
func start(t *testing.T, n, nice int) *lowpriority.Workers {
	t.Helper()
	procs := runtime.GOMAXPROCS(0)
	t.Cleanup(func() { runtime.GOMAXPROCS(procs) })
	return lowpriority.Start(n, nice)
}

func TestWorkersLeaveGOMAXPROCSToOtherGoroutines(t *testing.T) {
	before := runtime.GOMAXPROCS(0)
	start(t, 3, 5)
	if got := runtime.GOMAXPROCS(0); got != before+3 {
		t.Errorf("GOMAXPROCS is %d, want %d more than %d", got, 3, before)
	}
}

func TestAllWorkersRunAtOnce(t *testing.T) {
	workers := start(t, 3, 5)
	var together, done sync.WaitGroup
	together.Add(3)
	for range 3 {
		done.Go(func() {
			workers.Do(func() { together.Done(); together.Wait() })
		})
	}
	done.Wait()
}

// net/http recovers from the panic of a handler, and the worker goes on.
func TestPanicReachesTheCaller(t *testing.T) {
	for name, workers := range map[string]*lowpriority.Workers{"one worker": start(t, 1, 5), "none": nil} {
		for range 2 {
			func() {
				defer func() {
					if got := recover(); got != "panic of the test" {
						t.Errorf("%s: recovered %v", name, got)
					}
				}()
				workers.Do(func() { panic("panic of the test") })
			}()
		}
		ran := false
		if workers.Do(func() { ran = true }); !ran {
			t.Errorf("%s: work did not run", name)
		}
	}
}
