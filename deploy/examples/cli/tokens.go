package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/oauth2"
)

// errLoggedOut means that the user is not logged in.
var errLoggedOut = errors.New("you are not logged in: run 'cli login'")

// early is how long before its expiry a token is refreshed, so that it does not expire on the way.
const early = 30 * time.Second

// tokenFile is the path of the file of the tokens. Read it at any time; hold its lock to change it.
type tokenFile string

// read returns the tokens. The error is errLoggedOut if there is no file.
func (f tokenFile) read() (*oauth2.Token, error) {
	info, err := os.Stat(string(f))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errLoggedOut
	}
	if err != nil {
		return nil, err
	}
	if info.Mode().Perm()&0o077 != 0 && lockable {
		return nil, fmt.Errorf("others can read %s: run 'chmod 600' on it, or better log in again", f)
	}
	text, err := os.ReadFile(string(f))
	if err != nil {
		return nil, err
	}
	var t oauth2.Token
	if err := json.Unmarshal(text, &t); err != nil {
		return nil, fmt.Errorf("%s: %w", f, err)
	}
	return &t, nil
}

// write replaces the file. Another process reads either the old or the new one, never half of it, and
// a crash leaves one of them.
func (f tokenFile) write(t *oauth2.Token) error {
	text, err := json.Marshal(t)
	if err != nil {
		return err
	}
	temporary, err := os.CreateTemp(filepath.Dir(string(f)), filepath.Base(string(f))+".*") // mode 0600
	if err != nil {
		return err
	}
	_, err = temporary.Write(text)
	err = errors.Join(err, temporary.Sync(), temporary.Close())
	if err == nil {
		err = os.Rename(temporary.Name(), string(f))
	}
	if err != nil {
		return errors.Join(err, os.Remove(temporary.Name()))
	}
	return nil
}

// remove deletes the file, if it exists.
func (f tokenFile) remove() error {
	if err := os.Remove(string(f)); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// locked runs work while no other process runs work for the file. The lock is on a file beside it, since
// write replaces the file itself. The system releases the lock even if the process is killed.
func (f tokenFile) locked(work func() error) error {
	if err := os.MkdirAll(filepath.Dir(string(f)), 0o700); err != nil {
		return err
	}
	file, err := os.OpenFile(string(f)+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }() // releases the lock
	if err := lock(file); err != nil {
		return fmt.Errorf("locking %s: %w", file.Name(), err)
	}
	return work()
}

// usable reports whether an access token is valid for another request, and was not refused.
func usable(t *oauth2.Token, refused string) bool {
	return t.AccessToken != refused && time.Until(t.Expiry) > early
}
