package statuslist_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// A list that takes long to arrive is used: a fetch is given up if the server is silent, and not because the link is
// slow. The first requests wait for 4 seconds, and later ones do not wait at all.
func TestClientOnASlowLink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, c, log := open(t, nil)
		p.publish(17)
		var pause atomic.Int64 // between two parts of a response
		pause.Store(int64(4 * time.Second))
		p.instead(func(r *http.Request) *http.Response {
			resp := respond(http.StatusOK, "")
			text := sign(t, p.list, signer(t, p.ring))
			resp.Body = io.NopCloser(&dripping{r.Context(), text, (len(text) + 5) / 6, time.Duration(pause.Load())})
			return resp
		})
		waits := func(want time.Duration) {
			t.Helper()
			began := time.Now()
			expectUnknown(t, c, uri)
			if took := time.Since(began); took != want {
				t.Errorf("the request waited for %v, want %v", took, want)
			}
		}
		waits(4 * time.Second)
		waits(0)
		time.Sleep(25 * time.Second) // 7 pauses, before each part and the end, are 28 seconds
		expect(t, c, 17, true)
		if failures := c.Stats().Failures; failures != 0 || log.Len() > 0 {
			t.Errorf("%d failures, log:\n%s", failures, log)
		}
		for reason, slower := range map[string]time.Duration{
			"the response takes longer than 30s": 4900 * time.Millisecond,
			"the server has sent nothing for 5s": time.Minute,
		} {
			pause.Store(int64(slower))
			time.Sleep(2 * time.Minute)
			expect(t, c, 17, true)
			if !strings.Contains(log.String(), reason) {
				t.Errorf("the log does not say %q:\n%s", reason, log)
			}
			pause.Store(int64(time.Millisecond))
			time.Sleep(2 * time.Minute)
		}
	})
}

// dripping is a body whose parts each take a while.
type dripping struct {
	ctx   context.Context //nolint:containedctx // of the request
	text  string
	part  int // bytes
	pause time.Duration
}

// Read implements io.Reader.
func (d *dripping) Read(p []byte) (int, error) {
	select {
	case <-time.After(d.pause):
	case <-d.ctx.Done():
		return 0, d.ctx.Err()
	}
	if d.text == "" {
		return 0, io.EOF
	}
	n := copy(p, d.text[:min(d.part, len(d.text))])
	d.text = d.text[n:]
	return n, nil
}
