// Package load sends HTTP/1.1 requests over a few connections that stay open, and
// counts and times the answers.
//
// It exists because the client of net/http takes more time for a request than the
// servers that are measured here: on the same machine it would measure itself. This
// one writes bytes made beforehand and reads no more of an answer than it needs to
// tell that it is complete and good.
package load

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime"
	"slices"
	"sync"
	"time"
)

// patience is how long after the end of the plan, and at the start for a
// connection, an answer is waited for.
const patience = 5 * time.Second

// lookInterval is how long a generator that spins does nothing when it has found no
// answer: to look takes the lock of a connection, for which the server would have to
// wait. Other requests are under way meanwhile.
const lookInterval = 20 * time.Microsecond

// maxDuration bounds a plan that ends by count.
const maxDuration = time.Minute

// Plan says what is sent, and until when. One of Duration and Count must be set;
// with both, what comes first ends the run.
type Plan struct {
	// Address is the server's, HOST:PORT.
	Address string
	// Requests are whole requests as they go over the wire. Connection i sends the
	// request i, modulo their number, again and again.
	Requests [][]byte
	// Follow names a parameter that the form of every request has and every answer has
	// the next value of, as a member of JSON; each connection then sends what the last
	// answer gave it. There must be a request for each connection. Empty means that all
	// requests of a connection are the same.
	Follow string
	// Connections is how many are open; each has one request under way.
	Connections int
	// Duration is how long new requests are sent.
	Duration time.Duration
	// Count is how many requests each connection sends.
	Count int
	// Spin makes the generator look for answers without a pause, on as many CPUs as
	// GOMAXPROCS says, where it would sleep until one comes. Sleeping spares the CPU,
	// but to wake a process is work, in a virtual machine even much, and it is work of
	// the server that answers: the slower the server, the more often the generator
	// sleeps, and the more the server pays for that. So two servers can only be
	// compared with a generator that is always awake.
	Spin bool
}

// Result is what came of a plan.
type Result struct {
	// Requests is how many were answered, all with 200.
	Requests int
	// Elapsed is the time from the first request to the last answer.
	Elapsed time.Duration
	// Latencies has the time of every request, in ascending order.
	Latencies []time.Duration
	// Next are the requests that the connections would send next: where the plan
	// follows answers, another plan goes on with these.
	Next [][]byte
}

// PerSecond returns the requests answered in a second.
func (r Result) PerSecond() float64 { return float64(r.Requests) / r.Elapsed.Seconds() }

// validate names the field of the plan that cannot be followed.
func (p Plan) validate() error {
	switch {
	case len(p.Requests) == 0:
		return errors.New("load.Plan.Requests is empty")
	case p.Connections < 1:
		return errors.New("load.Plan.Connections must be 1 or more")
	case p.Follow != "" && len(p.Requests) < p.Connections:
		return errors.New("load.Plan.Requests must be one for each connection where answers are followed")
	case p.Duration < 0 || p.Duration > maxDuration:
		return fmt.Errorf("load.Plan.Duration must be between 0 and %v", maxDuration)
	case p.Count < 0 || p.Duration == 0 && p.Count == 0:
		return errors.New("one of load.Plan.Duration and load.Plan.Count must be set")
	}
	return nil
}

// Run follows the plan. It returns an error, and no result, as soon as one request
// is not answered with 200 or not in time, or ctx ends. It takes little longer than
// the plan says: a minute and some seconds at the most.
func Run(ctx context.Context, p Plan) (Result, error) {
	if err := p.validate(); err != nil {
		return Result{}, err
	}
	conns, err := dial(ctx, p)
	if err != nil {
		return Result{}, err
	}
	defer closeAll(conns)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stop := context.AfterFunc(ctx, func() { closeAll(conns) }) // the first failure ends all
	defer stop()

	start := time.Now()
	groups := p.groups(conns)
	times := make([][]time.Duration, len(groups))
	var workers sync.WaitGroup
	for i, group := range groups {
		workers.Go(func() {
			var err error
			if times[i], err = p.work(group, start); err != nil {
				cancel(err)
			}
		})
	}
	workers.Wait()
	elapsed := time.Since(start)
	if ctx.Err() != nil {
		return Result{}, context.Cause(ctx)
	}
	all := slices.Concat(times...)
	slices.Sort(all)
	result := Result{Requests: len(all), Elapsed: elapsed, Latencies: all}
	for _, c := range conns {
		result.Next = append(result.Next, c.request)
	}
	return result, nil
}

// dial opens the connections of the plan and bounds how long they live.
func dial(ctx context.Context, p Plan) ([]*conn, error) {
	duration := p.Duration
	if duration == 0 {
		duration = maxDuration
	}
	conns := make([]*conn, 0, p.Connections)
	dialer := net.Dialer{Timeout: patience}
	for len(conns) < p.Connections {
		raw, err := dialer.DialContext(ctx, "tcp", p.Address)
		if err == nil {
			c := &conn{Conn: raw, request: p.Requests[len(conns)%len(p.Requests)]}
			conns = append(conns, c)
			err = errors.Join(raw.SetDeadline(time.Now().Add(duration+patience)), c.setSpin(p.Spin), c.setFollow(p.Follow))
		}
		if err != nil {
			closeAll(conns)
			return nil, err
		}
	}
	return conns, nil
}

func closeAll(conns []*conn) {
	for _, c := range conns {
		_ = c.Close() // it may be closed already
	}
}

// groups says which connections a worker looks after: one, whose answers it waits
// for, or its share of all.
func (p Plan) groups(conns []*conn) [][]*conn {
	size := 1
	if p.Spin {
		size = (len(conns) + runtime.GOMAXPROCS(0) - 1) / runtime.GOMAXPROCS(0)
	}
	return slices.Collect(slices.Chunk(conns, size))
}

// work keeps a request under way on every connection of the group until the plan
// ends, and returns how long each took.
func (p Plan) work(group []*conn, start time.Time) ([]time.Duration, error) {
	times := make([]time.Duration, 0, 1<<12)
	for _, c := range group {
		if err := c.send(time.Now()); err != nil {
			return nil, err
		}
	}
	for open := slices.Clone(group); len(open) > 0; {
		before := len(times)
		for _, c := range open {
			took, answered, err := p.turn(c, start)
			if err != nil {
				return nil, err
			}
			if answered {
				times = append(times, took)
			}
		}
		if p.Spin && len(times) == before {
			stayAwake(lookInterval)
		}
		open = slices.DeleteFunc(open, func(c *conn) bool { return c.done })
	}
	return times, nil
}

// turn looks once at a connection. Where its answer is there, it says how long
// that took, and sends the next request unless the plan is over for it.
func (p Plan) turn(c *conn, start time.Time) (took time.Duration, answered bool, err error) {
	answered, err = c.receive()
	if err != nil {
		return 0, false, fmt.Errorf("request %d of a connection: %w", c.count, err)
	}
	if !answered {
		return 0, false, nil
	}
	now := time.Now()
	took = now.Sub(c.sent)
	if c.next != nil {
		if err := c.next.follow(c.buf[:c.read]); err != nil {
			return 0, false, fmt.Errorf("request %d of a connection: %w", c.count, err)
		}
	}
	if c.done = p.over(c, now.Sub(start)); c.done {
		return took, true, nil
	}
	return took, true, c.send(now)
}

// stayAwake does nothing for as long as d, and does not sleep.
func stayAwake(d time.Duration) {
	for start := time.Now(); time.Since(start) < d; {
		continue
	}
}

// over reports whether the connection has sent what it should.
func (p Plan) over(c *conn, elapsed time.Duration) bool {
	return p.Count > 0 && c.count >= p.Count || p.Duration > 0 && elapsed >= p.Duration
}
