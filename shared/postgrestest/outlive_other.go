//go:build !linux

package postgrestest

import "syscall"

// dieWithParent does nothing where the kernel has no such thing: there a test program
// that is killed leaves its server behind.
func dieWithParent(*syscall.SysProcAttr) {}
