// Command steppedclock runs the authorization server with a clock that a test steps: SIGUSR1 sets it 30 seconds ahead,
// SIGUSR2 sets it 30 seconds back. Its only command is serve, with the settings of `authserver serve`. `make soak` uses
// it.
package main

import (
	"context"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/hallpass-auth/hallpass/shared/httpserver"
	"github.com/hallpass-auth/hallpass/shared/program"

	"github.com/hallpass-auth/hallpass/authserver/internal/server"
)

// step is how far a signal sets the clock.
const step = 30 * time.Second

// clock is the clock of the machine and what the signals have added.
type clock struct{ ahead atomic.Int64 }

// now returns the time, without a monotonic reading: everything sees the steps. If a machine is stepped, a server sees
// fewer, because it measures by the monotonic clock what it keeps in memory.
func (c *clock) now() time.Time { return time.Now().Add(time.Duration(c.ahead.Load())).Round(0) }

// follow steps the clock whenever a signal arrives.
func (c *clock) follow(signals <-chan os.Signal) {
	for s := range signals {
		if s == syscall.SIGUSR1 {
			c.ahead.Add(int64(step))
		} else {
			c.ahead.Add(-int64(step))
		}
	}
}

// commands is the command line.
type commands struct {
	Serve serveCommand `cmd:"" help:"Run the server."`
}

// serveCommand runs the server.
type serveCommand struct {
	Settings server.Settings `embed:""`
}

// Validate checks the settings.
func (c *serveCommand) Validate() error { return c.Settings.Validate() }

// Run serves until ctx ends.
func (c *serveCommand) Run(ctx context.Context, streams program.Streams) error {
	signals, stepped := make(chan os.Signal, 8), &clock{}
	signal.Notify(signals, syscall.SIGUSR1, syscall.SIGUSR2)
	go stepped.follow(signals)
	c.Settings.Now = stepped.now
	return server.Run(ctx, c.Settings, program.Version, httpserver.NewLogger(streams.Err, c.Settings.HTTP))
}

func main() {
	p := program.Program{
		Name:        "steppedclock",
		Description: "The authorization server with a clock that SIGUSR1 sets 30 s ahead and SIGUSR2 30 s back, for tests.",
		Commands:    &commands{},
		Vars:        server.Defaults,
	}
	os.Exit(p.Main(os.Args[1:], program.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}))
}
