package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

// idleTime is how long a connection that nobody needs is kept.
const idleTime = 5 * time.Minute

var postgres = dialect{
	goose:      goose.DialectPostgres,
	serial:     "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY",
	text:       `TEXT COLLATE "C"`, // so that lists are the same everywhere, and no index depends on libc's idea of an order
	skipLocked: "FOR UPDATE SKIP LOCKED",
	// A migration may take long, but must not keep everybody else waiting for a lock that
	// it waits for itself.
	patience:     []string{"SET LOCAL statement_timeout = 0", "SET LOCAL lock_timeout = '5s'"},
	versions:     "SELECT COUNT(to_regclass('" + goose.DefaultTablename + "'))",
	keyShare:     "FOR KEY SHARE",
	forUpdate:    "FOR UPDATE",
	revokedAfter: "SELECT number, revoked_at FROM grants WHERE revoked_at >= $1 AND (revoked_at, number) > ($1, $2)",
	lock: func() (goose.ProviderOption, error) {
		// As many tries as it takes: whoever waits for the lock waits for a migration.
		locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, 3600))
		return goose.WithSessionLocker(locker), err
	},
}

// parsePostgres reads the URL. The error is ErrURL: pgx's own may quote a password.
func parsePostgres(url string) (*pgx.ConnConfig, error) {
	config, err := pgx.ParseConfig(url)
	if err != nil {
		return nil, fmt.Errorf("%w: it must be like postgres://user:password@host:5432/database", ErrURL)
	}
	return config, nil
}

// openPostgres opens a pool. It is ErrURL if the URL cannot be understood, and
// ErrUnreachable if the database does not answer.
func openPostgres(ctx context.Context, url string, limits Pool) (*Store, error) {
	config, err := parsePostgres(url)
	if err != nil {
		return nil, err
	}
	config.Password = cmp.Or(limits.Password, config.Password)
	config.ConnectTimeout = limits.ConnectTimeout
	config.RuntimeParams["statement_timeout"] = strconv.FormatInt(limits.StatementTimeout.Milliseconds(), 10)
	if config.RuntimeParams["application_name"] == "" {
		config.RuntimeParams["application_name"] = "hallpass"
	}
	db := stdlib.OpenDB(*config)
	db.SetMaxOpenConns(limits.Connections)
	db.SetMaxIdleConns(limits.Connections)
	db.SetConnMaxIdleTime(idleTime)
	// Each statement may need a new connection first. The server itself ends a statement
	// that takes too long, if it is there to do so.
	connections := pool{DB: db, patience: limits.ConnectTimeout + limits.StatementTimeout}
	s := &Store{dialect: postgres, write: connections, read: connections}
	if err := db.PingContext(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("%w: %w", ErrUnreachable, withoutURL(err)), s.Close())
	}
	return s, nil
}

// withoutURL drops the user and the database that pgx names of the connection it tried, and
// keeps where and why that failed: in one line, and once where it failed in the
// same way with TLS and without.
func withoutURL(err error) error {
	for inner := errors.Unwrap(err); inner != nil; inner = errors.Unwrap(err) {
		err = inner
	}
	tries, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return err
	}
	var reasons []string
	for _, try := range tries.Unwrap() {
		if reason := try.Error(); !slices.Contains(reasons, reason) {
			reasons = append(reasons, reason)
		}
	}
	return errors.New(strings.Join(reasons, "; "))
}

// closeAll closes the pools that a Store has; both names may mean the same one.
func closeAll(write, read pool) error {
	if write == read {
		return write.Close()
	}
	return errors.Join(write.Close(), read.Close())
}
