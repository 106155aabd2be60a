package keyfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/hallpass-auth/hallpass/shared/keyring"
)

// Errors about files.
var (
	// ErrNoPath means that the path is empty.
	ErrNoPath = errors.New("the path of a file must not be empty")
	// ErrExists means that a file to be created exists already. The wrapping error names the file.
	ErrExists = errors.New("already exists and was not changed")
	// ErrBusy means that another program is replacing the file. The wrapping error names the file.
	ErrBusy = errors.New("another command is changing")
)

// Regular stats path. It fails unless path is a regular file: reading a pipe could block. It returns ErrNoPath for an
// empty path.
func Regular(path string) (fs.FileInfo, error) {
	if path == "" {
		return nil, ErrNoPath
	}
	info, err := os.Stat(path)
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a regular file", path)
	}
	return info, err
}

// ReadRing reads a JWK Set. Its errors name the file.
func ReadRing(path string) (*keyring.Ring, error) {
	if _, err := Regular(path); err != nil {
		return nil, err
	}
	set, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	ring, err := keyring.Parse(set)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return ring, nil
}

// Create creates a file that only its owner can read. It returns ErrExists if there is such a file, and ErrNoPath for
// an empty path.
func Create(path string, data []byte) error {
	if path == "" {
		return ErrNoPath
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s %w", path, ErrExists)
	}
	if err != nil {
		return err
	}
	_, err = file.Write(data)
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return errors.Join(err, os.Remove(path)) // do not leave half a secret
	}
	return nil
}

// SyncFolder syncs the folder of a file to the disk, so that a new name in it survives a power failure.
func SyncFolder(path string) error {
	folder, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}

// APIPath returns the path of the default API's file, given that of the authorization server's, if no setting names
// it: api-keys.json beside keys.json.
func APIPath(server string) string {
	return filepath.Join(filepath.Dir(server), "api-"+filepath.Base(server))
}

// ExistingAPIPath returns path if it has a file that was made for the default API, and "" if no command has made one.
func ExistingAPIPath(path string) (string, error) {
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if _, err := Regular(path); err != nil {
		return "", err
	}
	set, err := os.ReadFile(path)
	if err != nil || !keyring.IsExport(set) {
		return "", err
	}
	return path, nil
}
