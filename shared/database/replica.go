package database

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
)

// ReplicaAge is how old a result of FromReplica may be: it has every commit that the primary acknowledged longer ago.
const ReplicaAge = 2 * replicaFresh

const (
	replicaFresh   = 250 * time.Millisecond // how long a replica is used after it was as far as the primary
	replicaEvery   = 100 * time.Millisecond // between two checks
	replicaPause   = time.Second            // the same, while the replica cannot be used
	replicaStep    = 10 * time.Millisecond  // between two looks at a replica that is not yet as far as the primary
	replicaTimeout = 500 * time.Millisecond // the limit on connecting, and on a statement
)

// Reasons not to use a replica.
var (
	errReplicaLags   = errors.New("it lags behind the primary")
	errNoReplica     = errors.New("it is no replica: it can be written")
	errOtherDatabase = errors.New("it is a replica of another server, or its URL names another database")
	errOtherTimeline = errors.New("it has not yet made a checkpoint on the primary's timeline, or follows another server")
	errNotChecked    = errors.New("it has not been checked yet")
)

// Replica is a PostgreSQL server that follows a primary by streaming replication. It is used for reads only while it
// is known to be as far as the primary was a moment ago. It is safe for concurrent use.
type Replica struct {
	conns   *Conns
	primary *Conns
	// fresh is a time at which the replica had all that the primary had acknowledged; nil if that is not known.
	fresh atomic.Pointer[time.Time]

	reads, fallbacks atomic.Int64
}

// CheckReplicaURL returns ErrURL unless the URL is that of one PostgreSQL server. It opens nothing.
func CheckReplicaURL(url string) error {
	if _, ok := SQLitePath(url); ok {
		return fmt.Errorf("%w: a replica is a PostgreSQL server", ErrURL)
	}
	if err := CheckURL(url); err != nil {
		return err
	}
	config, err := parsePostgres(url)
	if err == nil && len(eachHost(config)) > 1 {
		err = fmt.Errorf("%w: a replica has one host: what was checked on one server says nothing about another", ErrURL)
	}
	return err
}

// OpenReplica returns the replica of a primary at a URL. It connects to it only in Follow. The error is ErrURL. Close
// it before the primary.
func OpenReplica(url string, limits Pool, primary *DB) (*Replica, error) {
	if err := CheckReplicaURL(url); err != nil {
		return nil, err
	}
	if primary.Engine != PostgreSQL {
		return nil, fmt.Errorf("%w: only a PostgreSQL database has replicas", ErrURL)
	}
	limits = limits.withDefaults()
	limits.ConnectTimeout = min(limits.ConnectTimeout, replicaTimeout)
	limits.StatementTimeout = min(limits.StatementTimeout, replicaTimeout)
	conns, err := newConns(limits, func() (*pgx.ConnConfig, error) { return parsePostgres(url) })
	if err != nil {
		return nil, err
	}
	return &Replica{conns: conns, primary: primary.Write}, nil
}

// Close closes the connections.
func (r *Replica) Close() error { return r.conns.Close() }

// Reads returns how many reads the replica has answered, and how many were left to the primary.
func (r *Replica) Reads() (answered, left int64) { return r.reads.Load(), r.fallbacks.Load() }

// Follow checks until ctx ends whether the replica can be used. It logs when that changes, and when the reason becomes
// one that only an administrator can remove.
func (r *Replica) Follow(ctx context.Context, log *slog.Logger) {
	defer r.fresh.Store(nil)
	last := errNotChecked // why the replica could not be used; nil if it could
	for {
		err := r.check(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err == nil && last != nil:
			log.InfoContext(ctx, "the database replica answers reads that may be half a second old")
		case err != nil && (last == nil || errors.Is(last, errNotChecked) || lasts(err) && !lasts(last)):
			log.WarnContext(ctx, "the database replica is not used: the primary answers all reads", "error", err)
		}
		last = err
		pause := replicaEvery
		if err != nil {
			pause = replicaPause
		}
		wait(ctx, pause)
	}
}

// lasts reports whether a reason not to use a replica lasts until an administrator does something.
func lasts(err error) bool { return errors.Is(err, errNoReplica) || errors.Is(err, errOtherDatabase) }

// wait returns after a time, or when ctx ends.
func wait(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// databaseID is an expression for the database that a connection is to: that of the same cluster with the same id.
const databaseID = "(SELECT system_identifier FROM pg_control_system()) || ' ' || " +
	"(SELECT oid FROM pg_database WHERE datname = current_database())"

// check asks the primary how far it is, and waits until the replica is there too. The time at which it asked is when
// the replica was fresh.
func (r *Replica) check(ctx context.Context) error {
	asked := time.Now()
	var position, timeline, database string
	err := r.primary.ScanRow(ctx, "SELECT CAST(pg_current_wal_flush_lsn() AS text), "+
		"substr(pg_walfile_name(pg_current_wal_flush_lsn()), 1, 8), "+databaseID, nil, &position, &timeline, &database)
	if err != nil {
		return fmt.Errorf("asking the primary: %w", err)
	}
	for time.Since(asked) < replicaFresh && ctx.Err() == nil {
		var follows, onTimeline, same bool
		var reached sql.NullBool
		// The timeline is that of the last checkpoint. A server that is left behind by a failover may have a higher
		// position on the old one.
		err := r.conns.ScanRow(ctx, "SELECT pg_is_in_recovery(), "+
			"pg_last_wal_replay_lsn() >= CAST(CAST($1 AS text) AS pg_lsn), upper(lpad(to_hex(timeline_id), 8, '0')) = $2, "+
			databaseID+" = $3 FROM pg_control_checkpoint()", []any{position, timeline, database},
			&follows, &reached, &onTimeline, &same)
		switch {
		case err != nil:
			return err
		case !follows:
			return errNoReplica
		case !same:
			return errOtherDatabase
		case !onTimeline:
			return errOtherTimeline
		case reached.Bool:
			r.fresh.Store(&asked)
			return nil
		}
		wait(ctx, replicaStep)
	}
	return errReplicaLags
}

// FromReplica returns what read reads from the replica, at most ReplicaAge old. It reports false if the primary must be
// asked: there is no replica (nil), it is not known to be fresh, or read has failed. A record that is not found counts
// as a failure: it may be new. Do not use FromReplica for what must be up to date.
func FromReplica[T any](r *Replica, read func(*Conns) (T, error)) (value T, ok bool) {
	if r == nil {
		return value, false
	}
	if fresh := r.fresh.Load(); fresh != nil && time.Since(*fresh) < replicaFresh {
		value, err := read(r.conns)
		if err == nil && time.Since(*fresh) < ReplicaAge {
			r.reads.Add(1)
			return value, true
		}
	}
	r.fallbacks.Add(1)
	return value, false
}
