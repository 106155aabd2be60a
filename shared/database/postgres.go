package database

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// idleTime is how long an unused connection is kept.
const idleTime = 5 * time.Minute

// parsePostgres parses the URL. It returns ErrURL in place of pgx's error, which may contain the password, and keeps
// only what is wrong with a file.
func parsePostgres(url string) (*pgx.ConnConfig, error) {
	config, err := parseSecurely(url)
	if errors.Is(err, ErrURL) {
		return nil, err
	}
	if err := fileError(err); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrURL, err)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: it must be like postgres://user:password@host:5432/database", ErrURL)
	}
	return config, checkAttributes(config)
}

// fileError returns the part of an error that is about a file, or nil.
func fileError(err error) error {
	if file := (*fs.PathError)(nil); errors.As(err, &file) {
		return file
	}
	return nil
}

// openPostgres opens a pool. It returns ErrURL if the URL cannot be parsed, and ErrUnreachable
// if the server cannot be reached.
func openPostgres(ctx context.Context, url string, limits Pool) (*DB, error) {
	return connectPostgres(ctx, limits, func() (*pgx.ConnConfig, error) { return parsePostgres(url) })
}

// connectPostgres opens a pool. parse returns the configuration, with what the files that it names contain now.
func connectPostgres(ctx context.Context, limits Pool, parse func() (*pgx.ConnConfig, error)) (*DB, error) {
	connections, err := newConns(limits, parse)
	if err != nil {
		return nil, err
	}
	d := &DB{Engine: PostgreSQL, Write: connections, Read: connections}
	if err := connections.PingContext(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("%w: %w", ErrUnreachable, withAdvice(withoutURL(err))), d.Close())
	}
	return d, nil
}

// newConns returns a pool that connects when it is used first. parse is called for each connection.
func newConns(limits Pool, parse func() (*pgx.ConnConfig, error)) (*Conns, error) {
	fresh := func() (*pgx.ConnConfig, error) {
		config, err := parse()
		if err != nil || limits.Password == nil {
			return config, err
		}
		password, err := limits.Password()
		config.Password = cmp.Or(password, config.Password)
		return config, err
	}
	config, err := fresh()
	if err != nil {
		return nil, err
	}
	config.ConnectTimeout = limits.ConnectTimeout
	config.RuntimeParams["statement_timeout"] = strconv.FormatInt(limits.StatementTimeout.Milliseconds(), 10)
	if config.RuntimeParams["application_name"] == "" {
		config.RuntimeParams["application_name"] = "hallpass"
	}
	db := sql.OpenDB(limits.wrap(newHosts(config, fresh)))
	db.SetMaxOpenConns(limits.Connections)
	db.SetMaxIdleConns(limits.Connections)
	db.SetConnMaxIdleTime(idleTime)
	// A call may need a new connection first.
	return &Conns{DB: db, CallTimeout: limits.callTimeout()}, nil
}

// withoutURL removes the user and the database from an error of pgx and keeps the addresses and
// the reasons, on one line. A reason that is the same with and without TLS appears once.
func withoutURL(err error) error {
	found := reasons(err)
	if len(found) == 1 {
		return found[0]
	}
	var texts []string
	for _, reason := range found {
		if text := reason.Error(); !slices.Contains(texts, text) {
			texts = append(texts, text)
		}
	}
	return errors.New(strings.Join(texts, "; "))
}

// reasons returns the reasons of an error, one or two for each address that was tried.
func reasons(err error) (found []error) {
	for inner := errors.Unwrap(err); inner != nil; inner = errors.Unwrap(err) {
		err = inner
	}
	tries, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []error{err}
	}
	for _, try := range tries.Unwrap() {
		if connecting := (*pgconn.ConnectError)(nil); errors.As(try, &connecting) {
			found = append(found, reasons(connecting)...)
		} else {
			found = append(found, try)
		}
	}
	return found
}
