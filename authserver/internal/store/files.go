package store

import (
	"context"

	"github.com/hallpass-auth/hallpass/shared/database"
)

// BackUp writes a copy of a SQLite database, as it is at one moment, to a file that is empty or does not
// exist. It does not sync the file.
func (s *Store) BackUp(ctx context.Context, path string) error { return s.db.BackUp(ctx, path) }

// CheckIntegrity returns an error if a SQLite database is damaged. On PostgreSQL it does nothing.
func (s *Store) CheckIntegrity(ctx context.Context) error { return s.db.CheckIntegrity(ctx) }

// CopyFile copies a SQLite database to one of PostgreSQL, whose schema must have the same version, and compares all
// rows. It returns database.ErrNotEmpty if that has users, clients or grants, and database.ErrCopyUnknown if it cannot
// tell whether the copy was stored. Grants keep their numbers.
func CopyFile(
	ctx context.Context,
	from *database.SQLiteLock,
	to *Store,
	progress func(database.CopyProgress),
) ([]database.CopiedTable, error) {
	return from.CopyTo(ctx, to.db, []string{"users", "clients", "grants"}, progress)
}
