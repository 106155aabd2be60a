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

// migrationTries is how often migrating is tried. On PostgreSQL a lock lets one
// process migrate at a time. On SQLite another process may be doing the same: the one
// that comes second fails on what is there already, and finds nothing left to do when
// it looks again.
const migrationTries = 3

// Migrate brings the schema up to date and returns its version. Processes that do
// so at once are no danger to each other. A schema that a newer program has made
// is ErrNewerSchema.
func (s *Store) Migrate(ctx context.Context) (version int64, err error) {
	provider, err := s.migrations()
	if err != nil {
		return 0, err
	}
	for range migrationTries {
		if _, err = provider.Up(ctx); err == nil || ctx.Err() != nil {
			break
		}
	}
	if err != nil {
		return 0, unavailable("migrate", err)
	}
	return schema(ctx, provider)
}

// Schema returns the version of the schema and changes nothing. One that is not the
// program's own is ErrNewerSchema or ErrOlderSchema.
func (s *Store) Schema(ctx context.Context) (version int64, err error) {
	provider, err := s.migrations()
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, s.read.patience)
	defer cancel()
	var tables int
	if err := s.read.scanRow(ctx, s.dialect.versions, nil, &tables); err != nil {
		return 0, unavailable("read the version of the schema", err)
	}
	if tables == 0 { // goose would make one
		sources := provider.ListSources()
		return 0, schemaError(0, sources[len(sources)-1].Version)
	}
	return schema(ctx, provider)
}

// schema returns the version of the schema, of which there is one.
func schema(ctx context.Context, provider *goose.Provider) (version int64, err error) {
	current, known, err := provider.GetVersions(ctx)
	if err != nil {
		return 0, unavailable("read the version of the schema", err)
	}
	return current, schemaError(current, known)
}

// schemaError says what is wrong with a version of the schema, for a program that knows
// another one.
func schemaError(current, known int64) error {
	switch {
	case current > known:
		return fmt.Errorf("%w: version %d, and the program knows versions up to %d: run the newer program", ErrNewerSchema, current, known)
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
		goose.WithGoMigrations(list...), goose.WithDisableGlobalRegistry(true), goose.WithLogger(goose.NopLogger()),
	}
	if s.dialect.lock != nil {
		lock, err := s.dialect.lock()
		if err != nil {
			return nil, err
		}
		options = append(options, lock)
	}
	return goose.NewProvider(s.dialect.goose, s.write.DB, nil, options...)
}

// migration makes a step of one file: its text, with the engine's words put in, run
// in one transaction. There is no way back down: a backup is.
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
		for _, setting := range s.dialect.patience {
			if _, err := tx.ExecContext(ctx, setting); err != nil {
				return err
			}
		}
		_, err := tx.ExecContext(ctx, query)
		return err
	}
	return goose.NewGoMigration(version, &goose.GoFunc{RunTx: run}, nil), nil
}
