package web

import (
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
)

// Limits on guessing a client's secret (RFC 6749 §10.10). Secrets have 256 random
// bits, so this is less about guesses that might hit than about what they cost.
const (
	guessBurst    = 20
	guessInterval = time.Second
	maxGuessers   = 10_000
)

// guessLimiter slows down whoever fails to authenticate as a client. A guesser is a
// client id and an address, so that nobody locks a client out for others. It lives
// in memory: each replica counts for itself.
type guessLimiter struct {
	now func() time.Time

	mu       sync.Mutex
	guessers map[string]*rate.Limiter
}

func newGuessLimiter(now func() time.Time) *guessLimiter {
	return &guessLimiter{now: now, guessers: map[string]*rate.Limiter{}}
}

// check returns a *account.ThrottledError if the guesser has failed too often.
func (g *guessLimiter) check(guesser string) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if l, ok := g.guessers[guesser]; ok && l.TokensAt(g.now()) < 1 {
		return &account.ThrottledError{Wait: guessInterval}
	}
	return nil
}

// failed counts a failure. When there are too many guessers, those that have been
// quiet long enough are forgotten, and if there are none, all are.
func (g *guessLimiter) failed(guesser string) {
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
	l.AllowN(now, 1)
}
