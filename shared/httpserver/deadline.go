package httpserver

import (
	"errors"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// lazyListener accepts connections that do nothing in vain, and in company. http.Server sets
// eight deadlines for a request and nearly always takes them back in time; to start and stop
// a timer each time took a twentieth of a small request.
type lazyListener struct {
	net.Listener
	cohort *cohort
}

// Accept waits for a connection.
func (l lazyListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return newLazyConn(c, l.cohort), nil
}

// lazyConn is a connection that keeps its deadlines to itself for as long as it can, and goes
// from one step of a request to the next with its cohort.
type lazyConn struct {
	net.Conn
	read, write lazyDeadline
	cohort      *cohort
	wrote       atomic.Bool // since the last read
}

func newLazyConn(c net.Conn, together *cohort) *lazyConn {
	return &lazyConn{
		Conn: c, cohort: together,
		read: lazyDeadline{set: c.SetReadDeadline}, write: lazyDeadline{set: c.SetWriteDeadline},
	}
}

// Read reads as a net.Conn does.
func (c *lazyConn) Read(p []byte) (int, error) {
	if c.wrote.Swap(false) {
		c.cohort.wait() // what was written was an answer, and the next request is hardly ever here yet
	}
	n, err := c.readInTime(p)
	if n > 0 {
		c.cohort.wait()
	}
	return n, err
}

func (c *lazyConn) readInTime(p []byte) (int, error) {
	for {
		if err := c.read.begin(); err != nil {
			return 0, err
		}
		n, err := c.Conn.Read(p)
		if !c.read.end(err) {
			return n, err
		}
		if n > 0 {
			return n, nil
		}
	}
}

// Write writes as a net.Conn does.
func (c *lazyConn) Write(p []byte) (int, error) {
	if !c.wrote.Swap(true) {
		c.cohort.wait()
	}
	for written := 0; ; {
		if err := c.write.begin(); err != nil {
			return written, err
		}
		n, err := c.Conn.Write(p[written:])
		written += n
		if !c.write.end(err) {
			return written, err
		}
	}
}

// SetReadDeadline is as of a net.Conn.
func (c *lazyConn) SetReadDeadline(t time.Time) error { return c.read.want(t) }

// SetWriteDeadline is as of a net.Conn.
func (c *lazyConn) SetWriteDeadline(t time.Time) error { return c.write.want(t) }

// SetDeadline is as of a net.Conn.
func (c *lazyConn) SetDeadline(t time.Time) error {
	return errors.Join(c.read.want(t), c.write.want(t))
}

// CloseWrite lets http.Server say that it will write no more, so that a client that is
// still sending gets to read the answer before the connection is closed.
func (c *lazyConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// lazyDeadline is a deadline of a connection's reads or writes.
//
// The connection is told of it only when it is about to wait, and not if it has an earlier
// one already: then it gives up too early, is told the right one, and tries again. That
// happens once in a timeout. Besides, http.Server ends its read for a client that goes away,
// which it begins while a handler works, by two deadlines at the end of the request; a
// handler that is done before that read has begun costs none.
type lazyDeadline struct {
	set func(time.Time) error // tells the connection

	mu     sync.Mutex
	wanted time.Time // zero: none
	told   time.Time // what the connection was told last
	busy   int       // reads or writes that are under way
}

// longAgo is when a deadline is over that is meant to end a read at once: http.Server sets
// one at the end of each request, at the beginning of 1970.
var longAgo = time.Unix(1e6, 0)

// want sets the deadline; zero means none.
func (d *lazyDeadline) want(t time.Time) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.wanted = t
	if d.busy == 0 {
		return nil
	}
	return d.tell()
}

// tell makes sure that the connection does not wait for longer than is wanted.
func (d *lazyDeadline) tell() error {
	inTime := d.wanted.IsZero() || !d.told.IsZero() && !d.told.After(d.wanted)
	over := !d.told.IsZero() && d.told.Before(longAgo) // is in time, but would only make it try twice
	if inTime && !over {
		return nil
	}
	return d.tellWanted()
}

// tellWanted tells the connection the deadline that is wanted.
func (d *lazyDeadline) tellWanted() error {
	if err := d.set(d.wanted); err != nil {
		return err
	}
	d.told = d.wanted
	return nil
}

// begin is called before a read or a write; after an error there is to be none, and no end.
func (d *lazyDeadline) begin() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.wanted.IsZero() && d.wanted.Before(longAgo) {
		return os.ErrDeadlineExceeded // without telling: the next one would have to tell again
	}
	if err := d.tell(); err != nil {
		return err
	}
	d.busy++
	return nil
}

// end is called with the error of a read or a write. It reports whether the connection gave
// up too early.
func (d *lazyDeadline) end(err error) (tooEarly bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.busy--
	if err == nil || !errors.Is(err, os.ErrDeadlineExceeded) {
		return false
	}
	if !d.wanted.IsZero() && !time.Now().Before(d.wanted) {
		return false
	}
	return d.tellWanted() == nil
}
