package load

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"syscall"
	"time"
)

// maxAnswer is the longest answer that is read, in bytes.
const maxAnswer = 16 << 10

var (
	okStatus      = []byte("HTTP/1.1 200 ")
	headEnd       = []byte("\r\n\r\n")
	contentLength = []byte("\r\nContent-Length: ")
)

// conn is one connection, what it sends, and the answer that is being read from it.
type conn struct {
	net.Conn
	request []byte
	next    *link     // nil when all requests are the same
	count   int       // requests sent
	sent    time.Time // when the last one was
	done    bool

	raw  syscall.RawConn // nil when reads wait
	buf  [maxAnswer]byte
	read int // bytes of the answer that are in buf
	want int // bytes of the answer in all; 0 until its head is complete
}

// setSpin makes reads return at once, with or without something read.
func (c *conn) setSpin(spin bool) (err error) {
	if spin {
		c.raw, err = c.Conn.(*net.TCPConn).SyscallConn()
	}
	return err
}

// setFollow gives the connection a request of its own, which changes with each answer.
func (c *conn) setFollow(name string) (err error) {
	if name != "" {
		c.request = slices.Clone(c.request)
		c.next, err = newLink(c.request, name)
	}
	return err
}

// send sends the request once more; it is now.
func (c *conn) send(now time.Time) error {
	c.count, c.sent, c.read, c.want = c.count+1, now, 0, 0
	_, err := c.Write(c.request)
	return err
}

// receive reads once and reports whether the answer is complete. Any answer but a
// 200 with a Content-Length is an error that shows its first line.
func (c *conn) receive() (complete bool, err error) {
	n, err := c.readSome(c.buf[c.read:])
	c.read += n
	if err != nil {
		return false, fmt.Errorf("after %d bytes of the answer: %w", c.read, err)
	}
	if c.want == 0 {
		if c.want, err = answerLength(c.buf[:c.read]); err != nil {
			return false, err
		}
	}
	switch {
	case c.want > 0 && c.read > c.want:
		return false, fmt.Errorf("%d bytes follow the answer", c.read-c.want)
	case c.want == 0 && c.read == len(c.buf) || c.want > len(c.buf):
		return false, fmt.Errorf("the answer is longer than %d bytes", maxAnswer)
	}
	return c.want > 0 && c.read == c.want, nil
}

// readSome is Read, which does not wait when the connection spins: zero then means
// that there is nothing yet.
func (c *conn) readSome(b []byte) (n int, err error) {
	if c.raw == nil {
		return c.Read(b)
	}
	var readErr error
	err = c.raw.Read(func(fd uintptr) bool {
		n, readErr = syscall.Read(int(fd), b)
		return true // whatever came: do not wait for more
	})
	switch {
	case err != nil:
		return 0, err
	case errors.Is(readErr, syscall.EAGAIN) || errors.Is(readErr, syscall.EINTR):
		return 0, nil
	case readErr != nil:
		return 0, readErr
	case n == 0:
		return 0, io.EOF
	}
	return n, nil
}

// answerLength returns how many bytes the answer has whose beginning this is, or
// zero when its head is not complete yet.
func answerLength(beginning []byte) (int, error) {
	head := bytes.Index(beginning, headEnd)
	if head < 0 {
		return 0, nil
	}
	if !bytes.HasPrefix(beginning, okStatus) {
		line, _, _ := bytes.Cut(beginning, []byte("\r\n"))
		return 0, fmt.Errorf("the answer is not 200: %q", line)
	}
	at := bytes.Index(beginning[:head], contentLength)
	if at < 0 {
		return 0, errors.New("the answer has no Content-Length")
	}
	digits, _, _ := bytes.Cut(beginning[at+len(contentLength):head+len("\r\n")], []byte("\r\n"))
	body, err := strconv.ParseUint(string(digits), 10, 31)
	if err != nil {
		return 0, fmt.Errorf("Content-Length %q is not a number", digits)
	}
	return head + len(headEnd) + int(body), nil
}
