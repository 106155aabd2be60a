package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/hallpass-auth/hallpass/shared/database"
	"github.com/hallpass-auth/hallpass/shared/program"

	"github.com/hallpass-auth/hallpass/authserver/internal/store"
)

// The pauses between two attempts of a server to reach its database.
const (
	firstPause   = 250 * time.Millisecond
	longestPause = 5 * time.Second
)

// Database is the settings of the database.
type Database struct {
	DatabaseURL              string        `group:"Data" env:"HALLPASS_DATABASE_URL" secret:"" default:"${database_url}" placeholder:"URL" help:"Database of users, clients and grants: sqlite:PATH, or postgres://USER:PASSWORD@HOST/NAME?sslmode=verify-full for more than one machine (${default})."`
	DatabasePasswordFile     string        `group:"Data" env:"HALLPASS_DATABASE_PASSWORD_FILE" placeholder:"PATH" help:"File with the password for PostgreSQL, instead of one in the URL."`
	DatabaseConnections      int           `group:"Data" env:"HALLPASS_DATABASE_CONNECTIONS" default:"10" placeholder:"N" help:"Maximum number of connections to PostgreSQL of each process (${default})."`
	DatabaseConnectTimeout   time.Duration `group:"Data" env:"HALLPASS_DATABASE_CONNECT_TIMEOUT" default:"5s" help:"How long connecting to PostgreSQL may take (${default})."`
	DatabaseStatementTimeout time.Duration `group:"Data" env:"HALLPASS_DATABASE_STATEMENT_TIMEOUT" default:"5s" help:"How long one statement may take in PostgreSQL, and how long SQLite waits for the lock of another program (${default})."`

	MigrateDatabaseURL          string `group:"Data" env:"HALLPASS_MIGRATE_DATABASE_URL" secret:"" placeholder:"URL" help:"The same PostgreSQL database with the role that owns its tables and updates the schema. That of --database-url can then add to the audit log, but neither change it nor delete from it."`
	MigrateDatabasePasswordFile string `group:"Data" env:"HALLPASS_MIGRATE_DATABASE_PASSWORD_FILE" placeholder:"PATH" help:"File with the password for --migrate-database-url, instead of one in the URL."`

	// Wrap, unless nil, wraps the driver of all connections.
	Wrap store.Wrap `kong:"-"`
	// Setting is the name of the URL's setting in errors, by default --database-url.
	Setting string `kong:"-"`
}

// setting returns the name of the URL's setting.
func (d *Database) setting() string {
	return cmp.Or(d.Setting, "--database-url (HALLPASS_DATABASE_URL)")
}

// Validate checks what kong cannot. The error names the setting.
func (d *Database) Validate() error {
	if err := store.CheckURL(d.DatabaseURL); err != nil {
		return fmt.Errorf("%s: %w", d.setting(), err)
	}
	if err := d.checkMigrateURL(); err != nil {
		return err
	}
	switch {
	case d.DatabaseConnections < 1 || d.DatabaseConnections > 1000:
		return fmt.Errorf("--database-connections (HALLPASS_DATABASE_CONNECTIONS) must be from 1 to 1000, not %d",
			d.DatabaseConnections)
	case d.DatabaseConnectTimeout < time.Millisecond:
		return fmt.Errorf("--database-connect-timeout (HALLPASS_DATABASE_CONNECT_TIMEOUT) must be positive, not %v",
			d.DatabaseConnectTimeout)
	case d.DatabaseStatementTimeout < time.Millisecond:
		return fmt.Errorf("--database-statement-timeout (HALLPASS_DATABASE_STATEMENT_TIMEOUT) must be positive, not %v",
			d.DatabaseStatementTimeout)
	}
	return nil
}

// OpenStore opens the database of the settings, which it creates if it does not exist, and
// migrates its schema. Errors name the setting.
func OpenStore(ctx context.Context, d Database) (*store.Store, error) {
	if d.MigrateDatabaseURL != "" {
		return d.openOwned(ctx)
	}
	return d.open(ctx, store.Open, (*store.Store).Migrate)
}

// OpenExistingStore is OpenStore for commands on existing data: a mistyped path must not create
// another database, and adding a user must not migrate the schema under servers of the previous
// version.
func OpenExistingStore(ctx context.Context, d Database) (*store.Store, error) {
	s, err := d.open(ctx, store.OpenExisting, (*store.Store).Schema)
	switch {
	case errors.Is(err, store.ErrNoDatabase):
		err = program.WithCode(program.ExitUsage,
			fmt.Errorf("%w; 'authserver migrate' makes it, and so does 'authserver serve'", err))
	case errors.Is(err, store.ErrOlderSchema):
		err = fmt.Errorf("%w; 'authserver migrate' brings it up to date, and so does 'authserver serve'", err)
	case err == nil:
		if err = s.LoadDefaultAPI(ctx); err != nil {
			_ = s.Close()
		}
	}
	return s, err
}

// OpenAnyStore opens existing data, whatever the version of its schema.
func OpenAnyStore(ctx context.Context, d Database) (*store.Store, error) {
	s, err := d.open(ctx, store.OpenExisting, func(*store.Store, context.Context) (int64, error) { return 0, nil })
	if errors.Is(err, store.ErrNoDatabase) {
		err = program.WithCode(program.ExitUsage, err)
	}
	return s, err
}

// OpenRestoredStore opens existing data, like OpenExistingStore, and migrates its schema, like OpenStore:
// a copy of a database may be from an older version. It returns an error for a copy that is damaged or
// has no schema.
func OpenRestoredStore(ctx context.Context, d Database) (*store.Store, error) {
	s, err := d.open(ctx, store.OpenExisting, migrateRestored)
	if errors.Is(err, store.ErrNoDatabase) {
		err = program.WithCode(program.ExitUsage, fmt.Errorf("%w; put the copy there first", err))
	}
	return s, err
}

// migrateRestored checks a copy and migrates its schema.
func migrateRestored(s *store.Store, ctx context.Context) (int64, error) { //nolint:revive // like a method of Store
	if err := s.CheckIntegrity(ctx); err != nil {
		return 0, err
	}
	if version, err := s.Schema(ctx); version == 0 && errors.Is(err, store.ErrOlderSchema) {
		return 0, errors.New("this is not a Hallpass database, or it is empty")
	}
	return s.Migrate(ctx)
}

// open opens the database by one function, and migrates or checks its schema by another.
func (d Database) open(
	ctx context.Context,
	open func(context.Context, string, store.Pool) (*store.Store, error),
	schema func(*store.Store, context.Context) (int64, error),
) (*store.Store, error) {
	limits, err := d.limits()
	if err != nil {
		return nil, program.WithCode(program.ExitUsage, err)
	}
	s, err := open(ctx, d.DatabaseURL, limits)
	if err == nil {
		if _, err = schema(s, ctx); err != nil {
			_ = s.Close() // the first error matters
		}
	}
	if err == nil {
		return s, nil
	}
	err = fmt.Errorf("%s: %w", d.setting(), err)
	if errors.Is(err, store.ErrURL) || errors.Is(err, store.ErrPermissions) {
		err = program.WithCode(program.ExitUsage, err)
	}
	return nil, err
}

// checkReplica checks the URL of the replica.
func (s *Settings) checkReplica() error {
	const setting = "--database-replica-url (HALLPASS_DATABASE_REPLICA_URL)"
	if s.DatabaseReplicaURL == "" {
		return nil
	}
	if _, ok := database.SQLitePath(s.Database.DatabaseURL); ok {
		return fmt.Errorf("%s: a SQLite database has no replicas: leave it empty, or set %s to that of the primary",
			setting, s.Database.setting())
	}
	if err := store.CheckReplicaURL(s.DatabaseReplicaURL); err != nil {
		return fmt.Errorf("%s: %w", setting, err)
	}
	return nil
}

// useReplica has the store read from the replica of the settings, if there is one.
func (s *Settings) useReplica(data *store.Store, background *Background, log *slog.Logger) error {
	if s.DatabaseReplicaURL == "" {
		return nil
	}
	limits, err := s.Database.limits()
	if err != nil {
		return err
	}
	if err := data.UseReplica(s.DatabaseReplicaURL, limits); err != nil {
		return err
	}
	background.run(func(ctx context.Context) { data.FollowReplica(ctx, log) })
	return nil
}

// limits returns the configuration of the connections. It returns an error for a file with no password.
func (d Database) limits() (store.Pool, error) {
	password, err := database.OpenPasswordFile(d.DatabasePasswordFile)
	if err != nil {
		return store.Pool{}, fmt.Errorf("--database-password-file (HALLPASS_DATABASE_PASSWORD_FILE): %w", err)
	}
	return store.Pool{
		Password:         password,
		Connections:      d.DatabaseConnections,
		ConnectTimeout:   d.DatabaseConnectTimeout,
		StatementTimeout: d.DatabaseStatementTimeout,
		Wrap:             d.Wrap,
	}, nil
}

// waitForStore is OpenStore that retries, with growing pauses, until the database server can be
// reached. It logs each attempt.
func waitForStore(ctx context.Context, d Database, log *slog.Logger) (*store.Store, error) {
	for pause := firstPause; ; pause = min(2*pause, longestPause) {
		s, err := OpenStore(ctx, d)
		if !errors.Is(err, store.ErrUnreachable) {
			return s, err
		}
		log.WarnContext(ctx, "waiting for the database", "error", err, "next_try", pause)
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(pause):
		}
	}
}
