//go:build !unix

package httpserver

import "math"

// openFiles returns how many files and connections the process may have open at once.
func openFiles() int64 { return math.MaxInt64 }
