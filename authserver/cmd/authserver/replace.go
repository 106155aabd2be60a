package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/hallpass-auth/hallpass/shared/program"
)

// replacement is the new content of a file that servers read at any time: it takes the
// place of the old content in one step. The file that it is written to first keeps two
// commands from changing the same file at once.
type replacement struct {
	path    string      // what is replaced; where that is a link, what it leads to
	info    fs.FileInfo // its mode and owner, which stay
	content []byte      // the old content
	next    *os.File    // the new one
}

// startReplacing reads a file to replace it. Call drop in the end.
func startReplacing(path string) (r *replacement, err error) {
	if path, err = filepath.EvalSymlinks(path); err != nil {
		return nil, err
	}
	r = &replacement{path: path}
	if r.info, err = regularFile(path); err != nil {
		return nil, err
	}
	r.next, err = os.OpenFile(path+".new", os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil, program.WithCode(program.ExitConflict, fmt.Errorf("%s.new exists: another command is changing %s, or one was cut off: if none is running, remove it", path, path))
	}
	if err != nil {
		return nil, err
	}
	if r.content, err = os.ReadFile(path); err != nil {
		r.drop()
		return nil, err
	}
	return r, nil
}

// regularFile tells about a file, and refuses what is none: to read a pipe would wait for
// whoever writes to it.
func regularFile(path string) (fs.FileInfo, error) {
	info, err := os.Stat(path)
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a regular file", path)
	}
	return info, err
}

// drop leaves the file as it is, unless it was replaced.
func (r *replacement) drop() {
	if r.next != nil {
		_ = r.next.Close()
		_ = os.Remove(r.next.Name())
	}
}

// replace puts the new content in the place of the old one.
func (r *replacement) replace(content []byte) error {
	_, err := r.next.Write(content)
	if owner, ok := r.info.Sys().(*syscall.Stat_t); ok && err == nil {
		err = r.next.Chown(int(owner.Uid), int(owner.Gid))
	}
	if err == nil {
		err = errors.Join(r.next.Chmod(r.info.Mode().Perm()), r.next.Sync())
	}
	if err == nil {
		err = os.Rename(r.next.Name(), r.path)
	}
	if err != nil {
		return err
	}
	err, r.next = r.next.Close(), nil
	return err
}
