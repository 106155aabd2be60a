// Package program is how a Hallpass program starts and ends: settings from flags
// and the environment, signals, exit codes.
//
// It exists so that both programs behave alike: the same words for the same
// settings, the same exit codes for scripts to rely on, and one place that prints
// an error.
package program

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/hallpass-auth/hallpass/shared/httpserver"
)

// Version is the version of the build, stamped in by the linker.
var Version = "dev"

// Exit codes of every command.
const (
	ExitOK       = 0 // it was done
	ExitFailure  = 1 // it was tried and failed
	ExitUsage    = 2 // the command line or a setting is wrong; nothing was tried
	ExitNotFound = 3 // what it was about does not exist
	ExitConflict = 4 // what it should make exists already
)

// codedError is an error with an exit code of its own.
type codedError struct {
	code int
	err  error
}

func (e *codedError) Error() string { return e.err.Error() }
func (e *codedError) Unwrap() error { return e.err }

// WithCode returns err with the exit code that the program shall end with. A nil
// err stays nil.
func WithCode(code int, err error) error {
	if err == nil {
		return nil
	}
	return &codedError{code: code, err: err}
}

// Streams are the standard streams of the program, given to every command.
type Streams struct {
	In  io.Reader
	Out io.Writer
	Err io.Writer
}

// gcPercent is how much a program may allocate, in percent of what it holds, before it
// collects its garbage. A server holds some MiB only: to collect each time that they
// have doubled, as Go does by default, took a tenth of the time of a request, and what
// it saved was about 10 MiB.
const gcPercent = 400

// Program describes a program to Main.
type Program struct {
	// Name is what the user types.
	Name string
	// Description is the first paragraph of --help.
	Description string
	// Commands is a pointer to a struct that kong reads. Each command's Run may
	// take a context.Context, Streams and Misspellings. The value of a flag with the tag
	// secret:"" is never repeated in a message.
	Commands any
	// Vars are kong variables for the help and defaults of the settings.
	Vars map[string]string
}

// Main runs the command that the arguments name and returns the exit code. The
// context that commands get ends at SIGTERM, and at SIGINT with the cause
// httpserver.ErrStopNow; a second signal ends the program at once.
func (p Program) Main(args []string, streams Streams) int {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	defer signal.Stop(signals)
	go cancelOnSignal(signals, cancel)
	return p.run(ctx, args, streams)
}

func cancelOnSignal(signals <-chan os.Signal, cancel context.CancelCauseFunc) {
	if <-signals == syscall.SIGINT {
		cancel(httpserver.ErrStopNow)
	} else {
		cancel(context.Canceled)
	}
	<-signals
	os.Exit(ExitFailure)
}

// exited is what kong's exit hook panics with, so that --help ends the parsing
// and not the program: Main's deferred calls run.
type exited int

func (p Program) run(ctx context.Context, args []string, streams Streams) (code int) {
	defer func() {
		if v := recover(); v != nil {
			status, ok := v.(exited)
			if !ok {
				panic(v)
			}
			code = int(status)
		}
	}()
	parser, err := kong.New(p.Commands,
		kong.Name(p.Name),
		kong.Description(p.Description),
		kong.Vars(p.Vars),
		kong.Writers(streams.Out, streams.Err),
		kong.Exit(func(status int) { panic(exited(status)) }),
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Bind(streams),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 100}),
	)
	if err != nil {
		panic(err) // the struct's tags are wrong: no input can cause this
	}
	command, err := parser.Parse(customary(args))
	if err == nil {
		err = command.Run(misspellings(os.Environ(), parser.Model.Node))
	} else {
		err = WithCode(ExitUsage, fmt.Errorf("%s (%s --help tells more)", usageMessage(err, parser.Model.Node), p.Name))
	}
	return p.report(err, streams.Err)
}

// customary puts the words of these programs in the place of what people try first
// everywhere: --version and help.
func customary(args []string) []string {
	switch {
	case len(args) == 1 && args[0] == "--version":
		return []string{"version"}
	case len(args) > 0 && args[0] == "help":
		return append(slices.Clone(args[1:]), "--help")
	}
	return args
}

// usageMessage is what kong says about the arguments, with the environment variable
// of the flag that it begins with: who gave a bad value by one may not know the
// other.
func usageMessage(err error, node *kong.Node) string {
	message := err.Error()
	for _, flag := range allFlags(node) {
		rest, found := strings.CutPrefix(message, "--"+flag.Name)
		if !found || !strings.HasPrefix(rest, ":") && !strings.HasPrefix(rest, " ") || len(flag.Envs) == 0 {
			continue
		}
		setting := fmt.Sprintf("--%s (%s)", flag.Name, strings.Join(flag.Envs, ", "))
		switch {
		case flag.Tag.Has("secret"):
			return setting + ": it has no value that can be read; one that begins with a dash is written --" + flag.Name + "=VALUE"
		case !strings.Contains(rest, flag.Envs[0]):
			return setting + rest
		}
	}
	return message
}

// allFlags returns the flags of node and of all commands under it.
func allFlags(node *kong.Node) []*kong.Flag {
	flags := slices.Clone(node.Flags)
	for _, child := range node.Children {
		flags = append(flags, allFlags(child)...)
	}
	return flags
}

// report prints err once, as one line, and returns its exit code.
func (p Program) report(err error, w io.Writer) int {
	if err == nil {
		return ExitOK
	}
	fmt.Fprintf(w, "%s: %s\n", p.Name, strings.ReplaceAll(strings.TrimSpace(err.Error()), "\n", "; "))
	var coded *codedError
	if errors.As(err, &coded) {
		return coded.code
	}
	return ExitFailure
}

// VersionCommand prints the version.
type VersionCommand struct{}

// Run prints the version on a line of its own.
func (VersionCommand) Run(streams Streams) error {
	_, err := fmt.Fprintln(streams.Out, Version)
	return err
}

// HealthcheckCommand asks a running server whether it is ready.
type HealthcheckCommand struct {
	AdminListen string `env:"HALLPASS_ADMIN_LISTEN" default:"${admin_listen}" placeholder:"HOST:PORT" help:"Admin address of the server to ask (${default})."`
}

// Run returns nil when the server says that it is ready.
func (c HealthcheckCommand) Run(ctx context.Context) error {
	return httpserver.CheckReady(ctx, c.AdminListen)
}
