package main

import (
	"context"
	"fmt"
	"net/url"
	"runtime"
	"strconv"
	"sync"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/hallpass-auth/hallpass/deploy/bench/internal/load"
)

const (
	bcryptCost  = 12
	loginRounds = 5
	// loginsEach is how many logins each client makes in a round. They are counted and
	// not timed out: at some a second, the one cut off by the clock would matter.
	loginsEach = 8
	leastLogin = 0.95 // of the floor's logins a second
)

// measureLogins compares password logins with the hash comparison that each of
// them needs, both on all CPUs.
func measureLogins(ctx context.Context, h *house, _ options) (rows []row, err error) {
	auth, err := h.startAuth(0)
	if err != nil {
		return nil, err
	}
	defer auth.stopInto(&err)
	plan := load.Plan{Address: auth.address, Requests: [][]byte{loginRequest()}, Connections: runtime.NumCPU(), Count: loginsEach}
	if err := auth.until(ctx, func() error { _, err := load.Run(ctx, once(plan)); return err }); err != nil {
		return nil, err
	}
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcryptCost)
	if err != nil {
		return nil, err
	}
	var ours, floors []sample
	for range loginRounds {
		bare, err := compareHashes(hash)
		if err != nil {
			return nil, err
		}
		floors = append(floors, sample{perSecond: bare})
		result, err := load.Run(ctx, plan)
		if err != nil {
			return nil, err
		}
		ours = append(ours, sample{perSecond: result.PerSecond()})
	}
	rate := func(s sample) float64 { return s.perSecond }
	r := ratios(ours, floors, rate)
	return []row{
		{what: "**Login, POST /token** (floor: nothing but bcrypt of cost " + strconv.Itoa(bcryptCost) + ")"},
		{"logins a second", fmt.Sprintf("%.2f", middle(ours, rate)), fmt.Sprintf("%.2f", middle(floors, rate)), ratioText(r),
			verdict(fmt.Sprintf("%.2f or more", leastLogin), r.Median >= leastLogin)},
	}, nil
}

// loginRequest is the login of the demo user.
func loginRequest() []byte {
	return formRequest("/token", "", url.Values{"grant_type": {"password"}, "client_id": {demoClient}, "username": {username}, "password": {password}})
}

// formRequest is a POST of the form as it goes over the wire. The header is further
// lines, each with its end.
func formRequest(path, header string, form url.Values) []byte {
	body := form.Encode()
	return fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: bench\r\nAccept: */*\r\n%s"+
		"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n%s", path, header, len(body), body)
}

// compareHashes compares the demo user's password with its hash as often as a round
// of logins does, on all CPUs, and returns the comparisons in a second.
func compareHashes(hash []byte) (float64, error) {
	start := time.Now()
	failed := make(chan error, runtime.NumCPU())
	var workers sync.WaitGroup
	for range runtime.NumCPU() {
		workers.Go(func() {
			for range loginsEach {
				if err := bcrypt.CompareHashAndPassword(hash, []byte(password)); err != nil {
					failed <- err
					return
				}
			}
		})
	}
	workers.Wait()
	select {
	case err := <-failed:
		return 0, err
	default:
		return float64(runtime.NumCPU()*loginsEach) / time.Since(start).Seconds(), nil
	}
}
