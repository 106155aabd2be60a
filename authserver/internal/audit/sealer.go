package audit

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"
)

// How often a server seals, how many records at once, and how often it drops old ones.
const (
	sealEvery = time.Second
	sealBatch = 200
	dropEvery = time.Hour
	dropBatch = 1000
	// forgetBatch is how many names are checked at once.
	forgetBatch = 100
)

// MinRetention is the shortest time for which records are kept. The database refuses to drop younger ones, so that an
// attacker who has taken over a server cannot remove the traces of it.
const MinRetention = 30 * 24 * time.Hour

// SealStore is the storage that Sealer needs. Its methods are safe for concurrent use.
type SealStore interface {
	// SealAudit adds up to limit records that wait to the chain, and returns how many. If another server does so at the
	// same time, one of them succeeds and the other returns 0.
	SealAudit(ctx context.Context, limit int) (int, error)
	// CutAudit marks the oldest part of the chain, all of which is older than a time, to be dropped.
	CutAudit(ctx context.Context, before, now time.Time) error
	// DropAudit deletes up to limit records that are marked, and returns how many.
	DropAudit(ctx context.Context, limit int) (int64, error)
	// ForgetNames checks up to limit names, in order of their ids: those after the given id that were made before a
	// time. It deletes the names that no record has. It returns the last id that it checked, or "" if there was none.
	ForgetNames(ctx context.Context, after string, before time.Time, limit int) (last string, err error)
}

// Sealer chains records, and drops those that are too old. It is safe for concurrent use. Store, Now and Log are
// required.
type Sealer struct {
	Store SealStore
	// Retention is how long records are kept; 0 means forever.
	Retention time.Duration
	Now       func() time.Time
	Log       *slog.Logger

	sealed, dropped, errors atomic.Int64
}

// Sealed returns how many records this server has chained.
func (s *Sealer) Sealed() int64 { return s.sealed.Load() }

// Dropped returns how many records this server has dropped.
func (s *Sealer) Dropped() int64 { return s.dropped.Load() }

// Errors returns how often this server could not seal or drop.
func (s *Sealer) Errors() int64 { return s.errors.Load() }

// Run seals once a second, and drops old records once an hour, until ctx ends.
func (s *Sealer) Run(ctx context.Context) {
	seal, drop := time.NewTicker(sealEvery), time.NewTicker(dropEvery)
	defer seal.Stop()
	defer drop.Stop()
	s.logged(ctx, "drop old records", s.drop(ctx))
	for {
		select {
		case <-ctx.Done():
			return
		case <-seal.C:
			s.logged(ctx, "seal records", s.seal(ctx))
		case <-drop.C:
			s.logged(ctx, "drop old records", s.drop(ctx))
		}
	}
}

func (s *Sealer) logged(ctx context.Context, doing string, err error) {
	if err != nil && ctx.Err() == nil {
		s.errors.Add(1)
		s.Log.WarnContext(ctx, "cannot update the audit log: another attempt follows", "doing", doing, "error", err)
	}
}

// seal chains all records that wait. The error is the store's.
func (s *Sealer) seal(ctx context.Context) error {
	for {
		n, err := s.Store.SealAudit(ctx, sealBatch)
		s.sealed.Add(int64(n))
		if err != nil || n < sealBatch {
			return err
		}
	}
}

// drop deletes the records of whole days that are older than the retention, and then the names that only they had. The
// error is the store's.
func (s *Sealer) drop(ctx context.Context) error {
	if s.Retention == 0 {
		return nil
	}
	now := s.Now()
	before := now.Add(-s.Retention).UTC().Truncate(24 * time.Hour)
	if err := s.Store.CutAudit(ctx, before, now); err != nil {
		return err
	}
	for {
		n, err := s.Store.DropAudit(ctx, dropBatch)
		s.dropped.Add(n)
		if err != nil {
			return err
		}
		if n == 0 {
			return s.forget(ctx, before)
		}
	}
}

// forget deletes the names for which no record is left. A name is as old as its first record. The error is the store's.
func (s *Sealer) forget(ctx context.Context, before time.Time) error {
	for after := ""; ; {
		last, err := s.Store.ForgetNames(ctx, after, before, forgetBatch)
		if err != nil || last == "" {
			return err
		}
		after = last
	}
}
