package server

import (
	"context"
	"crypto/rand"
	"log/slog"
	"time"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/lowpriority"
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
	policy, err := s.SecondFactor.policy()
	if err != nil {
		return nil, err
	}
	workers, places := startWorkers(ctx, s, log), s.PasswordWorkers
	if workers != nil {
		places++ // the next login counts its try in the database while the workers are busy
	}
	gate := account.NewGate(places, s.PasswordQueue)
	gate.Wait = s.PasswordWait
	return &account.Login{
		Store:   data,
		Hasher:  hasher,
		Gate:    gate,
		Workers: workers,
		NameKey: []byte(key),
		Demo:    s.demoOn(),
		Hold:    time.Second,
		Now:     s.Now,

		MinPassword:   s.SecondFactor.PasswordMinLength,
		SecondFactors: policy,

		Log: log,
	}, nil
}

// startWorkers starts the threads that check passwords, unless they are turned off: then it
// returns nil. It warns if a quota of CPU time makes them take from other requests.
func startWorkers(ctx context.Context, s Settings, log *slog.Logger) *lowpriority.Workers {
	if hasCPUQuota {
		log.WarnContext(ctx, "this server has a quota of CPU time: password checks use it up, and when it is used up, all "+
			"requests wait for the next period; a CPU weight without a limit avoids this", "cpus", cpuQuota,
			"password_workers", s.PasswordWorkers)
	}
	if s.PasswordNice == 0 {
		return nil
	}
	return lowpriority.Start(s.PasswordWorkers, s.PasswordNice)
}

// defaultWorkers returns how many passwords are checked at once by default, on a machine with this
// many CPUs: one a CPU, or with a quota, as many as leave half a CPU of it to other requests. It
// is at least 1.
func defaultWorkers(cpus int, quota float64, limited bool) int {
	if limited {
		cpus = min(cpus, int(quota-0.5))
	}
	return min(max(cpus, 1), maxWorkers)
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
