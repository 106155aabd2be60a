package issuing_test

import (
	"fmt"
	"testing"
)

// The model of refreshing and revoking one grant: what the database holds, and what each request has read of it. Three
// clients send one request each to two servers: two refresh with the first token, one revokes it. The server of the
// first client may crash at any time; then the client sends its request again, to the other server.

// step is what a schedule does next: one step of a client's request, or the crash.
type step int

const (
	firstClient step = iota
	secondClient
	revoker
	retry // the first client's request to the other server
	crash
)

func (s step) String() string { return [...]string{"first", "second", "revoker", "retry", "crash"}[s] }

// result is what a client has got at the end.
type result struct {
	ended   bool
	unknown bool // its server crashed
	refused bool
	given   int // the generation of the refresh token
}

// progress is how far a request is.
type progress struct {
	read   bool // it has read the grant, and will write
	seen   int  // the generation that it has read
	result result
}

// world is a state of the model. The first refresh token has generation 0.
type world struct {
	generation int // of the current token
	revoked    bool
	crashed    bool
	requests   [4]progress // by step
	// compares says that a rotation compares what it has read. Without it the model is wrong.
	compares bool
}

// next returns the steps that can be done, in an order that does not change.
func (w world) next() []step {
	var steps []step
	for s := firstClient; s <= retry; s++ {
		if !w.requests[s].result.ended && (s != retry || w.crashed) {
			steps = append(steps, s)
		}
	}
	if !w.crashed {
		steps = append(steps, crash)
	}
	return steps
}

// do returns the state after a step.
func (w world) do(s step) world {
	if s == crash { // also after the request was written, before its response
		w.crashed = true
		w.requests[firstClient].result = result{ended: true, unknown: true}
		return w
	}
	r := &w.requests[s]
	switch {
	case s == revoker && !r.read:
		r.read = true
	case s == revoker:
		w.revoked = true
		r.result = result{ended: true}
	case !r.read:
		w.judge(r)
	case !w.compares || (w.generation == r.seen && !w.revoked):
		w.generation++
		r.result = result{ended: true, given: w.generation}
	default:
		r.read = false // another request has changed the grant: it is judged again
	}
	return w
}

// judge reads the grant for a request with the first token. Within the grace period a replaced token gives the current
// one.
func (w world) judge(r *progress) {
	switch {
	case w.revoked:
		r.result = result{ended: true, refused: true}
	case w.generation > 0:
		r.result = result{ended: true, given: w.generation}
	default:
		r.read, r.seen = true, w.generation
	}
}

// reads reports whether the next step of a request only reads.
func (w world) reads(s step) bool { return s != crash && !w.requests[s].read }

// schedules calls visit with each schedule that begins with the steps in done, and the state that it leads to. The
// order of two reads after one another does not matter: one order is left out. read says that the last step was a
// read.
func (w world) schedules(done []step, read bool, visit func([]step, world)) {
	steps := w.next()
	if len(steps) == 0 || (len(steps) == 1 && steps[0] == crash) {
		visit(done, w)
	}
	for _, s := range steps {
		if read && w.reads(s) && s < done[len(done)-1] {
			continue
		}
		w.do(s).schedules(append(done[:len(done):len(done)], s), w.reads(s), visit)
	}
}

// broken returns what a final state does wrong; empty if nothing.
func (w world) broken() string {
	given := 0
	for s, r := range w.requests {
		if r.result.given > 0 && given > 0 && r.result.given != given {
			return fmt.Sprintf("the token rotated twice (%v)", step(s))
		}
		given = max(given, r.result.given)
	}
	if w.generation > 1 {
		return "the token rotated twice"
	}
	return ""
}

// newWorld returns the state before all requests.
func newWorld() world { return world{compares: true} }

// No schedule of the model rotates a token twice. A model whose rotation does not compare does.
func TestProtocolModel(t *testing.T) {
	t.Parallel()
	for _, compares := range []bool{true, false} {
		w, schedules, broken := newWorld(), 0, 0
		w.compares = compares
		w.schedules(nil, false, func(_ []step, end world) {
			schedules++
			if end.broken() != "" {
				broken++
			}
		})
		t.Logf("a rotation compares: %v: %d schedules, %d broken", compares, schedules, broken)
		if (broken == 0) != compares || schedules < 100 {
			t.Errorf("%d of %d schedules are broken", broken, schedules)
		}
	}
}
