package main

import (
	"context"
	"crypto/rand"
	"database/sql"
	"net/url"
	"runtime"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/sync/errgroup"
	_ "modernc.org/sqlite" // SQLite
)

// The statements of a refresh: find the grant, rotate its token.
const (
	findGrant = "SELECT * FROM grants WHERE number = $1"
	rotate    = "UPDATE grants SET refresh_digest = $2, expires_at = $3, refresh_expires_at = $3 " +
		"WHERE number = $1 AND revoked_at IS NULL"
)

// rotation returns the arguments of rotate. It invalidates the grant's refresh token.
func rotation(number int64) []any {
	return []any{number, rand.Text(), time.Now().Add(720 * time.Hour).Unix()}
}

// statements returns the subject that runs the SQL of a refresh alone, prepared, with the CPUs
// of a server under load. On SQLite that is the UPDATE alone, on one connection: it has one
// writer. On PostgreSQL few connections find the grant and rotate, in one round trip each.
func statements(name, database string) subject {
	run := postgresStatements
	if strings.HasPrefix(database, "sqlite:") {
		run = sqliteStatements
	}
	return subject{name, func(ctx context.Context) (s sample, err error) {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(half().procs))
		begin := time.Now()
		count, err := run(ctx, database, begin.Add(roundSeconds*time.Second))
		s[perSecond] = float64(count) / time.Since(begin).Seconds()
		return s, err
	}}
}

func sqliteStatements(ctx context.Context, database string, until time.Time) (count int64, err error) {
	address := &url.URL{Path: strings.TrimPrefix(database, "sqlite:")}
	options := url.Values{"mode": {"rw"}, "_pragma": {
		"journal_mode(WAL)", "foreign_keys(1)", "synchronous(FULL)", "busy_timeout(5000)",
	}}
	db, err := sql.Open("sqlite", "file:"+address.EscapedPath()+"?"+options.Encode())
	if err != nil {
		return 0, err
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	prepared, err := db.PrepareContext(ctx, rotate)
	if err != nil {
		return 0, err
	}
	defer prepared.Close()
	for ; time.Now().Before(until); count++ {
		result, err := prepared.ExecContext(ctx, rotation(1+count%few)...)
		if err != nil {
			return 0, err
		}
		if n, _ := result.RowsAffected(); n == 0 {
			return 0, sql.ErrNoRows
		}
	}
	return count, nil
}

func postgresStatements(ctx context.Context, database string, until time.Time) (int64, error) {
	config, err := pgxpool.ParseConfig(database)
	if err != nil {
		return 0, err
	}
	config.MaxConns = few
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return 0, err
	}
	defer pool.Close()
	var count atomic.Int64
	workers, ctx := errgroup.WithContext(ctx)
	for i := range int64(few) {
		workers.Go(func() error {
			for ; time.Now().Before(until); count.Add(1) {
				var batch pgx.Batch
				batch.Queue(findGrant, 1+i)
				batch.Queue(rotate, rotation(1+i)...)
				if err := pool.SendBatch(ctx, &batch).Close(); err != nil {
					return err
				}
			}
			return nil
		})
	}
	err = workers.Wait()
	return count.Load(), err
}
