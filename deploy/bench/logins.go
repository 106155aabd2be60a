package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"runtime"
	"time"

	"golang.org/x/crypto/bcrypt"
	"golang.org/x/sync/errgroup"
)

const (
	loginRounds   = 5
	loginsEach    = 8    // logins of each client in a round
	refusalsEach  = 5    // in a round; after ten failures an account is slowed down
	minOfCompares = 0.95 // goal: logins a second against comparisons of bcrypt
	maxDifference = 0.10 // goal: between the times of both kinds of refusals
)

// measureLogins compares logins a second with bcrypt alone, and the time to refuse a wrong
// password with the time to refuse an unknown user.
func measureLogins(ctx context.Context, b *bench) ([]row, error) {
	auth, err := b.serveAuth(ctx, 0, b.sqlite("logins"), bcryptCost)
	if err != nil {
		return nil, err
	}
	defer auth.stop()
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcryptCost)
	if err != nil {
		return nil, err
	}
	login := func() error { _, err := logIn(ctx, auth); return err }
	var our, floor, wrong, unknown []float64
	for range loginRounds {
		compares, errCompare := inParallel(func() error { return bcrypt.CompareHashAndPassword(hash, []byte(password)) })
		logins, errLogin := inParallel(login)
		our, floor = append(our, logins), append(floor, compares)
		var errWrong, errUnknown error
		for range refusalsEach {
			errWrong = errors.Join(errWrong, timeRefusal(ctx, auth, username, &wrong))
			errUnknown = errors.Join(errUnknown, timeRefusal(ctx, auth, fmt.Sprintf("nobody-%d", len(wrong)), &unknown))
		}
		errReset := login() // resets the number of failures
		if err := errors.Join(errCompare, errLogin, errWrong, errUnknown, errReset); err != nil {
			return nil, err
		}
	}
	refusals := compare("refusing a wrong password (floor: an unknown user)", "%.1f ms", wrong, unknown, 0)
	difference := math.Abs(median(ratios(wrong, unknown)) - 1)
	refusals[goal] = verdict(fmt.Sprintf("1 ± %.2f", maxDifference), difference <= maxDifference)
	return []row{
		{what: fmt.Sprintf("**Login, POST /token** (floor: bcrypt with cost %d alone)", bcryptCost)},
		compare("logins a second", "%.2f", our, floor, minOfCompares),
		refusals,
	}, nil
}

// inParallel runs work loginsEach times on each CPU and returns how often a second.
func inParallel(work func() error) (perSecond float64, err error) {
	begin := time.Now()
	var workers errgroup.Group
	for range runtime.NumCPU() {
		workers.Go(func() error {
			for range loginsEach {
				if err := work(); err != nil {
					return err
				}
			}
			return nil
		})
	}
	err = workers.Wait()
	return float64(runtime.NumCPU()*loginsEach) / time.Since(begin).Seconds(), err
}

// timeRefusal appends the time, in milliseconds, to refuse a login with a wrong password.
func timeRefusal(ctx context.Context, auth *server, username string, times *[]float64) error {
	begin := time.Now()
	_, err := passwordGrant(username, "wrong password").send(ctx, auth, http.StatusBadRequest)
	*times = append(*times, float64(time.Since(begin).Microseconds())/1e3)
	return err
}
