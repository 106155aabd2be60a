package main

import (
	"context"
	"fmt"
	"time"

	"github.com/hallpass-auth/hallpass/deploy/bench/internal/load"
)

// Goals of a start.
const (
	starts     = 10
	mostStart  = 100 * time.Millisecond
	mostMemory = 30 << 20 // bytes at rest
	restTime   = time.Second
)

// measureStart measures how soon each program answers after it was started, and
// what it holds in memory when it has nothing to do.
func measureStart(ctx context.Context, h *house, _ options) ([]row, error) {
	requests, err := h.requestsForMe()
	if err != nil {
		return nil, err
	}
	programs := []struct {
		name    string
		run     func(cpus int) (*server, error)
		request []byte
	}{
		{authserver, h.startAuth, loginRequest()},
		{resourceserver, h.startAPI, requests[0]},
	}
	rows := []row{{what: "**Start and rest**"}}
	for _, p := range programs {
		if err := h.oneStart(ctx, p.run, nil); err != nil { // makes the database where there is none
			return rows, err
		}
		var times []time.Duration
		for range starts {
			if err := h.oneStart(ctx, p.run, &times); err != nil {
				return rows, err
			}
		}
		fresh, used, err := h.atRest(ctx, p.run, p.request)
		if err != nil {
			return rows, err
		}
		median := load.SpreadOf(times).Median
		rows = append(rows,
			row{p.name + ": start to first answer", fmt.Sprintf("%.1f ms", float64(median.Microseconds())/1e3), "", "", verdict("under 100 ms", median < mostStart)},
			row{p.name + ": memory after the start", mebibytes(fresh), "", "", verdict("under 30 MiB", fresh < mostMemory)},
			row{p.name + ": memory after one request", mebibytes(used), "", "", verdict("under 30 MiB", used < mostMemory)},
		)
	}
	return rows, nil
}

// readyRequest asks whether a server can do its job.
var readyRequest = []byte("GET /readyz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")

// oneStart starts a server, adds the time until it said that it is ready to times,
// if there is such a list, and stops it.
func (h *house) oneStart(ctx context.Context, run func(int) (*server, error), times *[]time.Duration) (err error) {
	begin := time.Now()
	s, err := run(0)
	if err != nil {
		return err
	}
	defer s.stopInto(&err)
	if err := s.untilReady(ctx); err != nil {
		return err
	}
	if times != nil {
		*times = append(*times, time.Since(begin))
	}
	return nil
}

func (s *server) untilReady(ctx context.Context) error {
	plan := load.Plan{Address: s.admin, Requests: [][]byte{readyRequest}, Connections: 1, Count: 1}
	return s.until(ctx, func() error { _, err := load.Run(ctx, plan); return err })
}

// atRest returns the memory, in bytes, of a server a little after its start, and a
// little after its first request.
func (h *house) atRest(ctx context.Context, run func(int) (*server, error), request []byte) (fresh, used int64, err error) {
	s, err := run(0)
	if err != nil {
		return 0, 0, err
	}
	defer s.stopInto(&err)
	if err := s.untilReady(ctx); err != nil {
		return 0, 0, err
	}
	if fresh, err = s.restingMemory(); err != nil {
		return 0, 0, err
	}
	plan := load.Plan{Address: s.address, Requests: [][]byte{request}, Connections: 1, Count: 1}
	if _, err := load.Run(ctx, plan); err != nil {
		return 0, 0, err
	}
	used, err = s.restingMemory()
	return fresh, used, err
}

func (s *server) restingMemory() (int64, error) {
	time.Sleep(restTime)
	m, err := s.Memory()
	return m.Resident, err
}
