package e2e_test

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
)

// action is what a client does to a grant.
type action int

const (
	begin   action = iota // log in with a password, or redeem the code of the grant
	refresh               // use a refresh token
	revoke                // revoke a refresh token
)

// outcome is what a client knows about an action.
type outcome int

const (
	done    outcome = iota // 200
	refused                // 400 invalid_grant
	unknown                // 503, or no response: it may have happened, or not
)

// call is the input of an operation, and reply its output.
type (
	call struct {
		action action
		token  string // that is used
	}
	reply struct {
		outcome outcome
		token   string // the refresh token that is given
	}
)

// lost is a token that was given by an action whose outcome the client does not know.
const lost = "?"

// grantState is a grant as one server without faults would have it.
type grantState struct {
	begun, revoked bool
	chain          string // its refresh tokens, oldest first, with spaces between
}

// tokens returns the refresh tokens of the grant, oldest first.
func (s grantState) tokens() []string { return strings.Fields(s.chain) }

// give adds a token to the chain. It takes the place of one that was lost.
func (s grantState) give(token string) grantState {
	s.chain = strings.TrimSpace(strings.TrimSuffix(s.chain, lost) + " " + token)
	return s
}

// step applies an operation to a grant. It reports whether the reply is right.
//
// The grace period of the servers is longer than a history, so every earlier token gives the current one. An action of
// unknown outcome takes effect here. The checker puts one that did not happen at the end, where nobody sees it.
func (s grantState) step(in call, out reply) (bool, grantState) {
	switch in.action {
	case begin:
		return s.begin(out)
	case refresh:
		return s.refresh(in.token, out)
	default:
		revoked := s
		revoked.revoked = s.begun
		return out.outcome == unknown || s.begun, revoked
	}
}

// begin is a login, or the redemption of a code. A code that is used twice ends its grant (RFC 6749 section 4.1.2).
func (s grantState) begin(out reply) (bool, grantState) {
	if s.begun {
		s.revoked = true
		return out.outcome != done, s
	}
	s.begun = true
	if out.outcome == unknown {
		return true, s.give(lost)
	}
	return out.outcome == done, s.give(out.token)
}

// refresh is RFC 6749 section 6, with rotation (RFC 9700 section 4.14.2).
func (s grantState) refresh(token string, out reply) (bool, grantState) {
	chain := s.tokens()
	at := slices.Index(chain, token)
	isLast, active := at >= 0 && at == len(chain)-1, s.begun && !s.revoked
	switch {
	case out.outcome == refused:
		return !active, s
	case out.outcome == unknown && isLast && active:
		return true, s.give(lost)
	case out.outcome == unknown:
		return true, s
	case at < 0 || !active:
		return false, s
	case isLast || chain[len(chain)-1] == lost:
		return !slices.Contains(chain, out.token), s.give(out.token)
	}
	return out.token == chain[len(chain)-1], s
}

// grantModel is grantState for the checker.
var grantModel = porcupine.Model{
	Init: func() any { return grantState{} },
	Step: func(state, input, output any) (bool, any) {
		return state.(grantState).step(input.(call), output.(reply))
	},
	DescribeOperation: func(input, output any) string { return fmt.Sprintf("%+v -> %+v", input, output) },
}

// history is what clients have done to one grant. Clients may record concurrently.
type history struct {
	start time.Time

	mu         sync.Mutex
	operations []porcupine.Operation
}

func newHistory() *history { return &history{start: time.Now()} }

// record runs an action of a client and records it. An action of unknown outcome stays open to the end. It is recorded
// once, however often it is repeated: no repetition changes a grant that the first one has changed, and the checker
// would try all orders of them.
func (h *history) record(client int, in call, run func() reply) reply {
	called := time.Since(h.start).Nanoseconds()
	out := run()
	returned := time.Since(h.start).Nanoseconds()
	if out.outcome == unknown {
		returned = math.MaxInt64
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if at := h.open(in); out.outcome == unknown && at >= 0 {
		h.operations[at].Call = min(h.operations[at].Call, called)
		return out
	}
	h.operations = append(h.operations, porcupine.Operation{
		ClientId: client, Input: in, Call: called, Output: out, Return: returned,
	})
	return out
}

// open returns the index of an action whose outcome is unknown; -1 if it is not recorded.
func (h *history) open(in call) int {
	return slices.IndexFunc(h.operations, func(o porcupine.Operation) bool {
		return o.Input == in && o.Output.(reply).outcome == unknown
	})
}

var errNotLinearizable = errors.New("no order of the operations explains the responses")

// check returns an error unless the responses are those of a server that does one operation after the other, each at
// some time between its request and its response.
func (h *history) check() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	result := porcupine.CheckOperationsTimeout(grantModel, h.operations, timeout)
	if result == porcupine.Ok {
		return nil
	}
	err := errNotLinearizable
	if result == porcupine.Unknown {
		err = fmt.Errorf("the history was not checked within %v", timeout)
	}
	var lines strings.Builder
	for _, o := range h.operations {
		fmt.Fprintf(&lines, "\n%d: %v to %v: %s", o.ClientId, time.Duration(o.Call), time.Duration(o.Return),
			grantModel.DescribeOperation(o.Input, o.Output))
	}
	return fmt.Errorf("%w:%s", err, lines.String())
}

// operation returns an operation that is called and returns at these times.
func operation(client int, called, returned int64, in call, out reply) porcupine.Operation {
	return porcupine.Operation{ClientId: client, Input: in, Call: called, Output: out, Return: returned}
}

// The checker accepts what correct servers respond, and refuses each fault that the tests of failover look for.
func TestHistoryChecker(t *testing.T) {
	t.Parallel()
	const never = math.MaxInt64
	login := operation(0, 0, 1, call{begin, ""}, reply{done, "a"})
	rotated := operation(0, 2, 3, call{refresh, "a"}, reply{done, "b"})
	revoked := operation(0, 4, 5, call{revoke, "b"}, reply{outcome: done})
	for name, tt := range map[string]struct {
		operations []porcupine.Operation
		wrong      bool
	}{
		"refresh, then revoke": {operations: []porcupine.Operation{
			login, rotated, revoked, operation(0, 6, 7, call{refresh, "b"}, reply{outcome: refused}),
		}},
		"a retry gets the same successor": {operations: []porcupine.Operation{
			login, rotated, operation(1, 4, 5, call{refresh, "a"}, reply{done, "b"}),
		}},
		"a lost rotation happened": {operations: []porcupine.Operation{
			login, operation(0, 2, never, call{refresh, "a"}, reply{outcome: unknown}),
			operation(0, 4, 5, call{refresh, "a"}, reply{done, "b"}),
			operation(1, 6, 7, call{refresh, "a"}, reply{done, "b"}),
		}},
		"a lost revocation happened late": {operations: []porcupine.Operation{
			login, operation(0, 2, never, call{revoke, "a"}, reply{outcome: unknown}),
			operation(1, 3, 4, call{refresh, "a"}, reply{done, "b"}),
			operation(1, 5, 6, call{refresh, "b"}, reply{outcome: refused}),
		}},
		"a lost revocation did not happen": {operations: []porcupine.Operation{
			login, operation(0, 2, never, call{revoke, "a"}, reply{outcome: unknown}),
			operation(1, 5, 6, call{refresh, "a"}, reply{done, "b"}),
		}},
		"a token rotates twice": {wrong: true, operations: []porcupine.Operation{
			login, rotated, operation(1, 2, 3, call{refresh, "a"}, reply{done, "c"}),
		}},
		"an acknowledged rotation is lost": {wrong: true, operations: []porcupine.Operation{
			login, rotated, operation(0, 4, 5, call{refresh, "b"}, reply{outcome: refused}),
		}},
		"an acknowledged login is lost": {wrong: true, operations: []porcupine.Operation{
			login, operation(0, 2, 3, call{refresh, "a"}, reply{outcome: refused}),
		}},
		"a revoked grant comes back": {wrong: true, operations: []porcupine.Operation{
			login, rotated, revoked, operation(1, 6, 7, call{refresh, "b"}, reply{done, "c"}),
		}},
		"a refusal before the revocation": {wrong: true, operations: []porcupine.Operation{
			login, operation(1, 2, 3, call{refresh, "a"}, reply{outcome: refused}), revoked,
		}},
		"a code is redeemed twice": {wrong: true, operations: []porcupine.Operation{
			login, operation(1, 0, 2, call{begin, ""}, reply{done, "x"}),
		}},
		"a replayed code does not end its grant": {wrong: true, operations: []porcupine.Operation{
			login, operation(1, 2, 3, call{begin, ""}, reply{outcome: refused}),
			operation(0, 4, 5, call{refresh, "a"}, reply{done, "b"}),
		}},
		"a refusal by nobody": {wrong: true, operations: []porcupine.Operation{
			operation(0, 0, 1, call{begin, ""}, reply{outcome: refused}),
		}},
	} {
		h := &history{operations: tt.operations}
		if err := h.check(); errors.Is(err, errNotLinearizable) != tt.wrong {
			t.Errorf("%s: %v, want wrong %v", name, err, tt.wrong)
		}
	}
}
