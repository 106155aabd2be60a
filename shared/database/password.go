package database

import (
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
)

// maxPasswordFile limits the file of a password, in bytes.
const maxPasswordFile = 4 << 10

// OpenPasswordFile returns a function that returns the password in a file, without the line break at its end, or "" if
// the path is empty. It is safe for concurrent use. The function reads the file each time, since it may be replaced. A
// pipe can be read only once, so its password stays the same. Neither waits for a pipe that nobody writes to.
func OpenPasswordFile(path string) (password func() (string, error), err error) {
	if path == "" {
		return func() (string, error) { return "", nil }, nil
	}
	first, regular, err := readPassword(path)
	if err != nil {
		return nil, err
	}
	return func() (string, error) {
		if !regular {
			return first, nil
		}
		again, _, err := readPassword(path)
		return again, err
	}, nil
}

// readPassword returns the password in a file, and whether that is a regular file.
func readPassword(path string) (password string, regular bool, err error) {
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return "", false, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return "", false, err
	}
	text, err := io.ReadAll(io.LimitReader(file, maxPasswordFile+1))
	if err != nil {
		return "", false, err
	}
	password = strings.TrimRight(string(text), "\r\n")
	switch {
	case password == "":
		return "", false, fmt.Errorf("%s is empty", path)
	case len(text) > maxPasswordFile:
		return "", false, fmt.Errorf("%s has more than %d bytes", path, maxPasswordFile)
	}
	return password, info.Mode().IsRegular(), nil
}
