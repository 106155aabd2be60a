//go:build !unix

package main

import "os"

// lockable says that this system has the file modes and locks that the program uses.
const lockable = false

// lock does nothing. Processes that refresh at once get the same tokens anyway, within the server's
// grace period.
func lock(*os.File) error { return nil }
