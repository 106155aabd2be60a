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

// maxLogBatch is how many bytes of lines wait at the most.
const maxLogBatch = 32 << 10

// Logger is a slog.Logger whose lines are written in batches: at the latest
// 100 milliseconds after they were made, and at once with a warning or an error.
type Logger struct {
	*slog.Logger
	out *batchWriter
}

// NewLogger returns a logger on w in the format and with the least level that the
// settings name. Lines carry the id of the request they belong to. Call Close at
// the end of the program, or the last lines are lost.
func NewLogger(w io.Writer, s Settings) *Logger {
	var level slog.Level
	if err := level.UnmarshalText([]byte(s.LogLevel)); err != nil {
		level = slog.LevelInfo // kong has checked the setting; a zero Settings means info
	}
	out := &batchWriter{w: w}
	options := &slog.HandlerOptions{Level: level}
	handler := &logHandler{Handler: slog.NewTextHandler(out, options), out: out, appendLine: (*requestLine).appendText}
	if s.LogFormat == "json" {
		handler.Handler, handler.appendLine = slog.NewJSONHandler(out, options), (*requestLine).appendJSON
	}
	return &Logger{Logger: slog.New(handler), out: out}
}

// Close writes what is still in memory. Lines logged later are written at once.
func (l *Logger) Close() { l.out.close() }

// logHandler adds the request's id and does not let warnings wait.
type logHandler struct {
	slog.Handler
	out        *batchWriter
	appendLine func(*requestLine, []byte) []byte // in the same format; nil when lines carry more than is in them
}

func (h *logHandler) Handle(ctx context.Context, r slog.Record) error {
	if id := RequestID(ctx); id != "" {
		r.AddAttrs(slog.String("request_id", id))
	}
	h.out.settle()
	err := h.Handler.Handle(ctx, r)
	if r.Level >= slog.LevelWarn {
		h.out.flush()
	}
	return err
}

func (h *logHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &logHandler{Handler: h.Handler.WithAttrs(attrs), out: h.out}
}

func (h *logHandler) WithGroup(name string) slog.Handler {
	return &logHandler{Handler: h.Handler.WithGroup(name), out: h.out}
}

// batchWriter collects lines, which a timer writes. The timer runs only while
// something waits, so an idle server does not wake up.
type batchWriter struct {
	w io.Writer

	mu      sync.Mutex
	before  []func() // write what is to stand before the next line
	batch   []byte
	waiting bool
	closed  bool
}

// precede has write called before a line is written that is not its own, and in time.
func (b *batchWriter) precede(write func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.before = append(b.before, write)
}

// settle has everything written that is to stand before the next line.
func (b *batchWriter) settle() {
	b.mu.Lock()
	before := b.before
	b.mu.Unlock()
	for _, write := range before {
		write()
	}
}

func (b *batchWriter) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.batch = append(b.batch, p...)
	if b.closed || len(b.batch) >= maxLogBatch {
		b.writeOut()
	} else {
		b.startTimer()
	}
	return len(p), nil
}

// wake says that there is something to be settled in time. It is false when nothing can
// wait any more.
func (b *batchWriter) wake() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.closed {
		b.startTimer()
	}
	return !b.closed
}

func (b *batchWriter) startTimer() {
	if !b.waiting {
		b.waiting = true
		time.AfterFunc(logFlushInterval, b.expire)
	}
}

// expire is called by the timer. What comes from now on starts it again.
func (b *batchWriter) expire() {
	b.mu.Lock()
	b.waiting = false
	b.mu.Unlock()
	b.flush()
}

// flush writes at once what waits.
func (b *batchWriter) flush() {
	b.settle()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.writeOut()
}

func (b *batchWriter) close() {
	b.mu.Lock()
	b.closed = true
	b.mu.Unlock()
	b.flush()
}

// writeOut writes the batch. Lines that cannot be written are lost: there is
// nowhere to say so, and to keep them would fill the memory. Later ones are tried
// again, so that a full disk silences the log only for as long as it is full.
func (b *batchWriter) writeOut() {
	if len(b.batch) > 0 {
		_, _ = b.w.Write(b.batch)
		b.batch = b.batch[:0]
	}
}
