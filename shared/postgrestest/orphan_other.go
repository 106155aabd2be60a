//go:build !linux

package postgrestest

import "syscall"

// dieWithParent does nothing: only Linux can tie one process to another. Elsewhere a
// program that is killed before it calls Close leaves its server running.
func dieWithParent(*syscall.SysProcAttr) {}
