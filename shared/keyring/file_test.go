package keyring_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hallpass-auth/hallpass/shared/keyring"
)

// interval is how often Watch looks at the file, on the fake clock of synctest.
const interval = keyring.WatchInterval

// writeFile replaces the file atomically, as 'key init' does.
func writeFile(t *testing.T, path, text string, mode os.FileMode) {
	t.Helper()
	temporary := path + ".new"
	if err := os.WriteFile(temporary, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(temporary, mode); err != nil { // the umask does not apply
		t.Fatal(err)
	}
	if err := os.Rename(temporary, path); err != nil {
		t.Fatal(err)
	}
}

func TestOpenRefuses(t *testing.T) {
	tooLarge := set(oct("a", `"pad":"`+strings.Repeat("x", 256<<10)+`"`))
	tests := []struct {
		name string
		make func(t *testing.T, path string)
		err  error
		says string
	}{
		{"missing", func(*testing.T, string) {}, fs.ErrNotExist, "no such file"},
		{"world-readable", func(t *testing.T, path string) { writeFile(t, path, set(oct("a")), 0o604) }, keyring.ErrPermissions, "0604"},
		{"world-writable", func(t *testing.T, path string) { writeFile(t, path, set(oct("a")), 0o602) }, keyring.ErrPermissions, "chmod 600"},
		{"group-writable", func(t *testing.T, path string) { writeFile(t, path, set(oct("a")), 0o620) }, keyring.ErrPermissions, "0620"},
		{"empty", func(t *testing.T, path string) { writeFile(t, path, "", 0o600) }, keyring.ErrBadRing, "not JSON"},
		{"31-byte key", func(t *testing.T, path string) {
			writeFile(t, path, set(`{"kty":"oct","kid":"a","k":"`+encodedMaterial[:42]+`"}`), 0o600)
		}, keyring.ErrWeakKey, "31 bytes"},
		{"too large", func(t *testing.T, path string) { writeFile(t, path, tooLarge, 0o600) }, keyring.ErrBadRing, "larger than"},
		{"directory", func(t *testing.T, path string) { mustNot(t, os.Mkdir(path, 0o700)) }, keyring.ErrBadRing, "not a regular file"},
		{"pipe that nobody writes to", func(t *testing.T, path string) { mustNot(t, syscall.Mkfifo(path, 0o600)) }, keyring.ErrBadRing, "not a regular file"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "keys.json")
			tt.make(t, path)
			file, err := keyring.Open(path)
			if !errors.Is(err, tt.err) || file != nil {
				t.Fatalf("Open gave %v, %v, want the error %v", file, err, tt.err)
			}
			if !strings.Contains(err.Error(), tt.says) || strings.Contains(err.Error(), path) {
				t.Errorf("the error is %q: it should contain %q, and not the path", err, tt.says)
			}
			holdsNoMaterial(t, err)
		})
	}
}

func mustNot(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestOpenAccepts(t *testing.T) {
	for _, mode := range []os.FileMode{0o600, 0o400, 0o640, 0o440} {
		path := filepath.Join(t.TempDir(), "keys.json")
		writeFile(t, path, set(oct("a")), mode)
		file, err := keyring.Open(path)
		if err != nil {
			t.Errorf("mode %04o: %v", mode, err)
		} else if got := file.Current().Len(); got != 1 {
			t.Errorf("mode %04o: %d keys", mode, got)
		}
	}
}

// watched is a keys file that Watch follows.
type watched struct {
	t    *testing.T
	path string
	file *keyring.File
	log  *logLines
}

// logLines holds the log since the last take.
type logLines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logLines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logLines) take() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	defer l.buf.Reset()
	return l.buf.String()
}

// watch runs test while Watch follows a file with the key "first".
func watch(t *testing.T, test func(w *watched), checks ...keyring.Check) {
	path := filepath.Join(t.TempDir(), "keys.json")
	writeFile(t, path, set(oct("first")), 0o600)
	synctest.Test(t, func(t *testing.T) {
		file, err := keyring.Open(path, checks...)
		mustNot(t, err)
		w := &watched{t: t, path: path, file: file, log: new(logLines)}
		ctx, cancel := context.WithCancel(t.Context())
		go file.Watch(ctx, slog.New(slog.NewTextHandler(w.log, nil)))
		test(w)
		cancel()
		synctest.Wait() // Watch returns, or the bubble reports a deadlock
	})
}

// expect waits until Watch has looked at the file, then checks the key of the ring and the log.
func (w *watched) expect(kid, logged string) {
	w.t.Helper()
	time.Sleep(interval)
	synctest.Wait()
	if _, ok := w.file.Current().Verifier(kid, start); !ok || w.file.Current().Len() != 1 {
		w.t.Errorf("the key %s is not the current one", kid)
	}
	got := w.log.take()
	if (logged == "") != (got == "") || !strings.Contains(got, logged) || strings.Count(got, "\n") > 1 {
		w.t.Errorf("logged %q, want one line with %q", got, logged)
	}
	holdsNoMaterial(w.t, errors.New(got))
}

func TestWatchFollowsTheFile(t *testing.T) {
	watch(t, func(w *watched) {
		w.expect("first", "")
		writeFile(t, w.path, set(oct("second")), 0o600)
		w.expect("second", "keys file read")
		w.expect("second", "")
		// Written in place, as by an editor.
		mustNot(t, os.WriteFile(w.path, []byte(set(oct("third one"))), 0o600))
		w.expect("third one", "keys file read")
	})
}

// An unusable file is logged once, and the keys stay in use.
func TestWatchKeepsTheRingWhenTheFileBreaks(t *testing.T) {
	watch(t, func(w *watched) {
		writeFile(t, w.path, set(oct("second"))[:70], 0o600)
		w.expect("first", "level=ERROR")
		w.expect("first", "")
		writeFile(t, w.path, set(oct("second"), oct("second")), 0o600)
		w.expect("first", "another key has the same kid")
		mustNot(t, os.Remove(w.path))
		w.expect("first", "no such file")
		writeFile(t, w.path, set(oct("second")), 0o600)
		w.expect("second", "keys file read")
	})
}

// Each try that fails is logged, counted and visible in Health, until one succeeds.
func TestWatchLogsEachFailedTry(t *testing.T) {
	watch(t, func(w *watched) {
		if h, ok := keyring.HealthOf(w.file); !ok || h.Err != nil || h.Failures != 0 || h.Read.IsZero() {
			t.Errorf("at first: %+v", h)
		}
		mustNot(t, os.Remove(w.path))
		time.Sleep(time.Minute)
		synctest.Wait()
		log := w.log.take()
		h := w.file.Health()
		if n := strings.Count(log, "level=ERROR"); n < 5 || n > 7 || uint64(n) != h.Failures {
			t.Errorf("%d lines and %d failures in a minute:\n%s", n, h.Failures, log)
		}
		if h.Err == nil || !h.End.IsZero() || time.Since(h.Read) < time.Minute-interval || h.Check(time.Now()) != nil {
			t.Errorf("without the file: %+v", h)
		}
		if !w.file.Pending() {
			t.Error("a kid that is unknown cannot be judged, and is not pending")
		}
		writeFile(t, w.path, set(oct("first")), 0o600)
		w.expect("first", "keys file read")
		if h := w.file.Health(); h.Err != nil || time.Since(h.Read) > interval || w.file.Pending() {
			t.Errorf("with the file again: %+v", h)
		}
	})
}

// A source that cannot be read is unhealthy a minute before its keys run out: before the last
// one ends, or before one signs that is in the refused file. A key of another API is no such key.
func TestHealthBeforeTheKeysEnd(t *testing.T) {
	const other = "https://billing.example"
	refuse := func(ring *keyring.Ring) error {
		if _, ok := ring.BoundToOther(""); ok {
			return errors.New("refused")
		}
		return nil
	}
	at := func(d time.Duration) string { return fmt.Sprint(time.Now().Add(d).Unix()) }
	for name, tt := range map[string]struct {
		next func() string // what the file becomes
		ends bool          // whether the keys run out in 5 minutes
	}{
		"a key of another API": {func() string { return set(oct("first"), oct("b", `"aud":"`+other+`"`)) }, false},
		"and a new one": {func() string {
			return set(oct("first"), oct("b", `"aud":"`+other+`"`), oct("second", `"nbf":`+at(5*time.Minute)))
		}, true},
	} {
		watch(t, func(w *watched) {
			end := time.Now().Add(5 * time.Minute).Truncate(time.Second)
			writeFile(t, w.path, tt.next(), 0o600)
			w.expect("first", "refused")
			h := w.file.Health()
			if h.End.IsZero() == tt.ends || tt.ends && !h.End.Equal(end) {
				t.Errorf("%s: the keys end at %v, want %v", name, h.End, end)
			}
			for before, want := range map[time.Duration]bool{2 * time.Minute: false, time.Minute: true, -time.Hour: true} {
				if got := h.Check(end.Add(-before)) != nil; got != (want && tt.ends) {
					t.Errorf("%s: %v before the end: unhealthy %v", name, before, got)
				}
			}
		}, refuse)
	}
}

// Keys that have ended are unhealthy even if their source can be read.
func TestHealthOfEndedKeys(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys.json")
	writeFile(t, path, set(oct("a", `"exp":1800000000`), oct("b", `"exp":1800000100`)), 0o600)
	file, err := keyring.Open(path)
	mustNot(t, err)
	for at, want := range map[int64]bool{1_800_000_050: false, 1_800_000_099: false, 1_800_000_100: true} {
		if got := file.Health().Check(time.Unix(at, 0)) != nil; got != want {
			t.Errorf("at %d: unhealthy %v", at, got)
		}
	}
	if _, ok := keyring.HealthOf(file.Current()); ok {
		t.Error("a ring, which is not read again, has a state")
	}
}

// Checks run in Open and each time the file changes.
func TestChecksHoldForEveryRing(t *testing.T) {
	small := func(ring *keyring.Ring) error {
		if ring.Len() > 1 {
			return fmt.Errorf("%d keys are too many", ring.Len())
		}
		return nil
	}
	path := filepath.Join(t.TempDir(), "keys.json")
	writeFile(t, path, set(oct("first"), oct("second")), 0o600)
	if file, err := keyring.Open(path, small); err == nil || file != nil ||
		!strings.Contains(err.Error(), "2 keys are too many") {
		t.Errorf("Open gave %v, %v", file, err)
	}
	watch(t, func(w *watched) {
		writeFile(t, w.path, set(oct("second"), oct("third")), 0o600)
		w.expect("first", "2 keys are too many")
		w.expect("first", "")
		writeFile(t, w.path, set(oct("second")), 0o600)
		w.expect("second", "keys file read")
	}, small)
}

func TestWatchNoticesPermissions(t *testing.T) {
	watch(t, func(w *watched) {
		mustNot(t, os.Chmod(w.path, 0o644))
		w.expect("first", "others can read or change the file")
		w.expect("first", "")
		mustNot(t, os.Chmod(w.path, 0o600))
		w.expect("first", "keys file read")
		w.expect("first", "")
	})
}
