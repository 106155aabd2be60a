// Command bench measures the two servers, as they were built, against bare ones
// that do the same work and nothing else.
//
// It exists because a figure of one machine says nothing about another, and little
// about the same one an hour later. So everything is a ratio to a floor that is
// measured in the same run, in turns with what it is the floor of. It is no gate: it
// ends with 0 whether a goal was reached or missed, and with 1 only when something
// could not be measured.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// part is one of the things that are measured.
type part struct {
	name    string
	measure func(ctx context.Context, h *house, o options) ([]row, error)
}

var parts = []part{
	{"requests", measureRequests},
	{"endpoints", measureEndpoints},
	{"logins", measureLogins},
	{"tokens", measureTokens},
	{"start", measureStart},
}

// options are the command line.
type options struct {
	parts   []string
	rounds  int
	round   time.Duration
	profile string
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var err error
	switch {
	case len(os.Args) == 2 && os.Args[1] == floorMode:
		err = serveFloor(ctx, os.Stdin)
	case len(os.Args) == 2 && os.Args[1] == generatorMode:
		err = generate(ctx, os.Stdin, os.Stdout)
	case len(os.Args) == 2 && os.Args[1] == statementMode:
		err = runStatements(ctx, os.Stdin, os.Stdout)
	default:
		err = run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	}
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bench:", err)
		stop()
		os.Exit(1)
	}
}

// parseOptions reads the command line; it prints what is wrong with it to w.
func parseOptions(args []string, w io.Writer) (options, error) {
	var names []string
	for _, p := range parts {
		names = append(names, p.name)
	}
	o := options{parts: names}
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(w)
	flags.Func("parts", "measure only these, separated by commas: "+strings.Join(names, ", "), func(list string) error {
		o.parts = strings.Split(list, ",")
		for _, name := range o.parts {
			if !slices.Contains(names, name) {
				return fmt.Errorf("there is no part %q", name)
			}
		}
		return nil
	})
	flags.IntVar(&o.rounds, "rounds", 80, "how often requests are measured, in turns with their floor; the endpoints of the authorization server a quarter of it")
	flags.DurationVar(&o.round, "round", 300*time.Millisecond, "how long one round of requests takes, up to 30s")
	flags.StringVar(&o.profile, "profile", "", "write a CPU profile of the resource server under load to this file")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() > 0 || o.rounds < 1 || o.round < 100*time.Millisecond || o.round > 30*time.Second {
		return o, errors.New("-rounds must be 1 or more, -round between 100ms and 30s, and there are no arguments")
	}
	return o, nil
}

// run measures what the arguments name and prints the table to stdout. What could
// not be measured is left out of it, and is the error.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	o, err := parseOptions(args, stderr)
	if err != nil {
		return err
	}
	h, err := newHouse(ctx)
	if err != nil {
		return err
	}
	defer h.remove()
	var rows []row
	var failed []error
	for _, p := range parts {
		if !slices.Contains(o.parts, p.name) {
			continue
		}
		fmt.Fprintf(stderr, "measuring %s ...\n", p.name)
		more, err := p.measure(ctx, h, o)
		if err != nil {
			failed = append(failed, fmt.Errorf("%s could not be measured: %w", p.name, err))
		}
		rows = append(rows, more...)
		if ctx.Err() != nil {
			break
		}
	}
	_, err = io.WriteString(stdout, h.describe(o)+table(rows))
	return errors.Join(append(failed, err)...)
}

// binFolder is where the servers were built: HALLPASS_BIN, or bin beside the
// folder deploy.
func binFolder() (string, error) {
	bin := os.Getenv("HALLPASS_BIN")
	if bin == "" {
		bin = filepath.Join("..", "..", "bin")
	}
	for _, name := range []string{authserver, resourceserver} {
		if _, err := os.Stat(filepath.Join(bin, name)); err != nil {
			return "", fmt.Errorf("%w: run 'make build', or set HALLPASS_BIN to the folder of the two programs", err)
		}
	}
	return filepath.Abs(bin)
}
