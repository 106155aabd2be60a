//go:build unix

package main

import (
	"errors"
	"os"
	"syscall"
)

// lockable says that this system has the file modes and locks that the program uses.
const lockable = true

// lock waits until no other process has locked the file, and locks it until it is closed.
func lock(file *os.File) error {
	for {
		err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX)
		if !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}
