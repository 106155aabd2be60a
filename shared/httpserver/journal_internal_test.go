package httpserver

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// answered is a request that a journal takes.
func answered(id string, level slog.Level) requestLine {
	return requestLine{
		time: time.Now(), level: level, method: "GET", route: "/users/me", path: "/users/me",
		status: http.StatusOK, from: "127.0.0.1:34567", id: id,
	}
}

// keeping runs test with a journal and what its logger of the level has written, on a clock
// that the test moves.
func keeping(t *testing.T, level string, test func(t *testing.T, j *journal, l *Logger, written func() string)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		out := new(locked)
		l := NewLogger(out, Settings{LogLevel: level})
		test(t, newJournal(l.Logger), l, out.String)
		l.Close()
	})
}

// locked is a buffer for several goroutines.
type locked struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *locked) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *locked) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// after lets time pass and what it starts finish.
func after(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// lines returns what stands for each line of a log: its id or, without one, its message.
func lines(text string) (found []string) {
	for line := range strings.Lines(text) {
		_, name, ok := strings.Cut(line, "request_id=")
		if !ok {
			_, name, _ = strings.Cut(line, "msg=")
		}
		found = append(found, strings.TrimSpace(name))
	}
	return found
}

// count returns how many requests the metrics of j say there were.
func count(t *testing.T, j *journal) (n uint64) {
	t.Helper()
	registry := prometheus.NewRegistry()
	registry.MustRegister(j)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			n += m.GetHistogram().GetSampleCount()
		}
	}
	return n
}

// A line waits for 100 milliseconds at the most, and each that comes later likewise.
func TestJournalWritesInTime(t *testing.T) {
	keeping(t, "info", func(t *testing.T, j *journal, _ *Logger, written func() string) {
		for i := range 3 {
			j.add(answered(fmt.Sprint("a-", i), slog.LevelInfo))
			if len(lines(written())) > i {
				t.Fatal("a line did not wait")
			}
			after(logFlushInterval)
			if got := lines(written()); len(got) != i+1 {
				t.Fatalf("after 100 ms the log has %q", got)
			}
			after(time.Duration(i) * logFlushInterval / 2)
		}
	})
}

// Lines stand in the order in which their requests were answered, and before whatever was
// logged later.
func TestJournalKeepsTheOrder(t *testing.T) {
	keeping(t, "info", func(t *testing.T, j *journal, l *Logger, written func() string) {
		var want []string
		add := func(level slog.Level) {
			id := fmt.Sprint("a-", len(want))
			want = append(want, id)
			j.add(answered(id, level))
		}
		for range 3*maxWaiting + 1 {
			add(slog.LevelInfo)
		}
		l.Info("between")
		want = append(want, "between")
		add(slog.LevelInfo)
		j.add(requestLine{method: "GET", path: "/needs quotes", from: "127.0.0.1:1", id: "quoted"})
		want = append(want, "quoted")
		l.With("tenant", 1).Info("derived")
		want = append(want, "derived tenant=1")
		add(slog.LevelInfo)
		add(slog.LevelError)
		if got := lines(written()); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("an error waited, or the order is not kept: %q", got)
		}
		add(slog.LevelInfo)
		l.Close()
		add(slog.LevelInfo)
		if got := lines(written()); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("after the end of the log: %q", got)
		}
	})
}

// Below the level of the log requests are counted all the same.
func TestJournalCountsWhatIsNotLogged(t *testing.T) {
	keeping(t, "error", func(t *testing.T, j *journal, _ *Logger, written func() string) {
		j.add(answered("a-1", slog.LevelInfo))
		if n := count(t, j); n != 1 {
			t.Errorf("%d requests are counted, not 1", n)
		}
		j.add(answered("a-2", slog.LevelError))
		if got := lines(written()); len(got) != 1 || got[0] != "a-2" {
			t.Errorf("logged: %q", got)
		}
	})
}

// A log that is not ours gets every line at once.
func TestJournalOfAnotherLogger(t *testing.T) {
	var out bytes.Buffer
	j := newJournal(slog.New(slog.NewTextHandler(&out, nil)))
	for i := range 3 {
		j.add(answered(fmt.Sprint("a-", i), slog.LevelInfo))
		if got := lines(out.String()); len(got) != i+1 {
			t.Fatalf("logged: %q", got)
		}
	}
}

// However many requests are answered at once, each is counted and logged once.
func TestJournalConcurrently(t *testing.T) {
	out := new(locked)
	l := NewLogger(out, Settings{})
	j := newJournal(l.Logger)
	const workers, each = 16, 500
	var all sync.WaitGroup
	for worker := range workers {
		all.Go(func() {
			for i := range each {
				j.add(answered(fmt.Sprint("a-", worker, "-", i), slog.LevelInfo))
				if i%100 == 0 {
					l.Info("between")
					_ = count(t, j)
				}
			}
		})
	}
	all.Wait()
	if n := count(t, j); n != workers*each {
		t.Errorf("%d requests are counted, not %d", n, workers*each)
	}
	l.Close()
	seen := map[string]bool{}
	for _, id := range lines(out.String()) {
		if seen[id] && id != "between" {
			t.Fatalf("%s is logged twice", id)
		}
		seen[id] = true
	}
	if len(seen) != workers*each+1 {
		t.Errorf("%d requests are logged, not %d", len(seen)-1, workers*each)
	}
}
