package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-auth/hallpass/deploy/bench/internal/load"
	"github.com/hallpass-auth/hallpass/deploy/bench/internal/process"
)

// The bare server says what it was told, header and body, and no more; the generator
// finds it good.
func TestFloorAnswersTheSame(t *testing.T) {
	address, err := process.FreeAddress()
	if err != nil {
		t.Fatal(err)
	}
	want := answer{
		Header: http.Header{"Content-Type": {"application/json"}, "X-Request-Id": {"abc-1"}},
		Body:   []byte(`{"username":"john.doe"}`),
	}
	input, err := json.Marshal(floor{Address: address, Answer: want})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- serveFloor(ctx, bytes.NewReader(input)) }()
	request := []byte("GET /users/me HTTP/1.1\r\nHost: localhost\r\n\r\n")
	var got answer
	for range 1000 {
		if got, err = ask(t.Context(), address, request); err == nil {
			break
		}
		time.Sleep(time.Millisecond)
	}
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	plan, err := json.Marshal(load.Plan{Address: address, Requests: [][]byte{request}, Connections: 2, Count: 5})
	if err != nil {
		t.Fatal(err)
	}
	var report bytes.Buffer
	if err := generate(t.Context(), bytes.NewReader(plan), &report); err != nil {
		t.Fatal(err)
	}
	var result generated
	if err := json.Unmarshal(report.Bytes(), &result); err != nil {
		t.Fatal(err)
	}
	if result.Requests != 10 || result.PerSecond <= 0 || result.P50 <= 0 || result.P99 < result.P50 {
		t.Errorf("the generator reports %+v", result)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// Ratios are taken round by round; of the figures themselves the median is shown.
func TestRequestRows(t *testing.T) {
	of := func(rate float64, cpu time.Duration) sample {
		return sample{perSecond: rate, cpu: cpu, p50: time.Millisecond, p99: 2 * time.Millisecond, memory: 10 << 20}
	}
	floors := []sample{of(1000, 10_000), of(500, 20_000), of(100, 100_000)}
	ours := []sample{of(800, 11_000), of(475, 21_000), of(91, 120_000)}
	want := []row{
		{"requests a second", "475", "500", "0.91 (0.80 to 0.95)", "0.90 or more: REACHED"},
		{"server CPU for a request", "21.0 µs", "20.0 µs", "1.10 (1.05 to 1.20)", "1.11 or less: REACHED"},
		{"latency, median", "1000.0 µs", "1000.0 µs", "1.00 (1.00 to 1.00)", ""},
		{"latency, 99th percentile", "2000.0 µs", "2000.0 µs", "1.00 (1.00 to 1.00)", ""},
		{"memory under load", "10.0 MiB", "10.0 MiB", "1.00 (1.00 to 1.00)", ""},
	}
	if diff := cmp.Diff(want, requestRows(ours, floors)[1:], cmp.AllowUnexported(row{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	ours[2] = of(89, 120_000)
	ours[1] = of(445, 23_000)
	rows := requestRows(ours, floors)
	for _, r := range rows[1:3] {
		if !strings.HasSuffix(r.goal, ": MISSED") {
			t.Errorf("%s: ratio %s, goal %s", r.what, r.ratio, r.goal)
		}
	}
}

// The table is Markdown with columns that line up.
func TestTable(t *testing.T) {
	want := `
|     | Hallpass | floor | ratio | goal |
| --- | -------- | ----- | ----- | ---- |
| a   | 1.0 µs   | 2 µs  | 0.50  |      |
| all |          |       |       |      |
`[1:]
	got := table([]row{{"a", "1.0 µs", "2 µs", "0.50", ""}, {what: "all"}})
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Rounds that would take too long, and parts that do not exist, are refused.
func TestOptions(t *testing.T) {
	for _, args := range [][]string{
		{"-parts", "requests,nothing"}, {"-parts", ""}, {"-rounds", "0"}, {"-round", "31s"}, {"-round", "1ms"}, {"more"}, {"-unknown"},
	} {
		var said bytes.Buffer
		if o, err := parseOptions(args, &said); err == nil {
			t.Errorf("%v: %+v and no error", args, o)
		}
	}
	o, err := parseOptions([]string{"-parts", "tokens,start", "-rounds", "3"}, &bytes.Buffer{})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"tokens", "start"}, o.parts); diff != "" || o.rounds != 3 {
		t.Errorf("rounds %d, parts:\n%s", o.rounds, diff)
	}
}

// Without the programs nothing is measured, and the error says what to do.
func TestProgramsAreMissing(t *testing.T) {
	t.Setenv("HALLPASS_BIN", t.TempDir())
	var out bytes.Buffer
	err := run(t.Context(), nil, &out, &out)
	if err == nil || !strings.Contains(err.Error(), "make build") {
		t.Errorf("error %v, not one that says to run make build", err)
	}
}
