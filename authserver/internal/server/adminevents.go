package server

import (
	"context"
	"log/slog"
	"strings"
	"time"

	"github.com/hallpass-auth/hallpass/authserver/internal/store"
)

// How often, and how many at once, the changes of commands are logged.
const (
	adminEventsEvery = time.Second
	adminEventsPage  = 100
)

// logAdminEvents logs what administrators change in the database, until ctx ends. Of several servers
// one logs each change.
func logAdminEvents(ctx context.Context, data *store.Store, log *slog.Logger) {
	every(ctx, adminEventsEvery, func(ctx context.Context) { logNewAdminEvents(ctx, data, log) })
}

// logNewAdminEvents logs what administrators have changed since the last call: by commands, in the console or by the
// admin API.
func logNewAdminEvents(ctx context.Context, data *store.Store, log *slog.Logger) {
	events, err := data.TakeAdminEvents(ctx, adminEventsPage)
	if err != nil && ctx.Err() == nil {
		log.DebugContext(ctx, "cannot read what administrators have changed", "error", err)
	}
	for _, e := range events {
		logAdminEvent(ctx, e, log)
	}
}

func logAdminEvent(ctx context.Context, e store.AdminEvent, log *slog.Logger) {
	subject := "client"
	switch {
	case e.Event == "users_imported":
		subject = "users"
	case strings.HasPrefix(e.Event, "user_"):
		subject = "username"
	case strings.HasPrefix(e.Event, "invitation_"):
		subject = "email"
	}
	fields := []any{"event", e.Event, subject, e.Subject}
	if !e.At.IsZero() {
		fields = append(fields, "at", e.At.Format(time.RFC3339))
	}
	log.InfoContext(ctx, "changed by an administrator", fields...)
}
