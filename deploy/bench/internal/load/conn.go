package load

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"strconv"
)

// maxAnswer is the longest answer that is read, in bytes.
const maxAnswer = 16 << 10

var (
	okStatus      = []byte("HTTP/1.1 200 ")
	headEnd       = []byte("\r\n\r\n")
	contentLength = []byte("\r\nContent-Length: ")
)

// conn is one connection and the answer that is being read from it.
type conn struct {
	net.Conn
	buf [maxAnswer]byte
}

// roundTrip sends the request and reads the whole answer. Any answer but a 200 with
// a Content-Length is an error that shows its first line.
func (c *conn) roundTrip(request []byte) error {
	if _, err := c.Write(request); err != nil {
		return err
	}
	read, want := 0, 0
	for want == 0 || read < want {
		if read == len(c.buf) {
			return fmt.Errorf("the answer is longer than %d bytes", maxAnswer)
		}
		n, err := c.Read(c.buf[read:])
		read += n
		if err != nil {
			return fmt.Errorf("after %d bytes of the answer: %w", read, err)
		}
		if want == 0 {
			if want, err = answerLength(c.buf[:read]); err != nil {
				return err
			}
		}
	}
	if read > want {
		return fmt.Errorf("%d bytes follow the answer", read-want)
	}
	return nil
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
