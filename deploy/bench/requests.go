package main

import (
	"context"
	"fmt"
	"time"

	"github.com/hallpass-auth/hallpass/deploy/bench/internal/load"
	"github.com/hallpass-auth/hallpass/deploy/bench/internal/process"
)

// Goals of a request.
const (
	leastRate = 0.90          // of the floor's requests a second
	mostCPU   = 1 / leastRate // times the floor's CPU time for a request
)

// sample is what one round of one server gave.
type sample struct {
	perSecond float64
	cpu       time.Duration // of the server, for one request
	p50, p99  time.Duration
	memory    int64
}

// measureRequests compares GET /users/me with a bare handler that sends the same.
func measureRequests(ctx context.Context, h *house, o options) (rows []row, err error) {
	requests, err := h.requestsForMe()
	if err != nil {
		return nil, err
	}
	api, err := h.startAPI(serverCPUs())
	if err != nil {
		return nil, err
	}
	defer api.stopInto(&err)
	plan := load.Plan{Address: api.address, Requests: requests, Connections: connections, Duration: time.Second, Spin: true}
	if err := api.until(ctx, func() error { _, err := load.Run(ctx, once(plan)); return err }); err != nil {
		return nil, err
	}
	if _, err := h.runGenerator(ctx, plan); err != nil { // warms up, and lets request ids grow to their usual length
		return nil, err
	}
	floor, err := h.startFloor(ctx, api.address, requests[0])
	if err != nil {
		return nil, err
	}
	defer floor.stopInto(&err)
	plan.Address = floor.address
	if _, err := h.runGenerator(ctx, plan); err != nil {
		return nil, err
	}
	plan.Duration = o.round
	ours, floors, err := h.inTurns(ctx, plan, api, floor, o.rounds)
	if err != nil {
		return nil, err
	}
	if o.profile != "" {
		plan.Address = api.address
		err = h.writeProfile(ctx, plan, api.admin, o.profile)
	}
	return requestRows(ours, floors), err
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

// inTurns measures both servers in one round after another.
func (h *house) inTurns(ctx context.Context, plan load.Plan, api, floor *server, rounds int) (ours, floors []sample, err error) {
	for range rounds {
		for _, s := range []struct {
			*server
			samples *[]sample
		}{{floor, &floors}, {api, &ours}} {
			plan.Address = s.address
			one, err := h.sample(ctx, plan, s.Process)
			if err != nil {
				return nil, nil, err
			}
			*s.samples = append(*s.samples, one)
		}
	}
	return ours, floors, nil
}

// sample runs the plan once against the process.
func (h *house) sample(ctx context.Context, plan load.Plan, p *process.Process) (sample, error) {
	before, err := p.CPU()
	if err != nil {
		return sample{}, err
	}
	result, err := h.runGenerator(ctx, plan)
	if err != nil {
		return sample{}, err
	}
	after, err := p.CPU()
	if err != nil {
		return sample{}, err
	}
	memory, err := p.Memory()
	return sample{
		perSecond: result.PerSecond,
		cpu:       (after - before) / time.Duration(result.Requests),
		p50:       result.P50,
		p99:       result.P99,
		memory:    memory.Resident,
	}, err
}

// requestRows turns the samples, round by round, into lines of the table.
func requestRows(ours, floors []sample) []row {
	rate := func(s sample) float64 { return s.perSecond }
	cpu := func(s sample) float64 { return float64(s.cpu) }
	rates, cpus := ratios(ours, floors, rate), ratios(ours, floors, cpu)
	micro := func(of func(sample) float64) func([]sample) string {
		return func(s []sample) string { return fmt.Sprintf("%.1f µs", middle(s, of)/1e3) }
	}
	line := func(what string, show func([]sample) string, r load.Spread[float64], goal string) row {
		return row{what, show(ours), show(floors), ratioText(r), goal}
	}
	p50 := func(s sample) float64 { return float64(s.p50) }
	p99 := func(s sample) float64 { return float64(s.p99) }
	memory := func(s sample) float64 { return float64(s.memory) }
	return []row{
		{what: "**GET /users/me** (floor: a bare net/http handler, same answer)"},
		line("requests a second", func(s []sample) string { return fmt.Sprintf("%.0f", middle(s, rate)) }, rates,
			verdict(fmt.Sprintf("%.2f or more", leastRate), rates.Median >= leastRate)),
		line("server CPU for a request", micro(cpu), cpus,
			verdict(fmt.Sprintf("%.2f or less", mostCPU), cpus.Median <= mostCPU)),
		line("latency, median", micro(p50), ratios(ours, floors, p50), ""),
		line("latency, 99th percentile", micro(p99), ratios(ours, floors, p99), ""),
		line("memory under load", func(s []sample) string { return mebibytes(int64(middle(s, memory))) }, ratios(ours, floors, memory), ""),
	}
}

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
