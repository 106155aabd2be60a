package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"runtime"
	"strconv"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/bcrypt"
	"golang.org/x/sync/errgroup"
)

// loginClients are the numbers of clients that log in at once.
var loginClients = []int{2, 8, 64}

const (
	loginRounds   = 3
	loginTime     = 4 * time.Second // of a round; clients then wait for their last responses
	refusalsEach  = 5               // in a round; after ten failures an account is slowed down
	minOfCompares = 0.97            // goal: logins a second against comparisons of bcrypt
	maxDifference = 0.10            // goal: between the times of both kinds of refusals
)

// bareBcrypt is the subject that compares passwords with a hash, on all CPUs.
const bareBcrypt = "bcrypt"

// measureLogins compares logins a second with bcrypt alone, and the time to refuse a wrong
// password with the time to refuse an unknown user.
func measureLogins(ctx context.Context, b *bench) ([]row, error) {
	auth, err := b.serveAuth(ctx, share{}, b.sqlite("logins"), bcryptCost)
	if err != nil {
		return nil, err
	}
	defer auth.stop()
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcryptCost)
	if err != nil {
		return nil, err
	}
	subjects := []subject{repeated(bareBcrypt, runtime.NumCPU(), func(context.Context) (bool, error) {
		return true, bcrypt.CompareHashAndPassword(hash, []byte(password))
	})}
	for _, n := range loginClients {
		login := func(ctx context.Context) (bool, error) { return tryLogIn(ctx, auth) }
		subjects = append(subjects, repeated(strconv.Itoa(n), n, login))
	}
	r := results{}
	if err := r.measure(ctx, loginRounds, subjects...); err != nil {
		return nil, err
	}
	rows := []row{{what: fmt.Sprintf("**Logins** (floor: bcrypt with cost %d alone, on all CPUs)", bcryptCost)}}
	for _, n := range loginClients {
		rows = append(rows, compare(fmt.Sprintf("logins a second, %d clients", n), "%.2f",
			r.column(strconv.Itoa(n), perSecond), r.column(bareBcrypt, perSecond), atLeast(minOfCompares)))
	}
	refusals, err := measureRefusals(ctx, auth)
	return append(rows, refusals), err
}

// repeated is a subject: a number of workers that work again and again. work reports whether
// it succeeded. The rate is that of successes up to the last one.
func repeated(name string, workers int, work func(context.Context) (bool, error)) subject {
	return subject{name, func(ctx context.Context) (s sample, err error) {
		var count, last atomic.Int64
		begin := time.Now()
		group, ctx := errgroup.WithContext(ctx)
		for range workers {
			group.Go(func() error {
				for time.Since(begin) < loginTime {
					succeeded, err := work(ctx)
					if err != nil {
						return err
					}
					if succeeded {
						count.Add(1)
						last.Store(int64(time.Since(begin)))
					}
				}
				return nil
			})
		}
		if err := group.Wait(); err != nil {
			return s, err
		}
		if count.Load() == 0 {
			return s, errors.New("nothing succeeded")
		}
		s[perSecond] = float64(count.Load()) / time.Duration(last.Load()).Seconds()
		return s, nil
	}}
}

// tryLogIn logs in. It reports false if the server is too busy, after the time that the server
// asks clients to wait.
func tryLogIn(ctx context.Context, auth *server) (bool, error) {
	r, err := passwordGrant(username, password).fetch(ctx, auth.address)
	switch {
	case err != nil || r.status == http.StatusOK:
		return true, err
	case r.status != http.StatusServiceUnavailable:
		return false, fmt.Errorf("login: status %d: %s", r.status, r.body)
	}
	return false, r.wait(ctx)
}

// measureRefusals compares the times to refuse a wrong password and an unknown user.
func measureRefusals(ctx context.Context, auth *server) (row, error) {
	var wrong, unknown []float64
	for range loginRounds {
		for range refusalsEach {
			errWrong := timeRefusal(ctx, auth, username, &wrong)
			errUnknown := timeRefusal(ctx, auth, fmt.Sprintf("nobody-%d", len(wrong)), &unknown)
			if err := errors.Join(errWrong, errUnknown); err != nil {
				return row{}, err
			}
		}
		if _, err := logIn(ctx, auth); err != nil { // resets the number of failures
			return row{}, err
		}
	}
	same := goal{fmt.Sprintf("1 ± %.2f", maxDifference), func(_, ratio float64) bool {
		return math.Abs(ratio-1) <= maxDifference
	}}
	return compare("refusing a wrong password (floor: an unknown user)", "%.1f ms", wrong, unknown, same), nil
}

// timeRefusal appends the time, in milliseconds, to refuse a login with a wrong password.
func timeRefusal(ctx context.Context, auth *server, username string, times *[]float64) error {
	begin := time.Now()
	_, err := passwordGrant(username, "wrong password").send(ctx, auth, http.StatusBadRequest)
	*times = append(*times, float64(time.Since(begin).Microseconds())/1e3)
	return err
}
