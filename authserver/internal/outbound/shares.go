package outbound

import (
	"fmt"
	"net"
	"sync"
)

// shares bounds how many requests of one kind run at once to each host and to each address, so that a few slow ones
// leave room for the others. It is safe for concurrent use.
type shares struct {
	max int // 0 for no bound

	mu   sync.Mutex
	used map[string]int
}

// take takes one of the requests that a target may have at once. release gives it back, and may be called again. The
// error is ErrBusy.
func (s *shares) take(target string) (release func(), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.max > 0 && s.used[target] >= s.max {
		return nil, fmt.Errorf("%w to %s: %d are running", ErrBusy, target, s.max)
	}
	s.used[target]++
	return sync.OnceFunc(func() { s.giveBack(target) }), nil
}

func (s *shares) giveBack(target string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.used[target]--; s.used[target] == 0 {
		delete(s.used, target)
	}
}

// sharedConn is a connection that gives back its share of the requests to an address.
type sharedConn struct {
	net.Conn
	release func()
}

// Close implements net.Conn.
func (c sharedConn) Close() error {
	c.release()
	return c.Conn.Close()
}
