package keyfile

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// Replacement replaces the content of a file atomically, because servers may read it at any time.
// The new content is first written to a file whose name ends in .new. Only one command at a time can
// create that file.
//
// Packages like renameio write to a file with a random name, which does not exclude a second
// command, and do not keep the owner of the file.
type Replacement struct {
	path    string      // with links resolved
	info    fs.FileInfo // mode and owner to keep
	content []byte      // the old content
	next    *os.File    // the .new file

	replaced bool // Write has put written in the place of content
	written  []byte
}

// Content returns the content of the file before it was replaced. The caller must not change it.
func (r *Replacement) Content() []byte { return r.content }

// Replace reads a file in order to replace it. The caller must call Discard. It returns ErrBusy if another program is
// replacing the file.
func Replace(path string) (r *Replacement, err error) {
	if _, err := Regular(path); err != nil {
		return nil, err
	}
	if path, err = filepath.EvalSymlinks(path); err != nil {
		return nil, err
	}
	r = &Replacement{path: path}
	if r.info, err = Regular(path); err != nil {
		return nil, err
	}
	if err = r.begin(); err != nil {
		return nil, err
	}
	if r.content, err = os.ReadFile(path); err != nil {
		r.Discard()
		return nil, err
	}
	return r, nil
}

// begin creates the .new file.
func (r *Replacement) begin() (err error) {
	r.next, err = os.OpenFile(r.path+".new", os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		err = fmt.Errorf("%s.new exists: %w %s, or was killed; remove the file if none is running", r.path, ErrBusy, r.path)
	}
	return err
}

// beginAgain creates the .new file for another Write. It returns ErrBusy if the file is not what was written before.
func (r *Replacement) beginAgain() error {
	if r.next != nil {
		return nil
	}
	if err := r.begin(); err != nil {
		return err
	}
	now, err := os.ReadFile(r.path)
	if err == nil && !bytes.Equal(now, r.written) {
		err = fmt.Errorf("%s was changed meanwhile: %w %s", r.path, ErrBusy, r.path)
	}
	return err
}

// Discard removes the .new file. It does nothing after Write has succeeded.
func (r *Replacement) Discard() {
	if r.next != nil {
		_ = r.next.Close()
		_ = os.Remove(r.next.Name())
	}
}

// Write replaces the content of the file, which keeps its mode and owner. It can be called again. It returns ErrBusy if
// another program has begun to replace the file since.
func (r *Replacement) Write(content []byte) error {
	if err := r.beginAgain(); err != nil {
		return err
	}
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
	r.replaced, r.written = true, content
	err, r.next = r.next.Close(), nil
	return errors.Join(err, SyncFolder(r.path))
}
