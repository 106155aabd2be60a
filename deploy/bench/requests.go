package main

import (
	"context"
	"fmt"
	"time"

	"github.com/hallpass-auth/hallpass/deploy/bench/internal/load"
)

// Goals of a request.
const (
	leastRate = 0.90          // of the floor's requests a second
	mostCPU   = 1 / leastRate // times the floor's CPU time for a request
)

// How many rounds are measured until both servers are started anew, and how many it takes
// first until a server is as fast as it will be: its heap grows, and so do request ids.
const (
	roundsOfAStart = 4
	roundsToWarmUp = 3
)

// contestant is a server that is measured, what is sent to it, and what came of it,
// round by round.
type contestant struct {
	*server
	plan    load.Plan
	samples []sample
}

// sample is what one round of one server gave.
type sample struct {
	perSecond float64
	cpu       time.Duration // of the server, for one request
	p50, p99  time.Duration
	memory    int64
}

// measureRequests compares GET /users/me with a bare handler that sends the same. Both
// servers are started anew all the time: where a process happens to lie in memory makes it
// a tenth or two faster or slower, for as long as it lives.
func measureRequests(ctx context.Context, h *house, o options) ([]row, error) {
	requests, err := h.requestsForMe()
	if err != nil {
		return nil, err
	}
	var ours, floors []sample
	profile := o.profile
	for left := o.rounds; left > 0; left -= roundsOfAStart {
		o.rounds, o.profile = min(left, roundsOfAStart), ""
		if left <= roundsOfAStart {
			o.profile = profile // of the last server
		}
		of, floor, err := measureStarted(ctx, h, o, requests)
		if err != nil {
			return nil, err
		}
		ours, floors = append(ours, of...), append(floors, floor...)
	}
	return requestRows(ours, floors), nil
}

// measureStarted starts both servers and takes a sample of each in every round.
func measureStarted(ctx context.Context, h *house, o options, requests [][]byte) (ours, floors []sample, err error) {
	api, err := h.startAPI(serverCPUs())
	if err != nil {
		return nil, nil, err
	}
	defer api.stopInto(&err)
	our := &contestant{server: api, plan: load.Plan{Address: api.address, Requests: requests, Connections: connections, Spin: true}}
	if err := api.until(ctx, func() error { _, err := load.Run(ctx, once(our.plan)); return err }); err != nil {
		return nil, nil, err
	}
	if _, err := h.load(ctx, our, roundsToWarmUp*o.round); err != nil {
		return nil, nil, err
	}
	bare, err := h.startFloor(ctx, api.address, requests[0])
	if err != nil {
		return nil, nil, err
	}
	defer bare.stopInto(&err)
	floor := &contestant{server: bare, plan: our.plan}
	if _, err := h.load(ctx, floor, roundsToWarmUp*o.round); err != nil {
		return nil, nil, err
	}
	if err := inTurns(ctx, o.rounds, h.round(floor, o.round), h.round(our, o.round)); err != nil {
		return nil, nil, err
	}
	if o.profile != "" {
		err = h.writeProfile(ctx, our.plan, api.admin, o.profile)
	}
	return our.samples, floor.samples, err
}

// requestsForMe returns a request for each connection, each with a token of its own.
func (h *house) requestsForMe() ([][]byte, error) {
	requests := make([][]byte, connections)
	for i := range requests {
		raw, err := h.newToken(fmt.Sprintf("token-%d", i))
		if err != nil {
			return nil, err
		}
		requests[i] = []byte("GET /users/me HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: bench\r\nAccept: */*\r\nAuthorization: Bearer " + raw + "\r\n\r\n")
	}
	return requests, nil
}

// once is the plan with a single request.
func once(p load.Plan) load.Plan {
	p.Connections, p.Count, p.Duration = 1, 1, 0
	return p
}

// turn measures one thing once.
type turn func(ctx context.Context) error

// inTurns takes all the turns in one round after another, so that what disturbs the
// machine disturbs them all.
func inTurns(ctx context.Context, rounds int, turns ...turn) error {
	for range rounds {
		for _, take := range turns {
			if err := take(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// load puts the contestant under load. The next load goes on where this one ended.
func (h *house) load(ctx context.Context, c *contestant, duration time.Duration) (generated, error) {
	plan := c.plan
	plan.Address, plan.Duration = c.address, duration
	result, err := h.runGenerator(ctx, plan)
	if err != nil {
		return generated{}, err
	}
	c.plan.Requests = result.Next
	return result, nil
}

// round is the turn of the contestant: one more sample.
func (h *house) round(c *contestant, duration time.Duration) turn {
	return func(ctx context.Context) error {
		before, err := c.CPU()
		if err != nil {
			return err
		}
		result, err := h.load(ctx, c, duration)
		if err != nil {
			return err
		}
		after, err := c.CPU()
		if err != nil {
			return err
		}
		memory, err := c.Memory()
		c.samples = append(c.samples, sample{
			perSecond: result.PerSecond,
			cpu:       (after - before) / time.Duration(result.Requests),
			p50:       result.P50,
			p99:       result.P99,
			memory:    memory.Resident,
		})
		return err
	}
}

// requestRows are the lines about GET /users/me, with its goals.
func requestRows(ours, floors []sample) []row {
	rows := compared("**GET /users/me** (floor: a bare net/http handler, same answer)", ours, floors)
	rate, cpu := ratios(ours, floors, perSecond).Median, ratios(ours, floors, cpuTime).Median
	rows[1].goal = verdict(fmt.Sprintf("%.2f or more", leastRate), rate >= leastRate)
	rows[2].goal = verdict(fmt.Sprintf("%.2f or less", mostCPU), cpu <= mostCPU)
	return rows
}

func perSecond(s sample) float64 { return s.perSecond }
func cpuTime(s sample) float64   { return float64(s.cpu) }

// compared turns the samples, round by round, into lines of the table below a heading.
func compared(heading string, ours, floors []sample) []row {
	micro := func(f float64) string { return fmt.Sprintf("%.1f µs", f/1e3) }
	line := func(what string, of func(sample) float64, show func(float64) string) row {
		return row{what, show(middle(ours, of)), show(middle(floors, of)), ratioText(ratios(ours, floors, of)), ""}
	}
	return []row{
		{what: heading},
		line("requests a second", perSecond, wholeNumber),
		line("server CPU for a request", cpuTime, micro),
		line("latency, median", func(s sample) float64 { return float64(s.p50) }, micro),
		line("latency, 99th percentile", func(s sample) float64 { return float64(s.p99) }, micro),
		line("memory under load", func(s sample) float64 { return float64(s.memory) }, func(f float64) string { return mebibytes(int64(f)) }),
	}
}

func wholeNumber(f float64) string { return fmt.Sprintf("%.0f", f) }

// middle is the median of one figure of the samples.
func middle(samples []sample, of func(sample) float64) float64 {
	return spread(samples, of).Median
}

func spread(samples []sample, of func(sample) float64) load.Spread[float64] {
	values := make([]float64, len(samples))
	for i, s := range samples {
		values[i] = of(s)
	}
	return load.SpreadOf(values)
}

// ratios is the spread of ours over the floor's, each round by itself: what disturbs
// the machine for seconds disturbs both.
func ratios(ours, floors []sample, of func(sample) float64) load.Spread[float64] {
	values := make([]float64, len(ours))
	for i := range ours {
		values[i] = of(ours[i]) / of(floors[i])
	}
	return load.SpreadOf(values)
}
