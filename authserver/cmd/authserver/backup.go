package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/hallpass-auth/hallpass/shared/database"
	"github.com/hallpass-auth/hallpass/shared/program"

	"github.com/hallpass-auth/hallpass/authserver/internal/keyfile"
	"github.com/hallpass-auth/hallpass/authserver/internal/server"
)

// errOnlySQLite means that a command is for SQLite. It follows the name of the command.
var errOnlySQLite = errors.New("is for SQLite; PostgreSQL has pg_dump and pg_restore, and then " +
	"'authserver restore --new-epoch'")

type backupCommand struct {
	server.Database `embed:""`
	File            string `arg:"" help:"File to create. It must not exist."`
}

// Help says what is not in the file.
func (c *backupCommand) Help() string {
	return `Servers keep running meanwhile. The file has the database as it is at one moment; only its owner can read it.
It gets its name once it is complete and on disk.

It does not have the signing keys, which are in the keys file: copy that, too, and keep both as safe as passwords.
'authserver restore' puts the file back.`
}

// Run writes the file.
func (c *backupCommand) Run(ctx context.Context, streams program.Streams) error {
	if _, ok := database.SQLitePath(c.DatabaseURL); !ok {
		return program.WithCode(program.ExitUsage, fmt.Errorf("backup %w", errOnlySQLite))
	}
	if c.File == "" {
		return errEmpty("FILE")
	}
	s, err := server.OpenAnyStore(ctx, c.Database)
	if err != nil {
		return err
	}
	err = createWhole(c.File, func(path string) error { return s.BackUp(ctx, path) })
	if err = errors.Join(err, s.Close()); err != nil {
		return exitError("", err)
	}
	fmt.Fprintf(streams.Out, "created %s\n", c.File)
	fmt.Fprintln(streams.Err, "note: the signing keys are not in it: copy the keys file, too")
	return nil
}

// createWhole creates a file that only its owner can read. It calls write with the path of an empty file
// beside it, and gives that file its name when it is on the disk: a cut leaves no half file of that name. It returns
// keyfile.ErrExists if there is such a file, which it does not change.
func createWhole(path string, write func(path string) error) error {
	if err := missing(path); err != nil {
		return err
	}
	next, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*.part")
	if err != nil {
		return err
	}
	defer func() {
		_ = next.Close()
		_ = os.Remove(next.Name()) // it has another name by now, unless something failed
	}()
	if err := write(next.Name()); err != nil {
		return err
	}
	if err := next.Sync(); err != nil {
		return err
	}
	err = os.Link(next.Name(), path) // unlike Rename, it does not replace a file that was made meanwhile
	switch {
	case errors.Is(err, fs.ErrExist):
		return fmt.Errorf("%s %w", path, keyfile.ErrExists)
	case err != nil: // a file system without hard links
		if err := missing(path); err != nil {
			return err
		}
		if err := os.Rename(next.Name(), path); err != nil {
			return err
		}
	}
	return keyfile.SyncFolder(path)
}
