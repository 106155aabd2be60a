package bff

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// warningsPause is the time between two lines of warnings at level warn.
const warningsPause = time.Minute

// warnings logs why logout tokens are not accepted: one line a minute at level warn, the others at level debug, so that
// strangers cannot fill the log.
type warnings struct {
	mu   sync.Mutex
	last time.Time // when a line was last logged at level warn
	more int       // lines since then
}

// add logs a reason at the time now.
func (l *warnings) add(ctx context.Context, log *slog.Logger, now time.Time, reason error) {
	if more, due := l.due(now); due {
		log.WarnContext(ctx, "logout token not accepted", "reason", reason, "more_before", more)
		return
	}
	log.DebugContext(ctx, "logout token not accepted", "reason", reason)
}

// due reports whether to log a line at level warn now, and how many were not logged at that level since the last one.
func (l *warnings) due(now time.Time) (more int, due bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.last.IsZero() && now.Sub(l.last) < warningsPause {
		l.more++
		return 0, false
	}
	more, l.last, l.more = l.more, now, 0
	return more, true
}
