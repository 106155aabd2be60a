package httpserver_test

import (
	"errors"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hallpass-auth/hallpass/shared/httpserver"
)

// writes notes each call of Write, and fails as long as it is told to.
type writes struct {
	logBook
	calls   atomic.Int32
	failing atomic.Bool
}

func (w *writes) Write(p []byte) (int, error) {
	w.calls.Add(1)
	if w.failing.Load() {
		return 0, errors.New("no space left on device")
	}
	return w.logBook.Write(p)
}

// logging runs test with a logger in JSON, on a clock that the test moves.
func logging(t *testing.T, level string, test func(t *testing.T, l *httpserver.Logger, w *writes)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := new(writes)
		l := httpserver.NewLogger(w, httpserver.Settings{LogFormat: "json", LogLevel: level})
		test(t, l, w)
		l.Close()
	})
}

// after lets time pass and what it starts finish.
func after(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func TestLoggerWritesInBatches(t *testing.T) {
	logging(t, "info", func(t *testing.T, l *httpserver.Logger, w *writes) {
		for range 2 { // the second batch is timed like the first
			w.calls.Store(0)
			l.Info("first")
			l.Info("second")
			after(100*time.Millisecond - 1)
			if w.calls.Load() != 0 {
				t.Fatal("a line did not wait")
			}
			after(1)
			if w.calls.Load() != 1 {
				t.Fatalf("%d writes after 100 ms, want one for both lines", w.calls.Load())
			}
			after(time.Hour)
			if w.calls.Load() != 1 {
				t.Fatal("an idle logger writes")
			}
		}
		if got := len(w.with(t, "first")) + len(w.with(t, "second")); got != 4 {
			t.Errorf("%d lines were written, want 4", got)
		}
	})
}

func TestLoggerDoesNotLetWarningsWait(t *testing.T) {
	logging(t, "info", func(t *testing.T, l *httpserver.Logger, w *writes) {
		l.Info("before")
		l.Warn("careful")
		if len(w.with(t, "careful")) != 1 || len(w.with(t, "before")) != 1 {
			t.Fatalf("written: %q", w)
		}
		l.With("a", 1).WithGroup("g").Error("broken", "b", 2)
		if len(w.with(t, "broken")) != 1 {
			t.Fatalf("written: %q", w)
		}
		l.Info("later")
		after(100 * time.Millisecond)
		if len(w.with(t, "later")) != 1 {
			t.Fatalf("written: %q", w)
		}
	})
}

func TestLoggerClose(t *testing.T) {
	logging(t, "info", func(t *testing.T, l *httpserver.Logger, w *writes) {
		l.Info("last")
		l.Close()
		if len(w.with(t, "last")) != 1 {
			t.Errorf("Close wrote %q", w)
		}
		l.Info("afterwards")
		if len(w.with(t, "afterwards")) != 1 {
			t.Errorf("a line after Close waits; written is %q", w)
		}
	})
}

// A log that could not be written for a while goes on.
func TestLoggerSurvivesAFullDisk(t *testing.T) {
	logging(t, "info", func(t *testing.T, l *httpserver.Logger, w *writes) {
		w.failing.Store(true)
		l.Error("lost")
		l.Info("lost too")
		after(time.Second)
		w.failing.Store(false)
		l.Error("found")
		if len(w.with(t, "found")) != 1 {
			t.Errorf("the log is silent for ever; written is %q", w)
		}
	})
}

// However much is logged, what waits is bounded.
func TestLoggerBoundsTheBatch(t *testing.T) {
	logging(t, "info", func(t *testing.T, l *httpserver.Logger, w *writes) {
		for range 100 {
			l.Info("long", "x", strings.Repeat("x", 1000))
		}
		if got := len(w.with(t, "long")); got < 64 {
			t.Errorf("%d of 100 lines of 1 KiB were written, more than 32 KiB wait", got)
		}
	})
}

func TestLoggerLevels(t *testing.T) {
	for level, want := range map[string]int{"debug": 4, "info": 3, "warn": 2, "error": 1, "": 3} {
		logging(t, level, func(t *testing.T, l *httpserver.Logger, w *writes) {
			l.Debug("said")
			l.Info("said")
			l.Warn("said")
			l.Error("said")
			l.Close()
			if got := len(w.with(t, "said")); got != want {
				t.Errorf("level %q: %d lines, want %d", level, got, want)
			}
		})
	}
}

func TestLoggerFormats(t *testing.T) {
	for format, want := range map[string]string{"text": "level=ERROR msg=said", "json": `"level":"ERROR","msg":"said"`, "": "level=ERROR msg=said"} {
		w := new(logBook)
		l := httpserver.NewLogger(w, httpserver.Settings{LogFormat: format})
		l.Error("said")
		l.Close()
		if !strings.Contains(w.String(), want) {
			t.Errorf("format %q: %s", format, w)
		}
	}
}

func BenchmarkLogger(b *testing.B) {
	l := httpserver.NewLogger(io.Discard, httpserver.Settings{LogFormat: "json"})
	defer l.Close()
	b.ReportAllocs()
	for b.Loop() {
		l.Info("request", "method", "GET", "path", "/users/me", "status", 200)
	}
}
