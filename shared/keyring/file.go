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

// maxFile bounds a JWK Set, in bytes: some hundreds of keys.
const maxFile = 256 << 10

// watchInterval is how often Watch stats a keys file, and so how long a rotation takes to take effect.
const watchInterval = 2 * time.Second

// ErrPermissions reports a keys file that users other than its owner and group can access.
var ErrPermissions = errors.New("others can read or change the file")

// File is a Source that follows a JWK Set in a file. It is safe for concurrent use.
type File struct {
	path   string
	checks []Check
	ring   atomic.Pointer[Ring]
	last   os.FileInfo // of the file that was read last; used only by Open and Watch
}

// Check returns an error if a ring must not be used. It is called by one goroutine at a time.
type Check func(*Ring) error

// Open reads the file. It fails if the file is missing, if users other than its owner and group can
// access it, if Parse refuses it, or if a check does. The checks also run each time that Watch reads
// the file. The error does not name the path.
func Open(path string, checks ...Check) (*File, error) {
	f := &File{path: path, checks: checks}
	if _, err := f.reload(); err != nil {
		return nil, err
	}
	return f, nil
}

// Current returns the ring that was read last without an error.
func (f *File) Current() *Ring { return f.ring.Load() }

// Watch reads the file again whenever it has changed, until ctx ends. It looks every 2 seconds. If
// the file cannot be used, it logs the error and keeps the current ring. Call it once.
func (f *File) Watch(ctx context.Context, log *slog.Logger) {
	tick := time.NewTicker(watchInterval)
	defer tick.Stop()
	failing := "" // the last error, which is logged once
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		changed, err := f.reload()
		switch {
		case err != nil && err.Error() != failing:
			log.ErrorContext(ctx, "keys file not usable: the keys read last stay in use", "file", f.path, "error", err)
			failing = err.Error()
		case err == nil && (changed || failing != ""):
			log.InfoContext(ctx, "keys file read", "file", f.path, "keys", f.Current().Len())
			failing = ""
		}
	}
}

// reload reads the file if it has changed.
func (f *File) reload() (changed bool, err error) {
	info, err := os.Stat(f.path)
	if err != nil {
		return false, withoutPath(err)
	}
	if f.last != nil && sameFile(info, f.last) {
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
	f.last = info
	return true, nil
}

// sameFile reports whether a file has not changed, as far as its metadata shows.
func sameFile(a, b os.FileInfo) bool {
	return os.SameFile(a, b) && a.ModTime().Equal(b.ModTime()) && a.Size() == b.Size() && a.Mode() == b.Mode()
}

func readFile(path string) (*Ring, error) {
	// Without O_NONBLOCK, opening a pipe would wait for its writer.
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, withoutPath(err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, withoutPath(err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%w: it is not a regular file", ErrBadRing)
	}
	if mode := info.Mode().Perm(); mode&0o027 != 0 {
		return nil, fmt.Errorf("%w (its mode is %04o): run chmod 600 on it, or 640 for a group of its own",
			ErrPermissions, mode)
	}
	data, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err != nil {
		return nil, withoutPath(err)
	}
	if len(data) > maxFile {
		return nil, fmt.Errorf("%w: it is larger than %d bytes", ErrBadRing, maxFile)
	}
	return Parse(data)
}

// withoutPath drops the path from err: the caller names it, once.
func withoutPath(err error) error {
	var pathError *fs.PathError
	if errors.As(err, &pathError) {
		return pathError.Err
	}
	return err
}
