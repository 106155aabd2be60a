//go:build unix

package httpserver

import (
	"math"
	"syscall"
)

// openFiles returns how many files and connections the process may have open at once.
func openFiles() int64 {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return math.MaxInt64
	}
	return int64(min(uint64(limit.Cur), math.MaxInt64)) //nolint:unconvert // Cur is signed on some systems
}
