package web

import (
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
)

// Limits on guessing a client's secret (RFC 6749 §10.10).
const (
	guessBurst    = 20
	guessInterval = time.Second
	maxGuessers   = 10_000
)

// guessLimiter tells whoever fails to authenticate as a client to wait. It is never asked
// about the right secret: with 256 random bits nobody finds that by guessing, and the
// client must not be kept out by whoever shares its address. A guesser is a client id and
// an address. It lives in memory: each replica counts for itself.
type guessLimiter struct {
	now func() time.Time

	mu       sync.Mutex
	guessers map[string]*rate.Limiter
}

func newGuessLimiter(now func() time.Time) *guessLimiter {
	return &guessLimiter{now: now, guessers: map[string]*rate.Limiter{}}
}

// failed counts a failure. It returns a *account.ThrottledError if there were too many
// before. When there are too many guessers, those that have been quiet long enough are
// forgotten, and if there are none, all are.
func (g *guessLimiter) failed(guesser string) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.now()
	if len(g.guessers) >= maxGuessers {
		for name, l := range g.guessers {
			if l.TokensAt(now) >= guessBurst {
				delete(g.guessers, name)
			}
		}
		if len(g.guessers) >= maxGuessers {
			clear(g.guessers)
		}
	}
	l, ok := g.guessers[guesser]
	if !ok {
		l = rate.NewLimiter(rate.Every(guessInterval), guessBurst)
		g.guessers[guesser] = l
	}
	if !l.AllowN(now, 1) {
		return &account.ThrottledError{Wait: guessInterval}
	}
	return nil
}
