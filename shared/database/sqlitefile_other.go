//go:build !linux

package database

import (
	"fmt"
	"io"
)

// LockDamagedSQLite fails: only Linux has locks that conflict with those of SQLite in every case.
func LockDamagedSQLite(path string) (io.Closer, error) {
	return nil, fmt.Errorf("%s is damaged, so whether a server uses it cannot be checked: "+
		"stop the servers, and remove the file", path)
}
