// Package program runs a command-line program: it parses settings from flags and the
// environment, handles signals, prints errors and returns exit codes.
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

// Version is the version of the build. The linker sets it.
var Version = "dev"

// Exit codes of every command.
const (
	ExitOK       = 0 // success
	ExitFailure  = 1 // the command failed
	ExitUsage    = 2 // the command line or a setting is invalid; nothing was done
	ExitNotFound = 3 // the object of the command does not exist
	ExitConflict = 4 // the object to create exists already
)

// codedError is an error with an exit code of its own.
type codedError struct {
	code int
	err  error
}

func (e *codedError) Error() string { return e.err.Error() }
func (e *codedError) Unwrap() error { return e.err }

// WithCode wraps err so that the program exits with code. It returns nil if err is nil.
func WithCode(code int, err error) error {
	if err == nil {
		return nil
	}
	return &codedError{code: code, err: err}
}

// Streams are the standard input, output and error of the program. Every command gets them.
type Streams struct {
	In  io.Reader
	Out io.Writer
	Err io.Writer
}

// gcPercent is the default of GOGC. The live heap of a server is a few MiB. With Go's
// default of 100, garbage collection took a tenth of the CPU time of a request and saved
// about 10 MiB.
const gcPercent = 400

// Program describes a command-line program.
type Program struct {
	// Name is the name of the executable.
	Name string
	// Description is the first paragraph of --help.
	Description string
	// Commands is a pointer to a struct with the tags of kong. The Run method of a command
	// may take a context.Context, Streams and Misspellings. Error messages never show the
	// value of a flag with the tag secret:"".
	Commands any
	// Context, unless nil, returns the context of the command, which it derives from the given one.
	Context func(context.Context) context.Context
	// Vars are kong variables for the help and the defaults of the settings.
	Vars map[string]string
}

// Main runs the command named by args, which exclude the program's name, and returns the
// exit code. An error of the command is printed to streams.Err on one line.
//
// The context of the command ends on SIGTERM, and on SIGINT with the cause
// [httpserver.ErrStopNow]. A second signal exits at once. Main sets the garbage collector's
// target of the process unless GOGC is set, and its memory limit from the control group
// unless GOMEMLIMIT is set.
func (p Program) Main(args []string, streams Streams) int {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	limitMemory()
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

// exited is the value that kong's exit hook panics with: --help ends the parsing, and the
// deferred calls of Main still run.
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
	if p.Context != nil {
		ctx = p.Context(ctx)
	}
	parser, err := kong.New(p.Commands,
		kong.Name(p.Name),
		kong.Description(p.Description),
		kong.Vars(p.Vars),
		kong.Writers(streams.Out, streams.Err),
		kong.Exit(func(status int) { panic(exited(status)) }),
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Bind(streams),
		kong.BindToProvider(func(c *kong.Context) Misspellings { // most commands do not ask
			return misspellings(os.Environ(), c.Model.Node)
		}),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 100}),
	)
	if err != nil {
		panic(err) // the tags of Commands are wrong; no input causes this
	}
	command, err := parser.Parse(aliases(args))
	if err == nil {
		err = command.Run()
	} else {
		err = WithCode(ExitUsage, fmt.Errorf("%s (see '%s --help')", usageMessage(err, parser.Model.Node), p.Name))
	}
	return p.report(err, streams.Err)
}

// aliases translates the customary "--version" and "help COMMAND" into what kong knows.
func aliases(args []string) []string {
	switch {
	case len(args) == 1 && args[0] == "--version":
		return []string{"version"}
	case len(args) > 0 && args[0] == "help":
		return append(slices.Clone(args[1:]), "--help")
	}
	return args
}

// usageMessage returns kong's message about the arguments. If it begins with a flag, it adds
// the flag's environment variable, where the bad value may come from.
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
			return setting + ": missing value; write --" + flag.Name + "=VALUE if it begins with a dash"
		case !strings.Contains(rest, flag.Envs[0]):
			return setting + rest
		}
	}
	return message
}

// allFlags returns the flags of node and of all its commands.
func allFlags(node *kong.Node) []*kong.Flag {
	flags := slices.Clone(node.Flags)
	for _, child := range node.Children {
		flags = append(flags, allFlags(child)...)
	}
	return flags
}

// report prints err on one line and returns its exit code.
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

// HealthcheckCommand checks that a running server is ready.
type HealthcheckCommand struct {
	AdminListen string `env:"HALLPASS_ADMIN_LISTEN" default:"${admin_listen}" placeholder:"HOST:PORT" help:"Admin address of the server to check (${default})."`
}

// Run returns nil if the server is ready.
func (c HealthcheckCommand) Run(ctx context.Context) error {
	return httpserver.CheckReady(ctx, c.AdminListen)
}
