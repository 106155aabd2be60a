// Package sparselog limits the log lines that strangers can cause.
package sparselog

import (
	"log/slog"
	"sync"
	"time"
)

// Interval is the time between two reasons that are logged at their level.
const Interval = time.Minute

// Reasons limits the log of why something is not accepted: one reason a minute at its level, the others at level
// debug. A wrong configuration refuses everything, and the log should say why at the default level. But clients must
// not be able to fill the log. It is safe for concurrent use.
type Reasons struct {
	level slog.Level
	more  string

	mu    sync.Mutex
	last  time.Time // when a reason was last logged at the level
	count int       // reasons since then
}

// New returns Reasons for a level. more is the attribute with the number of reasons that were logged at level debug
// only since the last one.
func New(level slog.Level, more string) *Reasons { return &Reasons{level: level, more: more} }

// Next returns the level and the attributes to log a reason with at the time now.
func (r *Reasons) Next(reason error, now time.Time) (slog.Level, []any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.last.IsZero() && now.Sub(r.last) < Interval {
		r.count++
		return slog.LevelDebug, []any{"reason", reason}
	}
	count := r.count
	r.last, r.count = now, 0
	return r.level, []any{"reason", reason, r.more, count}
}
