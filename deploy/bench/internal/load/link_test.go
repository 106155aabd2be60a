package load_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-auth/hallpass/deploy/bench/internal/load"
)

// chains is a server that gives each ticket once, and takes it once.
type chains struct {
	mu    sync.Mutex
	taken map[string]int // by chain
}

// ServeHTTP takes the ticket CHAIN-NUMBER and answers with that of the next number.
func (s *chains) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var chain string
	var number int
	if _, err := fmt.Sscanf(r.PostFormValue("ticket"), "%1s-%04d", &chain, &number); err != nil || number != s.taken[chain] {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	s.taken[chain]++
	_, _ = fmt.Fprintf(w, `{"note":"a ticket","ticket":"%s-%04d","last":true}`, chain, number+1)
}

// ticketRequest is a form that has other parameters with much the same name.
func ticketRequest(ticket string) []byte {
	form := "kind=ticket&ticket=" + ticket + "&old_ticket=none"
	return fmt.Appendf(nil, "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n%s", len(form), form)
}

// Each connection sends what the last answer gave it, and another run goes on where
// the last one ended. The requests of the plan stay as they are.
func TestFollowsChains(t *testing.T) {
	inBothModes(t, func(t *testing.T, plan func(string) load.Plan) {
		server := &chains{taken: map[string]int{}}
		p := plan(serve(t, server.ServeHTTP))
		first := [][]byte{ticketRequest("a-0000"), ticketRequest("b-0000"), ticketRequest("c-0000")}
		p.Requests, p.Follow = first, "ticket"
		for run := 1; run <= 2; run++ {
			result, err := load.Run(t.Context(), p)
			if err != nil {
				t.Fatal(err)
			}
			n := 20 * run
			if diff := cmp.Diff(map[string]int{"a": n, "b": n, "c": n}, server.taken); diff != "" {
				t.Errorf("run %d (-want +got):\n%s", run, diff)
			}
			p.Requests = result.Next
		}
		want := [][]byte{ticketRequest("a-0040"), ticketRequest("b-0040"), ticketRequest("c-0040")}
		if diff := cmp.Diff(want, p.Requests); diff != "" {
			t.Errorf("the next requests (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(ticketRequest("a-0000"), first[0]); diff != "" {
			t.Errorf("the plan's own request (-want +got):\n%s", diff)
		}
	})
}

// Where nothing is followed, the next requests are those of the plan.
func TestNextRequestsAreTheSame(t *testing.T) {
	result, err := load.Run(t.Context(), plan(serve(t, func(http.ResponseWriter, *http.Request) {})))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([][]byte{[]byte(get), []byte(get), []byte(get)}, result.Next); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// An answer that does not lead on ends the run; it says why, and not what the value is.
func TestRefusesBadLinks(t *testing.T) {
	for _, tt := range []struct{ name, body, want string }{
		{"none", `{"old_ticket":"a-0001"}`, "no ticket"},
		{"no text", `{"ticket":17}`, "no ticket"},
		{"no end", `{"ticket":"a-0001`, "no ticket"},
		{"longer", `{"ticket":"a-00001"}`, "7 bytes in the answer and 6 in the request"},
		{"empty", `{"ticket":""}`, "0 bytes"},
		{"to be escaped", `{"ticket":"a&0001"}`, "must escape"},
		{"escaped in JSON", `{"ticket":"\u0061"}`, "must escape"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := plan(raw(t, fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(tt.body), tt.body)))
			p.Requests, p.Connections, p.Follow = [][]byte{ticketRequest("a-0000")}, 1, "ticket"
			_, err := load.Run(t.Context(), p)
			if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "0001") {
				t.Errorf("error %v, not one with %q", err, tt.want)
			}
		})
	}
}

// A plan whose requests have nothing to follow is refused before anything is sent.
func TestRefusesRequestsWithoutTheLink(t *testing.T) {
	for _, form := range []string{"", "kind=ticket", "old_ticket=x", "ticket=", "ticket"} {
		p := plan(raw(t, ""))
		p.Requests, p.Connections, p.Follow = [][]byte{[]byte("POST /?ticket=1 HTTP/1.1\r\n\r\n" + form)}, 1, "ticket"
		if _, err := load.Run(t.Context(), p); err == nil || !strings.Contains(err.Error(), "no parameter ticket") {
			t.Errorf("form %q: error %v", form, err)
		}
	}
	p := plan(raw(t, ""))
	p.Requests, p.Follow = [][]byte{ticketRequest("a-0000")}, "ticket"
	if _, err := load.Run(t.Context(), p); err == nil || !strings.Contains(err.Error(), "Requests") {
		t.Errorf("one request for three connections: error %v", err)
	}
}
