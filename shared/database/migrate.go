package database

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"strconv"
	"strings"

	"github.com/pressly/goose/v3"
)

// migrationTries limits the attempts of Migrate without progress. A process that migrates at the same time
// as others fails on steps that they have already done.
const migrationTries = 3

// errMigrated means that another process has done a step meanwhile.
var errMigrated = errors.New("another process has done this migration")

// Migrate brings the schema up to date and returns its version. Several processes may call it
// at once. It returns ErrNewerSchema for a schema that a newer program has migrated.
//
// files are the migrations: NUMBER_NAME.sql, each of which runs in one transaction. In their text,
// {{serial}} stands for the type of a primary key that numbers rows and never reuses a number, and
// {{text}} for text that sorts by its bytes. A line that begins with {{postgresql}} is left out on SQLite, and one that
// begins with {{sqlite}} on PostgreSQL.
func (d *DB) Migrate(ctx context.Context, files fs.FS) (version int64, err error) {
	return d.MigrateTo(ctx, files, math.MaxInt64)
}

// MigrateTo is like Migrate, but stops at a version. Tests of later migrations use it.
func (d *DB) MigrateTo(ctx context.Context, files fs.FS, last int64) (version int64, err error) {
	provider, err := d.migrations(files, last)
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
		return 0, Unavailable("migrate", err)
	}
	return schema(ctx, provider)
}

// Schema returns the version of the schema and changes nothing. It returns ErrNewerSchema or
// ErrOlderSchema if the version is not the program's own.
func (d *DB) Schema(ctx context.Context, files fs.FS) (version int64, err error) {
	provider, err := d.migrations(files, math.MaxInt64)
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, d.Read.CallTimeout)
	defer cancel()
	var tables int
	if err := d.Read.ScanRow(ctx, d.Engine.dialect().versions, nil, &tables); err != nil {
		return 0, Unavailable("read the version of the schema", err)
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
		return 0, Unavailable("read the version of the schema", err)
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

func (d *DB) migrations(files fs.FS, last int64) (*goose.Provider, error) {
	names, err := fs.Glob(files, "*.sql")
	if err != nil {
		return nil, err
	}
	var list []*goose.Migration
	for _, name := range names {
		migration, err := d.migration(files, name)
		if err != nil {
			return nil, err
		}
		if migration.Version <= last {
			list = append(list, migration)
		}
	}
	options := []goose.ProviderOption{
		goose.WithGoMigrations(list...),
		goose.WithDisableGlobalRegistry(true),
		goose.WithLogger(goose.NopLogger()),
	}
	return goose.NewProvider(d.Engine.dialect().goose, d.Write.DB, nil, options...)
}

// migration returns the migration of one file. There are no down migrations: restore a backup instead.
func (d *DB) migration(files fs.FS, name string) (*goose.Migration, error) {
	text, err := fs.ReadFile(files, name)
	if err != nil {
		return nil, err
	}
	number, _, _ := strings.Cut(name, "_")
	version, err := strconv.ParseInt(number, 10, 64)
	if err != nil {
		return nil, errors.New(name + " does not begin with a number")
	}
	dialect := d.Engine.dialect()
	query := strings.NewReplacer("{{serial}}", dialect.serial, "{{text}}", dialect.text,
		"{{postgresql}}", dialect.onPostgreSQL, "{{sqlite}}", dialect.onSQLite).Replace(string(text))
	run := func(ctx context.Context, tx *sql.Tx) error {
		if err := dialect.beginMigration(ctx, tx, version); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, query)
		return err
	}
	return goose.NewGoMigration(version, &goose.GoFunc{RunTx: run}, nil), nil
}

// lockMigrations waits until no other transaction migrates, for at most ten minutes.
func (d dialect) lockMigrations(ctx context.Context, tx *sql.Tx) error {
	if d.lock == "" {
		return nil
	}
	for _, statement := range []string{"SET LOCAL statement_timeout = 0", "SET LOCAL lock_timeout = '10min'", d.lock} {
		if _, err := tx.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("wait for another server that migrates, in pg_locks with locktype advisory: %w", err)
		}
	}
	return nil
}

// beginMigration waits until no other transaction migrates. It returns errMigrated if another one has done
// this migration.
func (d dialect) beginMigration(ctx context.Context, tx *sql.Tx, version int64) error {
	if err := d.lockMigrations(ctx, tx); err != nil {
		return err
	}
	for _, statement := range d.longTransaction {
		if _, err := tx.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	var done int
	err := tx.QueryRowContext(ctx,
		"SELECT COUNT(*) FROM "+goose.DefaultTablename+" WHERE version_id = $1", version).Scan(&done)
	if err == nil && done > 0 {
		err = errMigrated
	}
	return err
}
