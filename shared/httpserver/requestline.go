package httpserver

import (
	"context"
	"log/slog"
	"strconv"
	"time"
)

// requestLine is what is logged of a request.
//
// It writes itself, in the very bytes that slog would write, because slog takes some
// two microseconds for it: more than any other part of a small request but the
// system calls, and five times as long as this. Whatever would have to be quoted or
// escaped, or is long, is left to slog, and so is every logger that is not of NewLogger.
type requestLine struct {
	time         time.Time
	level        slog.Level
	method, path string
	status       int
	bytes        int64
	took         time.Duration
	from, id     string
}

// log logs the line if its level is logged.
func (l *requestLine) log(ctx context.Context, log *slog.Logger) {
	if !log.Enabled(ctx, l.level) {
		return
	}
	h, ok := log.Handler().(*logHandler)
	if !ok || h.derived || !plain(l.method) || !plain(l.path) || !plain(l.from) || !plain(l.id) {
		l.leaveToSlog(ctx, log)
		return
	}
	h.out.add(*l)
	if l.level >= slog.LevelWarn {
		h.out.flush()
	}
}

// leaveToSlog logs the line as any other.
func (l *requestLine) leaveToSlog(ctx context.Context, log *slog.Logger) {
	r := slog.NewRecord(l.time, l.level, requestMessage, 0)
	r.AddAttrs(
		slog.String("method", l.method),
		slog.String("path", l.path),
		slog.Int("status", l.status),
		slog.Int64("bytes", l.bytes),
		slog.Duration("took", l.took),
		slog.String("from", l.from))
	_ = log.Handler().Handle(ctx, r) // as slog.Logger does
}

const requestMessage = "request"

// maxPlain is how long a part of a line may be, in bytes, if the line waits to be made.
const maxPlain = 256

// appendText appends the line as slog.TextHandler writes it.
func (l *requestLine) appendText(b []byte) []byte {
	b = append(b, "time="...)
	b = appendMilliseconds(b, l.time)
	b = append(append(b, " level="...), l.level.String()...)
	b = append(append(b, " msg="+requestMessage+" method="...), l.method...)
	b = append(append(b, " path="...), l.path...)
	b = strconv.AppendInt(append(b, " status="...), int64(l.status), 10)
	b = strconv.AppendInt(append(b, " bytes="...), l.bytes, 10)
	b = append(append(b, " took="...), l.took.String()...)
	b = append(append(b, " from="...), l.from...)
	b = append(append(b, " request_id="...), l.id...)
	return append(b, '\n')
}

// appendJSON appends the line as slog.JSONHandler writes it.
func (l *requestLine) appendJSON(b []byte) []byte {
	b = append(b, `{"time":"`...)
	b = l.time.AppendFormat(b, time.RFC3339Nano)
	b = append(append(b, `","level":"`...), l.level.String()...)
	b = append(append(b, `","msg":"`+requestMessage+`","method":"`...), l.method...)
	b = append(append(b, `","path":"`...), l.path...)
	b = strconv.AppendInt(append(b, `","status":`...), int64(l.status), 10)
	b = strconv.AppendInt(append(b, `,"bytes":`...), l.bytes, 10)
	b = strconv.AppendInt(append(b, `,"took":`...), int64(l.took), 10)
	b = append(append(b, `,"from":"`...), l.from...)
	b = append(append(b, `","request_id":"`...), l.id...)
	return append(b, "\"}\n"...)
}

// appendMilliseconds appends t in RFC 3339 with three digits after the point. Of the
// layouts of package time only RFC3339Nano is fast, and it leaves out zeros at the
// end: so a fourth digit is made that is none, and cut off.
func appendMilliseconds(b []byte, t time.Time) []byte {
	const length = len("2006-01-02T15:04:05.000")
	start := len(b)
	b = t.Truncate(time.Millisecond).Add(time.Millisecond/10).AppendFormat(b, time.RFC3339Nano)
	return append(b[:start+length], b[start+length+1:]...)
}

// plain reports whether both formats write s as it is, and it takes little memory until
// they do: it is short but not empty, and all of it is printable ASCII without quotes,
// backslashes and equals signs.
func plain(s string) bool {
	if len(s) > maxPlain {
		return false
	}
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c > '~' || c == '"' || c == '\\' || c == '=' {
			return false
		}
	}
	return s != ""
}
