package httpserver

import (
	"context"
	"io"
	"log/slog"
	"sync"
	"time"
)

// logFlushInterval is how long a line may wait in memory. A write call for each
// request would cost more than all else a small request needs.
const logFlushInterval = 100 * time.Millisecond

// What waits in memory at the most: lines of about so many bytes, and besides them so many
// requests whose lines are not yet made, all of them short.
const (
	maxLogBatch = 32 << 10
	maxUnmade   = 64
)

// Logger is a slog.Logger whose lines are written in batches: at the latest
// 100 milliseconds after they were made, and at once with a warning or an error.
type Logger struct {
	*slog.Logger
	out *batchWriter
}

// NewLogger returns a logger on w in the format and with the least level that the
// settings name. Lines carry the id of the request they belong to. Call Close at
// the end of the program, or the last lines are lost.
//
// Whoever logs while w blocks is held up, and so every request is: to go on without a log
// is not for the server to decide. The metrics then show requests in flight.
func NewLogger(w io.Writer, s Settings) *Logger {
	var level slog.Level
	if err := level.UnmarshalText([]byte(s.LogLevel)); err != nil {
		level = slog.LevelInfo // kong has checked the setting; a zero Settings means info
	}
	out := &batchWriter{w: w, appendLine: (*requestLine).appendText}
	options := &slog.HandlerOptions{Level: level}
	handler := &logHandler{Handler: slog.NewTextHandler(out, options), out: out}
	if s.LogFormat == "json" {
		handler.Handler, out.appendLine = slog.NewJSONHandler(out, options), (*requestLine).appendJSON
	}
	return &Logger{Logger: slog.New(handler), out: out}
}

// Close writes what is still in memory. Lines logged later are written at once.
func (l *Logger) Close() { l.out.close() }

// logHandler adds the request's id and does not let warnings wait.
type logHandler struct {
	slog.Handler
	out     *batchWriter
	derived bool // lines carry more than is in them
}

func (h *logHandler) Handle(ctx context.Context, r slog.Record) error {
	if id := RequestID(ctx); id != "" {
		r.AddAttrs(slog.String("request_id", id))
	}
	err := h.Handler.Handle(ctx, r)
	if r.Level >= slog.LevelWarn {
		h.out.flush()
	}
	return err
}

func (h *logHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &logHandler{Handler: h.Handler.WithAttrs(attrs), out: h.out, derived: true}
}

func (h *logHandler) WithGroup(name string) slog.Handler {
	return &logHandler{Handler: h.Handler.WithGroup(name), out: h.out, derived: true}
}

// batchWriter collects lines, which a timer writes. The timer runs only while
// something waits, so an idle server does not wake up.
//
// The lines of requests are made many at a time too: to make one takes half a microsecond
// if the code for it is in the processor's caches. After the system calls of a request it
// is not, and it takes several times as long.
type batchWriter struct {
	w          io.Writer
	appendLine func(*requestLine, []byte) []byte // in the format of the log

	mu      sync.Mutex
	batch   []byte
	unmade  []requestLine // come after the batch
	waiting bool
	closed  bool
}

// Write takes a line that is made.
func (b *batchWriter) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.makeLines()
	b.batch = append(b.batch, p...)
	b.settle()
	return len(p), nil
}

// add takes the line of a request.
func (b *batchWriter) add(l requestLine) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.unmade = append(b.unmade, l)
	if len(b.unmade) == maxUnmade {
		b.makeLines()
	}
	b.settle()
}

// makeLines moves the requests' lines to the batch.
func (b *batchWriter) makeLines() {
	for i := range b.unmade {
		b.batch = b.appendLine(&b.unmade[i], b.batch)
	}
	clear(b.unmade) // or they would keep the memory of their requests
	b.unmade = b.unmade[:0]
}

// settle writes what waits if it may not, and has it written in time if it may.
func (b *batchWriter) settle() {
	switch {
	case b.closed || len(b.batch) >= maxLogBatch:
		b.writeOut()
	case !b.waiting:
		b.waiting = true
		time.AfterFunc(logFlushInterval, b.expire)
	}
}

// expire is called by the timer. What comes from now on starts it again.
func (b *batchWriter) expire() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.waiting = false
	b.writeOut()
}

// flush writes at once what waits.
func (b *batchWriter) flush() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.writeOut()
}

func (b *batchWriter) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	b.writeOut()
}

// writeOut writes all that waits. Lines that cannot be written are lost: there is
// nowhere to say so, and to keep them would fill the memory. Later ones are tried
// again, so that a full disk silences the log only for as long as it is full.
func (b *batchWriter) writeOut() {
	b.makeLines()
	if len(b.batch) > 0 {
		_, _ = b.w.Write(b.batch)
		b.batch = b.batch[:0]
	}
}
