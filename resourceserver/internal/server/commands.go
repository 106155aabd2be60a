package server

import (
	"context"
	"log/slog"

	"github.com/hallpass-auth/hallpass/shared/httpserver"
	"github.com/hallpass-auth/hallpass/shared/program"
)

// Commands are the commands of the program, for kong.
type Commands struct {
	Serve       ServeCommand               `cmd:"" help:"Run the API until SIGTERM or Ctrl-C."`
	Healthcheck program.HealthcheckCommand `cmd:"" help:"Ask a running server whether it is ready; exit code 0 means yes."`
	Version     program.VersionCommand     `cmd:"" help:"Print the version."`
}

// ServeCommand runs the server.
type ServeCommand struct {
	Settings `embed:""`
}

// Run serves until ctx ends. A wrong setting ends the program with program.ExitUsage.
func (c *ServeCommand) Run(ctx context.Context, streams program.Streams, misspelt program.Misspellings) error {
	log := httpserver.NewLogger(streams.Err, c.HTTP)
	slog.SetDefault(log) // for libraries
	misspelt.Warn(ctx, log)
	server, err := New(ctx, c.Settings, log)
	if err != nil {
		return program.WithCode(program.ExitUsage, err)
	}
	return server.Run(ctx)
}
