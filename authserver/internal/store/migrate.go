package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	"github.com/pressly/goose/v3"
)

//go:embed migrations/*.sql
var migrationFiles embed.FS

// migrationTries limits the tries of Migrate without progress. On SQLite, which has no migration
// lock, a process that migrates at the same time as others fails on what they have already done.
const migrationTries = 3

// Migrate brings the schema up to date and returns its version. Several processes may call it
// at once. It returns ErrNewerSchema for a schema that a newer program has migrated.
func (s *Store) Migrate(ctx context.Context) (version int64, err error) {
	provider, err := s.migrations()
	if err != nil {
		return 0, err
	}
	var reached int64
	for tries := 0; tries < migrationTries; tries++ {
		if _, err = provider.Up(ctx); err == nil || ctx.Err() != nil {
			break
		}
		if now, versionErr := provider.GetDBVersion(ctx); versionErr == nil && now > reached {
			reached, tries = now, 0
		}
	}
	if err != nil {
		return 0, unavailable("migrate", err)
	}
	if version, err = schema(ctx, provider); err != nil {
		return version, err
	}
	return version, s.fillSkeletons(ctx)
}

// Schema returns the version of the schema and changes nothing. It returns ErrNewerSchema or
// ErrOlderSchema if the version is not the program's own.
func (s *Store) Schema(ctx context.Context) (version int64, err error) {
	provider, err := s.migrations()
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, s.read.callTimeout)
	defer cancel()
	var tables int
	if err := s.read.scanRow(ctx, s.dialect.versions, nil, &tables); err != nil {
		return 0, unavailable("read the version of the schema", err)
	}
	if tables == 0 { // goose would create one
		sources := provider.ListSources()
		return 0, schemaError(0, sources[len(sources)-1].Version)
	}
	return schema(ctx, provider)
}

// schema returns the version of a schema that exists.
func schema(ctx context.Context, provider *goose.Provider) (version int64, err error) {
	current, known, err := provider.GetVersions(ctx)
	if err != nil {
		return 0, unavailable("read the version of the schema", err)
	}
	return current, schemaError(current, known)
}

// schemaError compares the version of the schema with the newest one that the program knows.
func schemaError(current, known int64) error {
	switch {
	case current > known:
		return fmt.Errorf("%w: version %d, and the program knows versions up to %d: run the newer program",
			ErrNewerSchema, current, known)
	case current < known:
		return fmt.Errorf("%w: version %d, and the program needs version %d", ErrOlderSchema, current, known)
	}
	return nil
}

func (s *Store) migrations() (*goose.Provider, error) {
	names, err := fs.Glob(migrationFiles, "migrations/*.sql")
	if err != nil {
		return nil, err
	}
	var list []*goose.Migration
	for _, name := range names {
		migration, err := s.migration(name)
		if err != nil {
			return nil, err
		}
		list = append(list, migration)
	}
	options := []goose.ProviderOption{
		goose.WithGoMigrations(list...),
		goose.WithDisableGlobalRegistry(true),
		goose.WithLogger(goose.NopLogger()),
	}
	if s.dialect.migrationLock != nil {
		lock, err := s.dialect.migrationLock()
		if err != nil {
			return nil, err
		}
		options = append(options, lock)
	}
	return goose.NewProvider(s.dialect.goose, s.write.DB, nil, options...)
}

// migration returns the migration of one file, which runs in one transaction. There are no
// down migrations: restore a backup instead.
func (s *Store) migration(name string) (*goose.Migration, error) {
	text, err := migrationFiles.ReadFile(name)
	if err != nil {
		return nil, err
	}
	number, _, _ := strings.Cut(strings.TrimPrefix(name, "migrations/"), "_")
	version, err := strconv.ParseInt(number, 10, 64)
	if err != nil {
		return nil, errors.New(name + " does not begin with a number")
	}
	query := strings.NewReplacer("{{serial}}", s.dialect.serial, "{{text}}", s.dialect.text).Replace(string(text))
	run := func(ctx context.Context, tx *sql.Tx) error {
		for _, setting := range s.dialect.migrationTimeouts {
			if _, err := tx.ExecContext(ctx, setting); err != nil {
				return err
			}
		}
		_, err := tx.ExecContext(ctx, query)
		return err
	}
	return goose.NewGoMigration(version, &goose.GoFunc{RunTx: run}, nil), nil
}
