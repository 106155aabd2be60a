package server

import (
	"context"
	"log/slog"
	"strings"

	"github.com/hallpass-auth/hallpass/shared/statuslist"
	"github.com/hallpass-auth/hallpass/shared/tracing"
)

// openTraces returns what traces requests, and has it trace the statements of the database too. It returns nil if
// nothing is traced.
func (s *Settings) openTraces(ctx context.Context, version string, log *slog.Logger) (*tracing.Tracer, error) {
	traces, err := tracing.Open(ctx, s.Traces, tracing.Config{
		Service: "hallpass-authserver",
		Version: version,
		Polls:   []string{statuslist.Path}, // APIs ask twice a second
		Log:     log,
	})
	if traces == nil || err != nil {
		return nil, err
	}
	system := "postgresql"
	if strings.HasPrefix(s.Database.DatabaseURL, "sqlite:") {
		system = "sqlite"
	}
	s.Database.Wrap = traces.SQL(system)
	return traces, nil
}
