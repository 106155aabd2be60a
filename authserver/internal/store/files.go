package store

import (
	"context"

	"github.com/hallpass-auth/hallpass/shared/database"
)

// FileLock is a SQLite database that no other process can open until Close.
type FileLock = database.SQLiteLock

// SQLitePath returns the path in a database URL, and whether it is one of SQLite.
func SQLitePath(url string) (path string, ok bool) { return database.SQLitePath(url) }

// LockFile locks a SQLite database for this process: see [database.LockSQLite].
func LockFile(ctx context.Context, path string) (*FileLock, error) {
	return database.LockSQLite(ctx, path)
}

// BackUp writes a copy of a SQLite database, as it is at one moment, to a file that is empty or does not
// exist. It does not sync the file.
func (s *Store) BackUp(ctx context.Context, path string) error { return s.db.BackUp(ctx, path) }

// CheckIntegrity returns an error if a SQLite database is damaged. On PostgreSQL it does nothing.
func (s *Store) CheckIntegrity(ctx context.Context) error { return s.db.CheckIntegrity(ctx) }

// Errors of CopyFile.
var (
	ErrNotEmpty    = database.ErrNotEmpty
	ErrCopyUnknown = database.ErrCopyUnknown
)

// CopiedTable is a table that CopyFile has copied.
type CopiedTable = database.CopiedTable

// CopyProgress is how far CopyFile is.
type CopyProgress = database.CopyProgress

// CopyFile copies a SQLite database to one of PostgreSQL, whose schema must have the same version, and compares all
// rows. It returns ErrNotEmpty if that has users, clients or grants, and ErrCopyUnknown if it cannot tell whether the
// copy was stored. Grants keep their numbers.
func CopyFile(
	ctx context.Context,
	from *FileLock,
	to *Store,
	progress func(CopyProgress),
) ([]CopiedTable, error) {
	return from.CopyTo(ctx, to.db, []string{"users", "clients", "grants"}, progress)
}
