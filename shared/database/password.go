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

// ReadPasswordFile returns the password in a file, without the line break at its end, or "" if the path is
// empty. It does not wait for a pipe that nobody writes to.
func ReadPasswordFile(path string) (string, error) {
	if path == "" {
		return "", nil
	}
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return "", err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxPasswordFile+1))
	if err != nil {
		return "", err
	}
	password := strings.TrimRight(string(text), "\r\n")
	switch {
	case password == "":
		return "", fmt.Errorf("%s is empty", path)
	case len(text) > maxPasswordFile:
		return "", fmt.Errorf("%s has more than %d bytes", path, maxPasswordFile)
	}
	return password, nil
}
