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

// replacement replaces the content of a file atomically, because servers may read it at any time.
// The new content is first written to a file whose name ends in .new. Only one command at a time can
// create that file.
//
// Packages like renameio write to a file with a random name, which does not exclude a second
// command, and do not keep the owner of the file.
type replacement struct {
	path    string      // with links resolved
	info    fs.FileInfo // mode and owner to keep
	content []byte      // the old content
	next    *os.File    // the .new file
}

// startReplacement reads a file in order to replace it. The caller must call discard.
func startReplacement(path string) (r *replacement, err error) {
	if _, err := regularFile(path); err != nil {
		return nil, err
	}
	if path, err = filepath.EvalSymlinks(path); err != nil {
		return nil, err
	}
	r = &replacement{path: path}
	if r.info, err = regularFile(path); err != nil {
		return nil, err
	}
	r.next, err = os.OpenFile(path+".new", os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil, program.WithCode(program.ExitConflict, fmt.Errorf(
			"%s.new exists: another command is changing %s, or was killed; remove the file if none is running", path, path))
	}
	if err != nil {
		return nil, err
	}
	if r.content, err = os.ReadFile(path); err != nil {
		r.discard()
		return nil, err
	}
	return r, nil
}

// regularFile stats path. It fails unless path is a regular file: reading a pipe could block.
func regularFile(path string) (fs.FileInfo, error) {
	if path == "" {
		return nil, errEmpty("the path of a file")
	}
	info, err := os.Stat(path)
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a regular file", path)
	}
	return info, err
}

// discard removes the .new file. It does nothing after replace has succeeded.
func (r *replacement) discard() {
	if r.next != nil {
		_ = r.next.Close()
		_ = os.Remove(r.next.Name())
	}
}

// replace replaces the content of the file. The file keeps its mode and owner.
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
	return errors.Join(err, syncFolder(r.path))
}
