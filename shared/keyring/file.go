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

// How often Watch checks the file.
const (
	watchInterval = 2 * time.Second  // for changes; bounds how long a rotation takes to take effect
	watchRetry    = 10 * time.Second // after a failure, if the file has not changed
)

// ErrPermissions reports a keys file that users other than its owner and group can access.
var ErrPermissions = errors.New("others can read or change the file")

// File is a Source that follows a JWK Set in a file. It is safe for concurrent use.
type File struct {
	path   string
	checks []Check
	ring   atomic.Pointer[Ring]
	loads  loads

	// What the last attempt found; used only by Open and Watch.
	last    os.FileInfo // nil if the file could not be found
	lastErr error
	lastAt  time.Time
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

// Current returns the ring that was last read without an error. Health says whether the file still can
// be read.
func (f *File) Current() *Ring { return f.ring.Load() }

// Health returns whether the file can be read and when the current keys run out.
func (f *File) Health() Health { return f.loads.healthOf(f.Current()) }

// Pending reports whether the last attempt to read the file failed. An unknown kid may then name a key
// in the file, so a token with that kid cannot be refused yet.
func (f *File) Pending() bool { return f.Health().Err != nil }

// Watch checks the file every 2 seconds and reads it again when it has changed, until ctx ends. If the
// file cannot be used, the current ring stays in use. Watch then retries every 10 seconds and logs each
// failure. Call it once.
func (f *File) Watch(ctx context.Context, log *slog.Logger) {
	tick := time.NewTicker(watchInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		failing := f.lastErr != nil
		tried, err := f.reload()
		switch {
		case err != nil && tried:
			attributes := []any{"file", f.path, "error", err}
			if end := f.Health().End; !end.IsZero() {
				attributes = append(attributes, "keys_end", end)
			}
			log.ErrorContext(ctx, "keys file not usable: the keys read last stay in use", attributes...)
		case err == nil && (tried || failing):
			log.InfoContext(ctx, "keys file read", "file", f.path, "keys", f.Current().Len())
		}
	}
}

// reload reads the file if it has changed or watchRetry after a failure, and reports whether it tried.
// If it did not, the error is that of the last attempt.
func (f *File) reload() (tried bool, err error) {
	info, err := os.Stat(f.path)
	if err != nil {
		info = nil
	}
	now := time.Now()
	unchanged := info == nil && f.last == nil || info != nil && f.last != nil && sameFile(info, f.last)
	switch {
	case !f.lastAt.IsZero() && unchanged && f.lastErr == nil:
		f.loads.succeeded()
		return false, nil
	case !f.lastAt.IsZero() && unchanged && now.Sub(f.lastAt) < watchRetry:
		return false, f.lastErr
	}
	var rejected *Ring
	if err == nil {
		rejected, err = f.read()
	}
	f.last, f.lastErr, f.lastAt = info, withoutPath(err), now
	if err != nil {
		f.loads.failed(f.lastErr, rejected)
		return true, f.lastErr
	}
	f.loads.succeeded()
	return true, nil
}

// read makes the file's ring the current one. If a check refuses the ring, read returns it with the error.
func (f *File) read() (rejected *Ring, err error) {
	ring, err := readFile(f.path)
	if err != nil {
		return nil, err
	}
	for _, check := range f.checks {
		if err := check(ring); err != nil {
			return ring, err
		}
	}
	f.ring.Store(ring)
	return nil, nil
}

// sameFile reports whether the metadata of a file is unchanged.
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

// withoutPath removes the path from err, because the caller adds it.
func withoutPath(err error) error {
	var pathError *fs.PathError
	if errors.As(err, &pathError) {
		return pathError.Err
	}
	return err
}
