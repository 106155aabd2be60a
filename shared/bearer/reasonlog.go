package bearer

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// reasonInterval is the time between two reasons that a reasonLog logs at its level.
const reasonInterval = time.Minute

// reasonLog limits the log of why tokens are not accepted: one reason a minute at its level, the others at
// level debug. A misconfigured API refuses every token, and its log should say why at the default level. But
// clients must not be able to fill the log, and expired tokens are routine.
type reasonLog struct {
	level slog.Level
	more  string // the attribute with the number of reasons that were logged at level debug only, since the last one

	mu    sync.Mutex
	last  time.Time // when a reason was last logged at the level
	count int       // reasons since then
}

// next returns the level and the attributes to log a reason with.
func (l *reasonLog) next(reason error) (slog.Level, []any) {
	if count, due := l.due(time.Now()); due {
		return l.level, []any{"reason", reason, l.more, count}
	}
	return slog.LevelDebug, []any{"reason", reason}
}

// due reports whether to log a reason at the level now, and how many reasons were logged at level debug
// since the last one.
func (l *reasonLog) due(now time.Time) (count int, due bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.last.IsZero() && now.Sub(l.last) < reasonInterval {
		l.count++
		return 0, false
	}
	count, l.last, l.count = l.count, now, 0
	return count, true
}

// logRefused logs why a token, or a proof for it, is refused.
func (g *Guard) logRefused(ctx context.Context, reason error) {
	level, attributes := slog.LevelDebug, []any{"reason", reason}
	if g.refused != nil {
		level, attributes = g.refused.next(reason)
	}
	g.log.Log(ctx, level, "access token refused", attributes...)
}
