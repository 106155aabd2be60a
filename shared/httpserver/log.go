package httpserver

import (
	"context"
	"io"
	"log/slog"
)

// NewLogger returns a logger that writes to w, in the format and from the level on that s
// names. A line that is logged with the context of a request carries the request's id.
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
		return slog.New(requestIDHandler{slog.NewJSONHandler(w, options)})
	}
	return slog.New(requestIDHandler{slog.NewTextHandler(w, options)})
}

// requestIDHandler adds the id of the request to each record.
type requestIDHandler struct{ slog.Handler }

func (h requestIDHandler) Handle(ctx context.Context, r slog.Record) error {
	if id := RequestID(ctx); id != "" {
		r.AddAttrs(slog.String("request_id", id))
	}
	return h.Handler.Handle(ctx, r)
}

func (h requestIDHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return requestIDHandler{h.Handler.WithAttrs(attrs)}
}

func (h requestIDHandler) WithGroup(name string) slog.Handler {
	return requestIDHandler{h.Handler.WithGroup(name)}
}
