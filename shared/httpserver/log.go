package httpserver

import (
	"context"
	"io"
	"log/slog"
)

// NewLogger returns a logger that writes to w, in the format and from the level on that s
// names. A line that is logged with the context of a request carries the request's id, and the
// ids of its trace and span if it has some.
//
// Logging blocks while w does, and requests with it. Metrics are still served then, and
// show the blocked requests in flight.
func NewLogger(w io.Writer, s Settings) *slog.Logger {
	var level slog.Level
	if err := level.UnmarshalText([]byte(s.LogLevel)); err != nil {
		level = slog.LevelInfo // the zero Settings; kong refuses any other text
	}
	options := &slog.HandlerOptions{Level: level}
	if s.LogFormat == "json" {
		return slog.New(requestHandler{slog.NewJSONHandler(w, options)})
	}
	return slog.New(requestHandler{slog.NewTextHandler(w, options)})
}

// requestHandler adds the ids of the request to each record.
type requestHandler struct{ slog.Handler }

func (h requestHandler) Handle(ctx context.Context, r slog.Record) error {
	info := requestOf(ctx)
	if info.id != "" {
		r.AddAttrs(slog.String("request_id", info.id))
	}
	if info.traceID != "" {
		r.AddAttrs(slog.String("trace_id", info.traceID), slog.String("span_id", info.spanID))
	}
	return h.Handler.Handle(ctx, r)
}

func (h requestHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return requestHandler{h.Handler.WithAttrs(attrs)}
}

func (h requestHandler) WithGroup(name string) slog.Handler {
	return requestHandler{h.Handler.WithGroup(name)}
}
