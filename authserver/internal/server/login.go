package server

import (
	"context"
	"crypto/rand"
	"log/slog"
	"time"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/secret"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
)

// newLogin returns what checks passwords. The first server of a database makes the key of the
// digests of unknown usernames.
func newLogin(
	ctx context.Context,
	s Settings,
	data *store.Store,
	hasher *account.Hasher,
	log *slog.Logger,
) (*account.Login, error) {
	fresh, err := secret.New(rand.Reader, "")
	if err != nil {
		return nil, err
	}
	key, err := data.NameKey(ctx, fresh)
	if err != nil {
		return nil, err
	}
	return &account.Login{
		Store:   data,
		Hasher:  hasher,
		Gate:    account.NewGate(s.PasswordWorkers, s.PasswordQueue),
		NameKey: []byte(key),
		Demo:    s.demoOn(),
		Wait:    s.PasswordWait,
		Hold:    time.Second,
		Now:     time.Now,
		Log:     log,
	}, nil
}

// shownTwins is how many pairs of similar usernames the log shows.
const shownTwins = 20

// warnOfTwins logs pairs of usernames that look the same. Both keep working: an administrator
// decides.
func warnOfTwins(ctx context.Context, data *store.Store, log *slog.Logger) {
	twins, err := data.Twins(ctx, shownTwins)
	if err != nil {
		log.WarnContext(ctx, "cannot look for usernames that look the same", "error", err)
	}
	for _, t := range twins {
		log.WarnContext(ctx, "two usernames look the same: is one an impostor?",
			"event", "username_twins", "username", t.First, "twin", t.Second)
	}
}
