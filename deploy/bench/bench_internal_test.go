package main

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The test binary runs a variant if its first argument says so, as bench does.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == variantMode {
		if err := serveVariant(context.Background(), os.Args[2:]); err != nil {
			panic(err)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// Ratios are taken round by round; figures are medians.
func TestTable(t *testing.T) {
	our := []sample{{perSecond: 800}, {perSecond: 475}, {perSecond: 96}}
	base := []sample{{perSecond: 1000}, {perSecond: 500}, {perSecond: 100}}
	got := table([]row{
		{what: "**Heading**"},
		compareFigure("a", perSecond, our, base, 0.95),
		compareFigure("b", perSecond, our, base, 0.96),
	})
	want := `
|             | Hallpass | floor | ratio               | goal                  |
| ---         | ---      | ---   | ---                 | ---                   |
| **Heading** |          |       |                     |                       |
| a           | 475      | 500   | 0.95 (0.80 to 0.96) | 0.95 or more: REACHED |
| b           | 475      | 500   | 0.95 (0.80 to 0.96) | 0.96 or more: MISSED  |
`[1:]
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// A report of refused or failed requests, or of none, is an error.
func TestParseReport(t *testing.T) {
	const text = "Running 1s test\n" +
		`{"requests":200,"microseconds":2000000,"p50":10,"p99":20,"refused":0,"failed":0}` + "\n"
	got, requests, err := parseReport([]byte(text))
	if want := (sample{perSecond: 100, p50: 10, p99: 20}); got != want || requests != 200 || err != nil {
		t.Errorf("%v, %v requests, error %v", got, requests, err)
	}
	for _, change := range []string{`"refused":0,"refused":1`, `"failed":0,"failed":1`, `"requests":200,"requests":0`} {
		before, after, _ := strings.Cut(change, ",")
		if _, _, err := parseReport([]byte(strings.Replace(text, before, after, 1))); err == nil {
			t.Errorf("%s: no error", change)
		}
	}
}

// Every variant sends the body of the response. A round measures each figure.
func TestVariants(t *testing.T) {
	if _, err := exec.LookPath("wrk"); err != nil {
		t.Skip("wrk is not installed")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{self: self, dir: t.TempDir()}
	body := []byte(`{"username":"john.doe","full_name":"John Doe"}`)
	l := get("/users/me", "token")
	l.connections = 2
	for _, name := range variants {
		s, err := b.serveVariant(t.Context(), name, l, body)
		if err != nil {
			t.Fatal(err)
		}
		defer s.stop()
		if name != withLog {
			continue
		}
		got, err := b.round(t.Context(), s, l)
		if err != nil || got[perSecond] <= 0 || got[cpu] <= 0 || got[memory] <= 0 || got[p99] < got[p50] {
			t.Errorf("%s: %v (%v)", name, got, err)
		}
	}
}

// With follow, each connection sends the refresh token of its last response.
func TestFollow(t *testing.T) {
	if _, err := exec.LookPath("wrk"); err != nil {
		t.Skip("wrk is not installed")
	}
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
	l := post("/token", "", map[string][]string{"client_id": {"demo"}, "refresh_token": {"first"}})
	l.follow, l.connections = true, 1
	s := &server{address: handler.Listener.Addr().String(), cmd: &exec.Cmd{Process: &os.Process{Pid: os.Getpid()}}}
	b := &bench{dir: t.TempDir()}
	if _, err := b.round(t.Context(), s, l); err != nil {
		t.Fatal(err)
	}
	got := []string{<-seen, <-seen, <-seen}
	const form = "client_id=demo&refresh_token="
	want := []string{form + "first", form + "next", form + "next"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
