package server

import (
	"context"
	"errors"
	"fmt"

	"github.com/hallpass-auth/hallpass/shared/database"
	"github.com/hallpass-auth/hallpass/shared/program"

	"github.com/hallpass-auth/hallpass/authserver/internal/store"
)

const migrateSetting = "--migrate-database-url (HALLPASS_MIGRATE_DATABASE_URL)"

// checkMigrateURL checks the URL of the owner's role.
func (d *Database) checkMigrateURL() error {
	if d.MigrateDatabaseURL == "" {
		return nil
	}
	for setting, url := range map[string]string{d.setting(): d.DatabaseURL, migrateSetting: d.MigrateDatabaseURL} {
		if _, ok := database.SQLitePath(url); ok {
			return fmt.Errorf("%s: a SQLite database has no roles: leave %s empty", setting, migrateSetting)
		}
	}
	if err := store.CheckURL(d.MigrateDatabaseURL); err != nil {
		return fmt.Errorf("%s: %w", migrateSetting, err)
	}
	return nil
}

// openOwned is OpenStore with two roles: the owner of the tables updates the schema and says what the other role, which
// the store has, may do. It returns an error if that can change the audit log nevertheless.
func (d Database) openOwned(ctx context.Context) (*store.Store, error) {
	return d.open(ctx, store.Open, func(s *store.Store, ctx context.Context) (int64, error) {
		role, err := s.Role(ctx)
		if err != nil {
			return 0, err
		}
		if err := d.migrateAsOwner(ctx, role); err != nil {
			return 0, err
		}
		if err := s.CheckRole(ctx); err != nil {
			if errors.Is(err, store.ErrOwner) {
				err = program.WithCode(program.ExitUsage, fmt.Errorf("%w: with %s it must be another role than the owner: "+
					"'REASSIGN OWNED BY' in PostgreSQL gives the tables to that one", err, migrateSetting))
			}
			return 0, err
		}
		return s.Schema(ctx)
	})
}

// migrateAsOwner updates the schema, and lets a role use it.
func (d Database) migrateAsOwner(ctx context.Context, role string) error {
	d.DatabaseURL, d.DatabasePasswordFile, d.Setting = d.MigrateDatabaseURL, d.MigrateDatabasePasswordFile, migrateSetting
	owner, err := d.open(ctx, store.Open, (*store.Store).Migrate)
	if err != nil {
		return err
	}
	return errors.Join(owner.GrantTo(ctx, role), owner.Close())
}
