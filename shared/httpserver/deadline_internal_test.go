package httpserver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// What a step of a script does, with a number.
const (
	stepWait  = iota // some milliseconds
	stepLater        // a deadline so many milliseconds from now
	stepNever        // none
	stepNow          // one that is over
	stepAbort        // the one that http.Server ends a read with
	stepPeer         // the other end does its part, so many times
	stepClose        // the connection is closed
	stepKinds
)

// stage is one end of a pipe, which is read from or written to all the time.
type stage struct {
	net.Conn
	set    func(time.Time) error     // its deadline
	call   func([]byte) (int, error) // reads or writes
	answer func([]byte)              // what the other end does to let a call succeed
	parts  chan int                  // how many bytes of it are to come
	closed atomic.Bool
	events []string // what came of every call, and when
}

// newStage returns a stage on a pipe, and the function that ends it.
func newStage(wrap func(net.Conn) net.Conn, writing bool) (s *stage, end func()) {
	inner, peer := net.Pipe()
	s = &stage{Conn: wrap(inner), parts: make(chan int, 64)}
	s.set, s.call, s.answer = s.SetReadDeadline, s.Read, func(b []byte) { _, _ = peer.Write(b) }
	if writing {
		s.set, s.call, s.answer = s.SetWriteDeadline, s.Write, func(b []byte) { _, _ = io.ReadFull(peer, b) }
	}
	var both sync.WaitGroup
	both.Go(func() {
		for n := range s.parts {
			s.answer(make([]byte, n))
		}
	})
	both.Go(s.callAgainAndAgain)
	return s, func() {
		s.step(stepClose, 0)
		_ = peer.Close()
		close(s.parts)
		both.Wait()
	}
}

func (s *stage) callAgainAndAgain() {
	for began := time.Now(); ; {
		n, err := s.call(make([]byte, 3))
		if errors.Is(err, os.ErrDeadlineExceeded) {
			err = os.ErrDeadlineExceeded // without where it was found
		}
		if s.closed.Load() {
			return
		}
		s.events = append(s.events, fmt.Sprint(time.Since(began), n, err))
		time.Sleep(10*time.Millisecond + time.Microsecond) // and so never as a step is taken
	}
}

// step takes a step of a script. Deadlines end between two milliseconds, so that nothing
// else happens in the same moment.
func (s *stage) step(kind, number byte) {
	length := time.Duration(number) * time.Millisecond
	set := s.set
	if number%2 == 1 {
		set = s.SetDeadline
	}
	switch kind % stepKinds {
	case stepWait:
		time.Sleep(length)
	case stepLater:
		_ = set(time.Now().Add(length + time.Millisecond/2))
	case stepNever:
		_ = set(time.Time{})
	case stepNow:
		_ = set(time.Now())
	case stepAbort:
		_ = set(time.Unix(1, 0))
	case stepPeer:
		s.parts <- int(number % 8)
	case stepClose:
		s.closed.Store(true)
		_ = s.Close()
	}
}

// play plays a script and returns what came of every call, and when.
func play(t *testing.T, script []byte, wrap func(net.Conn) net.Conn, writing bool) (events []string) {
	synctest.Test(t, func(*testing.T) {
		s, end := newStage(wrap, writing)
		for ; len(script) > 1; script = script[2:] {
			s.step(script[0], script[1])
			synctest.Wait()
		}
		end()
		events = s.events
	})
	return events
}

// However deadlines are set, a connection with lazy ones does what it would do itself.
func FuzzLazyDeadlines(f *testing.F) {
	f.Add([]byte{stepLater, 30, stepWait, 50, stepLater, 30, stepWait, 5, stepPeer, 3, stepWait, 50})                      // over, and set again
	f.Add([]byte{stepLater, 30, stepWait, 10, stepLater, 200, stepWait, 100, stepPeer, 4, stepWait, 255})                  // later while waiting
	f.Add([]byte{stepLater, 200, stepWait, 10, stepLater, 30, stepWait, 100})                                              // earlier while waiting
	f.Add([]byte{stepLater, 30, stepWait, 10, stepNever, 0, stepWait, 100, stepPeer, 6, stepWait, 100})                    // none after all
	f.Add([]byte{stepLater, 30, stepAbort, 0, stepWait, 50, stepNever, 0, stepWait, 50, stepPeer, 2, stepWait, 50})        // ended, and gone on
	f.Add([]byte{stepLater, 30, stepNow, 0, stepWait, 20, stepLater, 99, stepPeer, 5, stepWait, 200})                      // over from the beginning
	f.Add([]byte{stepPeer, 3, stepWait, 1, stepAbort, 0, stepWait, 11, stepNever, 0, stepPeer, 3, stepWait, 1, stepClose}) // ended while nothing waits
	f.Add([]byte{stepPeer, 1, stepLater, 30, stepWait, 10, stepLater, 90, stepWait, 60, stepPeer, 2, stepWait, 99})        // part of a write, and the rest later
	f.Add([]byte{stepLater, 31, stepWait, 50, stepLater, 131, stepWait, 10, stepNever, 1, stepWait, 200})                  // reads and writes at once
	f.Fuzz(func(t *testing.T, script []byte) {
		if len(script) > 40 {
			return
		}
		for _, writing := range []bool{false, true} {
			want := play(t, script, func(c net.Conn) net.Conn { return c }, writing)
			got := play(t, script, func(c net.Conn) net.Conn { return newLazyConn(c, newCohort(new(atomic.Bool))) }, writing)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("writing: %t (-as itself +lazy):\n%s", writing, diff)
			}
		}
	})
}

// told counts how often a connection is told a deadline.
type told struct {
	net.Conn
	times *atomic.Int64
}

func (c told) SetReadDeadline(t time.Time) error {
	c.times.Add(1)
	return c.Conn.SetReadDeadline(t)
}

func (c told) SetWriteDeadline(t time.Time) error {
	c.times.Add(1)
	return c.Conn.SetWriteDeadline(t)
}

// A connection is told a deadline only if one that it has would make it wait for too long.
func TestLazyDeadlinesAreToldInNeed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner, peer := net.Pipe()
		defer inner.Close()
		defer peer.Close()
		var times atomic.Int64
		c := newLazyConn(told{inner, &times}, newCohort(new(atomic.Bool)))
		reads := func(deadline time.Time, wantErr error, wantTold int64) {
			t.Helper()
			times.Store(0)
			_ = c.SetReadDeadline(deadline)
			if wantErr == nil {
				go func() { _, _ = peer.Write([]byte("x")) }()
			}
			if _, err := c.Read(make([]byte, 1)); !errors.Is(err, wantErr) || times.Load() != wantTold {
				t.Errorf("%v, and %d deadlines told, not %d", err, times.Load(), wantTold)
			}
		}
		reads(time.Time{}, nil, 0)
		reads(time.Unix(1, 0), os.ErrDeadlineExceeded, 0)
		reads(time.Now().Add(time.Hour), nil, 1)
		reads(time.Now().Add(2*time.Hour), nil, 0)
		reads(time.Time{}, nil, 0)
		reads(time.Now().Add(time.Minute), nil, 1)
	})
}

// A deadline ends every read that is under way, also after another one is done.
func TestLazyDeadlineOfTwoReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner, peer := net.Pipe()
		defer inner.Close()
		defer peer.Close()
		c := newLazyConn(inner, newCohort(new(atomic.Bool)))
		ended := make(chan error, 2)
		for range 2 {
			go func() {
				_, err := c.Read(make([]byte, 1))
				ended <- err
			}()
		}
		synctest.Wait()
		_, _ = peer.Write([]byte("x"))
		if err := <-ended; err != nil {
			t.Error(err)
		}
		_ = c.SetReadDeadline(time.Now().Add(time.Second))
		began := time.Now()
		if err := <-ended; !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(began) != time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
	})
}

// A connection that cannot be given its deadline is not read from or written to, since that
// might never end.
func TestLazyDeadlineThatCannotBeSet(t *testing.T) {
	inner, peer := net.Pipe()
	defer peer.Close()
	refused := errors.New("refused")
	c := newLazyConn(inner, newCohort(new(atomic.Bool)))
	c.read.set = func(time.Time) error { return refused }
	c.write.set = c.read.set
	_ = c.SetDeadline(time.Now().Add(time.Hour))
	for _, call := range []func([]byte) (int, error){c.Read, c.Write} {
		if _, err := call(make([]byte, 1)); !errors.Is(err, refused) {
			t.Error(err)
		}
	}
}

// pipes is a listener whose connections are made by the test.
type pipes chan net.Conn

func (p pipes) Accept() (net.Conn, error) {
	if c, ok := <-p; ok {
		return c, nil
	}
	return nil, net.ErrClosed
}
func (p pipes) Close() error   { close(p); return nil }
func (p pipes) Addr() net.Addr { return &net.TCPAddr{} }

// serving runs test with the client's end of a connection to our http.Server, on a clock
// that the test moves, and with how often its connection was told a deadline.
func serving(t *testing.T, h http.HandlerFunc, test func(t *testing.T, client net.Conn, times *atomic.Int64)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		log := NewLogger(io.Discard, Settings{})
		s := (&Server{Log: log.Logger}).httpServer(h)
		listener := make(pipes, 1)
		go func() { _ = s.Serve(lazyListener{listener, newCohort(new(atomic.Bool))}) }()
		inner, client := net.Pipe()
		var times atomic.Int64
		listener <- told{inner, &times}
		defer log.Close()
		defer s.Close()
		defer client.Close()
		test(t, client, &times)
	})
}

// A connection of many requests is not told the timeouts of each.
func TestLazyDeadlinesOfRequests(t *testing.T) {
	serving(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") }, func(t *testing.T, client net.Conn, times *atomic.Int64) {
		answer := make([]byte, 4<<10)
		for i := range 1000 {
			if _, err := io.WriteString(client, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
				t.Fatal(i, err)
			}
			if n, err := client.Read(answer); err != nil || !bytes.HasSuffix(answer[:n], []byte("hello")) {
				t.Fatalf("%q, %v", answer[:n], err)
			}
			synctest.Wait()
		}
		// Two of the eight for each are how the server ends its read for a client that goes
		// away, if that has begun.
		if n := times.Load(); n > 2010 {
			t.Errorf("1000 requests set %d deadlines", n)
		}
	})
}

// Every timeout of the server ends a connection that makes it wait.
func TestTimeouts(t *testing.T) {
	const whole = "GET / HTTP/1.1\r\nHost: x\r\n\r\n"
	for _, tt := range []struct {
		name  string
		sends []string // a second between them
		reads bool     // whether the client reads answers
		after time.Duration
	}{
		{"nothing sent", nil, true, readHeaderTimeout},
		{"half a header", []string{"GET / HTTP/1.1\r\n", "Host: x\r\n", "A: b\r\n"}, true, readHeaderTimeout},
		{"half a body", []string{"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n", "a", "b"}, true, readTimeout},
		{"idle", []string{whole}, true, idleTimeout},
		{"idle after a second request", []string{whole, whole}, true, time.Second + idleTimeout},
		{"half a header after a request", []string{whole, "GET / "}, true, time.Second + readHeaderTimeout},
		{"the answer not read", []string{whole}, false, writeTimeout},
	} {
		t.Run(tt.name, func(t *testing.T) {
			body := strings.Repeat("x", 64<<10)
			serving(t, func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				_, _ = io.WriteString(w, body)
			}, func(t *testing.T, client net.Conn, _ *atomic.Int64) {
				began := time.Now()
				ctx, over := context.WithCancel(t.Context())
				go func() {
					for i, text := range tt.sends {
						if i > 0 {
							time.Sleep(time.Second)
						}
						_, _ = io.WriteString(client, text)
					}
				}()
				go func() {
					defer over()
					if !tt.reads {
						time.Sleep(writeTimeout + time.Millisecond)
					}
					_, _ = io.Copy(io.Discard, client)
				}()
				<-ctx.Done()
				if took := time.Since(began).Round(time.Second); took != tt.after {
					t.Errorf("it took %v, not %v", took, tt.after)
				}
			})
		})
	}
}
