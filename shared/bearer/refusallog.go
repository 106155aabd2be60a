package bearer

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// refusalInterval is the time between two refusals that are logged at level info.
const refusalInterval = time.Minute

// refusalLog logs why tokens are refused: one refusal a minute at level info, the others at level debug.
// A misconfigured API refuses every token, and its log should say why at the default level. But clients
// must not be able to fill the log, and expired tokens are routine.
type refusalLog struct {
	mu   sync.Mutex
	last time.Time // when a refusal was last logged at level info
	more int       // refusals since then
}

// add logs a refusal. A nil refusalLog logs at level debug only.
func (l *refusalLog) add(ctx context.Context, log *slog.Logger, reason error) {
	if l != nil {
		if more, due := l.due(time.Now()); due {
			log.InfoContext(ctx, "access token refused", "reason", reason, "more_refused_before", more)
			return
		}
	}
	log.DebugContext(ctx, "access token refused", "reason", reason)
}

// due reports whether to log a refusal at level info now, and how many refusals were not logged at that
// level since the last one.
func (l *refusalLog) due(now time.Time) (more int, due bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.last.IsZero() && now.Sub(l.last) < refusalInterval {
		l.more++
		return 0, false
	}
	more, l.last, l.more = l.more, now, 0
	return more, true
}
