package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The test binary serves a floor if its arguments say so, as bench does.
func TestMain(m *testing.M) {
	if len(os.Args) == 5 && os.Args[1] == floorMode {
		if err := serveFloor(context.Background(), os.Args[2], os.Args[3], os.Args[4]); err != nil {
			panic(err)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// Ratios are taken round by round; figures are medians.
func TestTable(t *testing.T) {
	our, base := []float64{800, 475, 96}, []float64{1000, 500, 100}
	got := table([]row{
		{what: "**Heading**"},
		compare("a", "%.0f", our, base, atLeast(0.95)),
		compare("b", "%.0f", our, base, atLeast(0.96)),
		compare("c", "%.0f", our, base, under(475, "ms").and(atMost(1))),
		only("d", "%.0f", our, under(476, "ms")),
		compare("e", "%.0f", our, base, goal{}),
	})
	want := `
|             | Hallpass | floor | ratio               | goal                               |
| ---         | ---      | ---   | ---                 | ---                                |
| **Heading** |          |       |                     |                                    |
| a           | 475      | 500   | 0.95 (0.80 to 0.96) | 0.95 or more: REACHED              |
| b           | 475      | 500   | 0.95 (0.80 to 0.96) | 0.96 or more: MISSED               |
| c           | 475      | 500   | 0.95 (0.80 to 0.96) | under 475 ms, 1.00 or less: MISSED |
| d           | 475      |       |                     | under 476 ms: REACHED              |
| e           | 475      | 500   | 0.95 (0.80 to 0.96) |                                    |
`[1:]
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// The subjects take turns, and another one begins each round. The round that warms up is dropped.
func TestTurns(t *testing.T) {
	var order string
	named := func(name string) subject {
		return subject{name, func(context.Context) (sample, error) {
			order += name
			return sample{perSecond: float64(len(order))}, nil
		}}
	}
	r := results{}
	if err := r.warm(t.Context(), 2, named("a"), named("b")); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(results{"a": {{3}, {6}}, "b": {{4}, {5}}}, r); order != "ababba" || diff != "" {
		t.Errorf("order %s (-want +got):\n%s", order, diff)
	}
}

// Lines of benchmarks have the number of CPUs or not, and further figures.
func TestParseBenchmarks(t *testing.T) {
	const output = "goos: linux\nBenchmarkSign-2   \t  100\t  12003 ns/op\t 4751 B/op\t 46 allocs/op\n" +
		"BenchmarkLibrary/refresh \t 5\t 0.25 ns/op\nPASS\n"
	want := map[string]float64{"Sign": 12003, "Library/refresh": 0.25}
	if diff := cmp.Diff(want, parseBenchmarks([]byte(output))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// The baseline keeps its comments, and its lines are written as they were read.
func TestParseBaseline(t *testing.T) {
	text, err := os.ReadFile(baselineFile)
	if err != nil {
		t.Fatal(err)
	}
	got, baseline, err := parseBaseline(text)
	for _, g := range baseline {
		got += g.String()
	}
	if diff := cmp.Diff(string(text), got); err != nil || len(baseline) == 0 || diff != "" {
		t.Errorf("error %v (-want +got):\n%s", err, diff)
	}
	for _, bad := range []string{"\n", "shared/token Sign 1000\n", "shared/token Sign many 70300\n"} {
		if _, _, err := parseBaseline([]byte(bad)); err == nil {
			t.Errorf("%q: no error", bad)
		}
	}
}

// wrk gets the CPUs that the server does not have, or all.
func TestCores(t *testing.T) {
	for _, tt := range []struct {
		n, cpus int
		want    share
	}{
		{1, 2, share{cpus: "0-0", wrkCPUs: "1-1", wrkThreads: 1}},
		{2, 2, share{cpus: "0-1", wrkCPUs: "0-1", wrkThreads: 2}},
		{4, 6, share{cpus: "0-3", wrkCPUs: "4-5", wrkThreads: 2}},
	} {
		if got := onCores(tt.n, tt.cpus); got != tt.want {
			t.Errorf("%d of %d CPUs: %+v, want %+v", tt.n, tt.cpus, got, tt.want)
		}
	}
	if diff := cmp.Diff([]int{1, 2, 4, 6}, coreCounts(6)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// A client that is told to wait does so, and its attempt does not count.
func TestTryLogIn(t *testing.T) {
	for status, want := range map[int]string{200: "true <nil>", 503: "false <nil>", 400: "false login: status 400: "} {
		handler := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "0")
			w.WriteHeader(status)
		}))
		defer handler.Close()
		succeeded, err := tryLogIn(t.Context(), &server{address: handler.Listener.Addr().String()})
		if got := fmt.Sprint(succeeded, " ", err); got != want {
			t.Errorf("status %d: %s, want %s", status, got, want)
		}
	}
}

// A report of refused or failed requests, or of none, is an error.
func TestParseReport(t *testing.T) {
	const text = "Running 1s test\n" +
		`{"requests":200,"microseconds":2000000,"p50":10,"p99":20,"refused":0,"failed":0}` + "\n"
	got, requests, err := parseReport([]byte(text), false)
	if want := (sample{perSecond: 100, p50: 10, p99: 20}); got != want || requests != 200 || err != nil {
		t.Errorf("%v, %v requests, error %v", got, requests, err)
	}
	all := strings.Replace(text, `"refused":0`, `"refused":200`, 1)
	if _, _, err := parseReport([]byte(all), true); err != nil {
		t.Error(err)
	}
	if _, _, err := parseReport([]byte(text), true); err == nil {
		t.Error("none is refused, and all should be: no error")
	}
	for _, change := range []string{`"refused":0,"refused":1`, `"failed":0,"failed":1`, `"requests":200,"requests":0`} {
		before, after, _ := strings.Cut(change, ",")
		if _, _, err := parseReport([]byte(strings.Replace(text, before, after, 1)), false); err == nil {
			t.Errorf("%s: no error", change)
		}
	}
}

// Every floor of the API sends its bodies. A round measures each figure.
func TestFloors(t *testing.T) {
	b := testBench(t)
	for _, name := range []string{bare, withMux, withHuma} {
		s, err := b.serveFloor(t.Context(), share{}, name, "")
		if err != nil {
			t.Fatal(err)
		}
		defer s.stop()
		got, err := b.loaded(name, s, get("/users/me", "token").on(2)).measure(t.Context())
		if err != nil || got[perSecond] <= 0 || got[cpu] <= 0 || got[p99] < got[p50] {
			t.Errorf("%s: %v (%v)", name, got, err)
		}
	}
}

// The floor of a page sends its bytes.
func TestSameBytes(t *testing.T) {
	b := testBench(t)
	page := filepath.Join(b.dir, "page.html")
	if err := os.WriteFile(page, []byte("<h1>Page</h1>"), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := b.serveFloor(t.Context(), share{}, sameBytes, page)
	if err != nil {
		t.Fatal(err)
	}
	defer s.stop()
	body, err := get("/account", "").send(t.Context(), s, http.StatusOK)
	if string(body) != "<h1>Page</h1>" || err != nil {
		t.Errorf("%s (%v)", body, err)
	}
}

// The floor in memory does what the endpoints do: a refresh token works once, and introspection
// knows the token.
func TestMemory(t *testing.T) {
	b := testBench(t)
	s, err := b.serveFloor(t.Context(), share{}, inMemory, "secret of the service")
	if err != nil {
		t.Fatal(err)
	}
	defer s.stop()
	login, err := logIn(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	next, err := refreshGrant(login.Refresh).getTokens(t.Context(), s)
	if err != nil || next.Refresh == login.Refresh {
		t.Fatalf("refreshed to %v (%v)", next, err)
	}
	if _, err := refreshGrant(login.Refresh).send(t.Context(), s, http.StatusBadRequest); err != nil {
		t.Error(err)
	}
	introspect := url.Values{"token": {next.Access}}
	body, err := post("/introspect", basic("secret of the service"), introspect).send(t.Context(), s, http.StatusOK)
	if err != nil || !strings.Contains(string(body), `"active":true`) {
		t.Errorf("introspected %s (%v)", body, err)
	}
	if _, err := post("/introspect", basic("x"), introspect).send(t.Context(), s, http.StatusUnauthorized); err != nil {
		t.Error(err)
	}
	for _, l := range []loader{
		serviceLoad("secret of the service", few), refreshLoad(2), exchangeLoad("secret of the service"), deviceLoad,
	} {
		if got, err := b.loaded("", s, l).measure(t.Context()); err != nil || got[perSecond] <= 0 {
			t.Errorf("%v (%v)", got, err)
		}
	}
}

// testBench returns a bench without the built programs.
func testBench(t *testing.T) *bench {
	t.Helper()
	if _, err := exec.LookPath("wrk"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("CI=true, and wrk is not installed")
		}
		t.Skip("left out: wrk is not installed")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return &bench{self: self, dir: t.TempDir()}
}

// With follow, each connection sends the refresh token of its last response.
func TestFollow(t *testing.T) {
	b := testBench(t)
	seen := make(chan string, 3)
	handler := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		select {
		case seen <- string(body):
		default:
		}
		_, _ = io.WriteString(w, `{"refresh_token":"next"}`)
	}))
	defer handler.Close()
	l := refreshGrant("first")
	l.follow, l.connections = true, 1
	s := &server{address: handler.Listener.Addr().String(), cmd: &exec.Cmd{Process: &os.Process{Pid: os.Getpid()}}}
	if _, err := b.round(t.Context(), s, l); err != nil {
		t.Fatal(err)
	}
	got := []string{<-seen, <-seen, <-seen}
	const form = "client_id=demo&grant_type=refresh_token&refresh_token="
	want := []string{form + "first", form + "next", form + "next"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
