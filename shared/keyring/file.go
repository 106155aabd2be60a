package keyring

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"sync/atomic"
	"syscall"
	"time"
)

// maxFile bounds a keys file, in bytes: some hundreds of keys.
const maxFile = 256 << 10

// ErrPermissions says that others than its owner and group can reach a keys file.
var ErrPermissions = errors.New("others can read or change the file")

// File is a Source that follows a JWK Set in a file. It is safe for concurrent
// use.
type File struct {
	path   string
	checks []Check
	ring   atomic.Pointer[Ring]
	seen   os.FileInfo // what the file looked like when it was last read; Watch's own
}

// Check is a condition that a ring must meet beyond being one: its error says which one it
// does not. It is called by one goroutine at a time.
type Check func(*Ring) error

// Open reads the file once. It refuses a file that is missing, that users other
// than its owner and group can reach, that Parse refuses, or that does not pass one of the
// checks, which are made again whenever it is read again.
func Open(path string, checks ...Check) (*File, error) {
	f := &File{path: path, checks: checks}
	if _, err := f.reload(); err != nil {
		return nil, err
	}
	return f, nil
}

// Current returns the ring last read without an error.
func (f *File) Current() *Ring { return f.ring.Load() }

// Watch looks at the file every interval until ctx ends, and makes its new
// content current when it has changed. A file that cannot be used is logged, and
// the ring before it stays. Call it once.
func (f *File) Watch(ctx context.Context, interval time.Duration, log *slog.Logger) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	failing := "" // so that a broken file is logged once, not at every look
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		changed, err := f.reload()
		switch {
		case err != nil && err.Error() != failing:
			log.ErrorContext(ctx, "keys file not usable: the keys read before stay in force", "file", f.path, "error", err)
			failing = err.Error()
		case err == nil && (changed || failing != ""):
			log.InfoContext(ctx, "keys file read", "file", f.path, "keys", f.Current().Len())
			failing = ""
		}
	}
}

// reload reads the file if it is not the one last read.
func (f *File) reload() (changed bool, err error) {
	info, err := os.Stat(f.path)
	if err != nil {
		return false, fileError(err)
	}
	if f.seen != nil && os.SameFile(info, f.seen) && info.ModTime().Equal(f.seen.ModTime()) && info.Size() == f.seen.Size() && info.Mode() == f.seen.Mode() {
		return false, nil
	}
	ring, err := readFile(f.path)
	if err != nil {
		return false, err
	}
	for _, check := range f.checks {
		if err := check(ring); err != nil {
			return false, err
		}
	}
	f.ring.Store(ring)
	f.seen = info
	return true, nil
}

func readFile(path string) (*Ring, error) {
	// Without O_NONBLOCK, opening a pipe would wait for its writer.
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, fileError(err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, fileError(err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%w: it is not a regular file", ErrBadRing)
	}
	if mode := info.Mode().Perm(); mode&0o027 != 0 {
		return nil, fmt.Errorf("%w (its mode is %04o): run chmod 600 on it, or 640 for a group of its own", ErrPermissions, mode)
	}
	data, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err != nil {
		return nil, fileError(err)
	}
	if len(data) > maxFile {
		return nil, fmt.Errorf("%w: it is larger than %d bytes", ErrBadRing, maxFile)
	}
	return Parse(data)
}

// fileError drops the path from err: whoever reports the error names the
// setting and the path, once.
func fileError(err error) error {
	var pathError *fs.PathError
	if errors.As(err, &pathError) {
		return pathError.Err
	}
	return err
}
