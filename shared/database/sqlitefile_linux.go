package database

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
)

// setLock is F_OFD_SETLK, which package syscall lacks. Such a lock is that of an open file, and conflicts with those
// of SQLite, also in the same process.
const setLock = 37

// The bytes that SQLite locks. Who has a database open in WAL mode holds a shared lock on some in each file.
const (
	pendingByte = 0x40000000 // in the database: followed by the reserved byte and the shared range
	pendingSize = 2 + 510
	shmByte     = 120 // in the file whose name ends in -shm: of readers, writers and who has it open
	shmSize     = 9
)

// openFiles are files that hold locks until Close.
type openFiles []*os.File

// Close closes the files.
func (f openFiles) Close() error {
	var err error
	for _, file := range f {
		err = errors.Join(err, file.Close())
	}
	return err
}

// LockDamagedSQLite locks a file that LockSQLite returned ErrDamaged for, with the locks of SQLite, and without
// reading it. It returns ErrInUse if another process has the database open, and may have read it before it was damaged.
func LockDamagedSQLite(path string) (io.Closer, error) {
	var files openFiles
	for _, part := range []struct {
		path        string
		start, size int64
	}{
		{path, pendingByte, pendingSize},
		{path + "-shm", shmByte, shmSize},
	} {
		file, err := os.OpenFile(part.path, os.O_RDWR|syscall.O_NONBLOCK, 0) // a pipe would block
		if errors.Is(err, fs.ErrNotExist) && part.path != path {
			continue
		}
		if err != nil {
			return nil, errors.Join(err, files.Close())
		}
		files = append(files, file)
		err = syscall.FcntlFlock(file.Fd(), setLock, &syscall.Flock_t{
			Type:  syscall.F_WRLCK,
			Start: part.start,
			Len:   part.size,
		})
		if errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.EACCES) {
			err = ErrInUse
		}
		if err != nil {
			return nil, errors.Join(fmt.Errorf("lock %s: %w", part.path, err), files.Close())
		}
	}
	return files, nil
}
