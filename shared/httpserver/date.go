package httpserver

import (
	"net/http"
	"sync/atomic"
	"time"
)

// dates makes the Date of answers (RFC 9110 §6.6.1), once in a second: http.Server would
// make it for each. It is the second in which the request came: the one in which the answer
// begins, unless the handler or the client's body is slow. Then it is early by as much.
type dates struct{ last atomic.Pointer[date] }

// date is the header field of a second.
type date struct {
	second int64 // since 1970
	field  []string
}

// at returns the header field at now; nobody may change its element.
func (d *dates) at(now time.Time) []string {
	second := now.Unix()
	if last := d.last.Load(); last != nil && last.second == second {
		return last.field
	}
	made := &date{second: second, field: []string{now.UTC().Format(http.TimeFormat)}}
	d.last.Store(made)
	return made.field
}
