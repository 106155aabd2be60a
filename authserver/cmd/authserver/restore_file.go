package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/hallpass-auth/hallpass/shared/database"
	"github.com/hallpass-auth/hallpass/shared/program"

	"github.com/hallpass-auth/hallpass/authserver/internal/keyfile"
)

// besides are the endings of files that SQLite keeps beside a database.
var besides = []string{"-wal", "-shm", "-journal"}

// putBack puts the copy in the place of the database. The epoch begins in a file beside it, so that the
// database is the previous one until the copy is ready.
func (c *restoreCommand) putBack(ctx context.Context, streams program.Streams) error {
	target, ok := database.SQLitePath(c.DatabaseURL)
	if !ok {
		return program.WithCode(program.ExitUsage, fmt.Errorf("restore FILE %w", errOnlySQLite))
	}
	target, previous, err := c.checkTarget(target)
	if err != nil {
		return err
	}
	if previous != nil {
		lock, err := lockPrevious(ctx, target, previous)
		if err != nil {
			return err
		}
		defer lock.Close()
	}
	next, err := copyBeside(c.File, target)
	if err != nil {
		return err
	}
	defer next.discard()
	d := c.Database
	d.DatabaseURL = "sqlite:" + next.path
	if err := c.begin(ctx, streams, d); err != nil {
		return fmt.Errorf("%s was not put back: %w", c.File, err)
	}
	if err := next.keep(previous); err != nil {
		return err
	}
	if err := next.install(previous != nil); err != nil {
		return err
	}
	fmt.Fprintf(streams.Out, "%s: restored\n", target)
	return nil
}

// checkTarget resolves the path of the database and returns what is there, or nil. It fails if that must
// not be replaced, or if the copy is incomplete.
func (c *restoreCommand) checkTarget(path string) (target string, previous fs.FileInfo, err error) {
	file, err := keyfile.Regular(c.File)
	if err != nil {
		return "", nil, err
	}
	for _, ending := range []string{"-wal", "-journal"} {
		if changes, err := os.Stat(c.File + ending); err == nil && changes.Size() > 0 {
			return "", nil, fmt.Errorf("%s%s has changes that are not in %s yet: make the copy with 'authserver backup'",
				c.File, ending, c.File)
		}
	}
	previous, err = os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		target, err = resolveMissing(path)
		return target, nil, err
	case err != nil:
		return "", nil, err
	case os.SameFile(file, previous):
		return "", nil, program.WithCode(program.ExitUsage, fmt.Errorf(
			"%s is the database itself: write 'authserver restore --new-epoch' for a copy that is in its place", c.File))
	case !previous.Mode().IsRegular():
		return "", nil, fmt.Errorf("%s is not a regular file", path)
	case !c.Overwrite:
		return "", nil, fmt.Errorf("%s %w: write --overwrite to replace it", path, keyfile.ErrExists)
	}
	target, err = filepath.EvalSymlinks(path)
	return target, previous, err
}

// maxLinks limits how many symbolic links are followed, as the kernel does.
const maxLinks = 40

// resolveMissing returns where a file would be created that does not exist: where path points, if it is a symbolic
// link.
func resolveMissing(path string) (string, error) {
	for range maxLinks {
		folder, err := filepath.EvalSymlinks(filepath.Dir(path))
		if err != nil {
			return "", err
		}
		path = filepath.Join(folder, filepath.Base(path))
		next, err := os.Readlink(path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return path, nil
		case errors.Is(err, syscall.EINVAL): // a file was made meanwhile
			return "", fmt.Errorf("%s %w", path, keyfile.ErrExists)
		case err != nil:
			return "", err
		case !filepath.IsAbs(next):
			next = filepath.Join(folder, next)
		}
		path = next
	}
	return "", fmt.Errorf("%s: too many symbolic links", path)
}

// lockPrevious locks the database that is replaced, also if it is damaged, which may be why. It fails if a server
// uses it, or if that cannot be found out.
func lockPrevious(ctx context.Context, target string, previous fs.FileInfo) (lock io.Closer, err error) {
	lock, err = database.LockSQLite(ctx, target)
	if errors.Is(err, database.ErrDamaged) {
		lock, err = database.LockDamagedSQLite(target)
	}
	if err != nil {
		return nil, fmt.Errorf("%s was not changed: %w", target, err)
	}
	locked, err := os.Stat(target)
	if err == nil && !os.SameFile(locked, previous) { // another restore has replaced it
		err = fmt.Errorf("%s was not changed: %w", target, database.ErrInUse)
	}
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return lock, nil
}

// nextDatabase is a copy that takes the place of a database. It is in a folder of its own beside that one, where
// other users cannot put another file. They may be able to replace the folder itself, so the copy is changed by
// its open file, and renamed by names that cannot lead out of the folder of the database.
type nextDatabase struct {
	parent *os.Root // the folder of the database
	target string
	folder string   // in parent
	name   string   // of the copy, in parent
	path   string   // of the copy, for SQLite
	file   *os.File // stays open: to close it would drop the locks of SQLite
}

// copyBeside copies a file to a new one that only its owner can read. The caller must call discard.
func copyBeside(from, target string) (*nextDatabase, error) {
	source, err := os.Open(from)
	if err != nil {
		return nil, err
	}
	defer source.Close()
	parent, err := os.OpenRoot(filepath.Dir(target))
	if err != nil {
		return nil, err
	}
	folder, err := os.MkdirTemp(filepath.Dir(target), "."+filepath.Base(target)+".*.restore")
	if err != nil {
		return nil, errors.Join(err, parent.Close())
	}
	n := &nextDatabase{
		parent: parent,
		target: target,
		folder: filepath.Base(folder),
		name:   filepath.Join(filepath.Base(folder), "copy.db"),
		path:   filepath.Join(folder, "copy.db"),
	}
	if n.file, err = parent.OpenFile(n.name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600); err == nil {
		_, err = io.Copy(n.file, source)
	}
	if err != nil {
		n.discard()
		return nil, err
	}
	return n, nil
}

// discard removes the folder and what is left in it.
func (n *nextDatabase) discard() {
	if n.file != nil {
		_ = n.file.Close()
	}
	_ = n.parent.RemoveAll(n.folder)
	_ = n.parent.Close()
}

// keep gives the copy the owner and the mode of the previous database. Without one, a copy that root makes
// gets the owner of the folder, as whom the server runs. It then syncs the copy to the disk.
func (n *nextDatabase) keep(previous fs.FileInfo) error {
	like := previous
	if previous == nil && os.Geteuid() == 0 {
		var err error
		if like, err = n.parent.Stat("."); err != nil {
			return err
		}
	}
	if like != nil {
		if owner, ok := like.Sys().(*syscall.Stat_t); ok {
			if err := n.file.Chown(int(owner.Uid), int(owner.Gid)); err != nil {
				return err
			}
		}
	}
	if previous != nil {
		if err := n.file.Chmod(previous.Mode().Perm() &^ 0o007); err != nil {
			return err
		}
	}
	return n.file.Sync()
}

// install puts the closed copy in its place. If it overwrites nothing, it returns keyfile.ErrExists if a database was
// made there meanwhile.
func (n *nextDatabase) install(overwrite bool) error {
	if _, err := n.parent.Lstat(n.name + "-wal"); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s-wal was not written to %s: %w", n.path, n.path, err)
	}
	if err := n.checkSame(); err != nil {
		return err
	}
	if !overwrite {
		if err := missing(n.target); err != nil {
			return err
		}
	}
	base := filepath.Base(n.target)
	for _, ending := range besides { // they would be taken for those of the new database
		if err := n.parent.Remove(base + ending); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if overwrite {
		if err := n.parent.Rename(n.name, base); err != nil {
			return err
		}
		return keyfile.SyncFolder(n.target)
	}
	err := n.parent.Link(n.name, base) // unlike Rename, it does not replace a file that was made meanwhile
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s %w", n.target, keyfile.ErrExists)
	}
	if err != nil {
		return fmt.Errorf("%w: if the file system has no hard links, make an empty file %s with mode 600, "+
			"and write --overwrite", err, n.target)
	}
	return errors.Join(n.parent.Remove(n.name), keyfile.SyncFolder(n.target))
}

// checkSame fails if another user has put another file in the place of the copy.
func (n *nextDatabase) checkSame() error {
	named, err := n.parent.Lstat(n.name)
	if err != nil {
		return err
	}
	opened, err := n.file.Stat()
	if err == nil && !os.SameFile(named, opened) {
		err = fmt.Errorf("%s was replaced by another file: let only the server's user write to its folder", n.path)
	}
	return err
}
