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

// idleTime is how long an unused connection is kept.
const idleTime = 5 * time.Minute

var postgres = dialect{
	goose:  goose.DialectPostgres,
	serial: "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY",
	// With the "C" collation, lists sort alike on every server, and an upgrade of libc corrupts
	// no index.
	text:       `TEXT COLLATE "C"`,
	skipLocked: "FOR UPDATE SKIP LOCKED",
	// A migration may take long, but a lock that it waits for blocks other statements too.
	migrationTimeouts: []string{"SET LOCAL statement_timeout = 0", "SET LOCAL lock_timeout = '5s'"},
	lockGrants:        []string{"LOCK TABLE codes, sessions, grants IN SHARE ROW EXCLUSIVE MODE"},
	versions:          "SELECT COUNT(to_regclass('" + goose.DefaultTablename + "'))",
	keyShare:          "FOR KEY SHARE",
	share:             "FOR SHARE",
	forUpdate:         "FOR UPDATE",
	revokedAfter: "SELECT number, revoked_at FROM grants " +
		"WHERE revoked_at >= $1 AND (revoked_at, number) > ($1, $2)",
	migrationLock: func() (goose.ProviderOption, error) {
		// Tries once a second for an hour: the process that has the lock is migrating.
		locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, 3600))
		return goose.WithSessionLocker(locker), err
	},
}

// parsePostgres parses the URL. It returns ErrURL in place of pgx's error, which may contain
// the password.
func parsePostgres(url string) (*pgx.ConnConfig, error) {
	config, err := parseSecurely(url)
	if errors.Is(err, ErrURL) {
		return nil, err
	}
	if err != nil {
		return nil, fmt.Errorf("%w: it must be like postgres://user:password@host:5432/database", ErrURL)
	}
	return config, nil
}

// openPostgres opens a pool. It returns ErrURL if the URL cannot be parsed, and ErrUnreachable
// if the server cannot be reached.
func openPostgres(ctx context.Context, url string, limits Pool) (*Store, error) {
	config, err := parsePostgres(url)
	if err != nil {
		return nil, err
	}
	return connectPostgres(ctx, config, limits)
}

// connectPostgres opens a pool.
func connectPostgres(ctx context.Context, config *pgx.ConnConfig, limits Pool) (*Store, error) {
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
	// A call may need a new connection first.
	connections := pool{DB: db, callTimeout: limits.ConnectTimeout + limits.StatementTimeout}
	s := &Store{dialect: postgres, write: connections, read: connections}
	if err := db.PingContext(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("%w: %w", ErrUnreachable, withAdvice(withoutURL(err))), s.Close())
	}
	return s, nil
}

// withoutURL removes the user and the database from an error of pgx and keeps the address and
// the reason, on one line. A reason that is the same with and without TLS appears once.
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

// closeAll closes both pools of a Store, which may be the same one.
func closeAll(write, read pool) error {
	if write == read {
		return write.Close()
	}
	return errors.Join(write.Close(), read.Close())
}
