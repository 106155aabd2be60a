package httpserver

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// logged returns what a logger of the format writes of the line: by itself, and left
// to slog.
func logged(l requestLine, format string) (own, slogs string) {
	write := func(log func(*Logger)) string {
		var out bytes.Buffer
		logger := NewLogger(&out, Settings{LogFormat: format})
		log(logger)
		logger.Close()
		return out.String()
	}
	return write(func(logger *Logger) { l.log(logger.Logger, nil) }),
		write(func(logger *Logger) { l.leaveToSlog(logger.Handler()) })
}

// A request line has the bytes that slog would give it, whatever is in it.
func FuzzRequestLine(f *testing.F) {
	f.Add("GET", "/users/me", 200, int64(46), int64(123456), int64(1790000000000000000), "127.0.0.1:34567", "a1b2c3-1")
	f.Add("POST", "/token", 500, int64(0), int64(0), int64(1790000000120000000), "[::1]:1", "a1b2c3-zz")
	f.Add("GET", "/a b=c\"\\<&>\n\x00é\xff", 404, int64(1<<40), int64(-1), int64(999), "", "")
	f.Add("", "*", -1, int64(-1), int64(1<<62), int64(-1), "a=b", "é")
	f.Fuzz(func(t *testing.T, method, path string, status int, size, took, at int64, from, id string) {
		l := requestLine{
			time: time.Unix(0, at).UTC(), level: slog.LevelInfo,
			method: method, path: path, status: status, bytes: size, took: time.Duration(took), from: from, id: id,
		}
		for _, format := range []string{"text", "json"} {
			own, slogs := logged(l, format)
			if diff := cmp.Diff(slogs, own); diff != "" {
				t.Errorf("%s (-slog +own):\n%s", format, diff)
			}
			if n := strings.Count(own, "\n"); n != 1 {
				t.Errorf("%s: %d lines: %q", format, n, own)
			}
		}
	})
}

// A line that needs no quotes does not go through slog: that is what it is for.
func TestRequestLineIsCheap(t *testing.T) {
	logger := NewLogger(&bytes.Buffer{}, Settings{})
	defer logger.Close()
	l := requestLine{
		time: time.Now(), level: slog.LevelInfo, method: "GET", path: "/users/me",
		status: 200, bytes: 46, took: 123456, from: "127.0.0.1:34567", id: "a1b2c3-1",
	}
	buf := make([]byte, 0, 512)
	if n := testing.AllocsPerRun(100, func() { l.log(logger.Logger, buf) }); n > 1 {
		t.Errorf("a request line costs %v allocations, not one at the most", n)
	}
}

// What a logger was made to add to every line is in the request lines too.
func TestRequestLineOfDerivedLogger(t *testing.T) {
	var out bytes.Buffer
	logger := NewLogger(&out, Settings{})
	l := requestLine{time: time.Now(), level: slog.LevelInfo, method: "GET", path: "/", from: "127.0.0.1:1", id: "a-1"}
	l.log(logger.With("tenant", "one"), nil)
	logger.Close()
	if !strings.Contains(out.String(), "tenant=one") {
		t.Errorf("the attribute is missing: %q", out.String())
	}
}
