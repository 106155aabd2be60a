// Command bench measures the two servers, as built, and prints a table in Markdown.
//
// Figures from one machine say little about another. So every figure is compared with a
// floor, the same response without the work in question, and rounds of both take turns in
// one run. A missed goal is marked MISSED and does not change the exit code. The exit code
// is 1 if something could not be measured. The load comes from wrk.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
)

// parts are the sections of the table.
var parts = []struct {
	name    string
	measure func(ctx context.Context, b *bench) ([]row, error)
}{
	{"requests", measureRequests},
	{"endpoints", measureEndpoints},
	{"logins", measureLogins},
	{"tokens", measureTokens},
	{"start", measureStart},
}

func main() {
	names := flag.String("parts", "requests,endpoints,logins,tokens,start", "what to measure, separated by commas")
	rounds := flag.Int("rounds", 20, "number of rounds; a round of each server takes a second")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var err error
	if flag.Arg(0) == variantMode {
		err = serveVariant(ctx, flag.Args()[1:])
	} else {
		err = run(ctx, *names, max(*rounds, 1), os.Stdout)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		stop()
		os.Exit(1)
	}
}

// run measures the named parts and writes the table to w. Parts that could not be measured
// are missing from it and are the error.
func run(ctx context.Context, names string, rounds int, w io.Writer) error {
	b, err := newBench(ctx, rounds)
	if err != nil {
		return err
	}
	defer b.close()
	var rows []row
	var failed []error

	for _, p := range parts {
		if ctx.Err() != nil || !slices.Contains(strings.Split(names, ","), p.name) {
			continue
		}
		fmt.Fprintf(os.Stderr, "measuring %s ...\n", p.name)
		more, err := p.measure(ctx, b)
		if err != nil {
			failed = append(failed, fmt.Errorf("measuring %s: %w", p.name, err))
		}
		rows = append(rows, more...)
	}
	_, err = io.WriteString(w, b.describe()+table(rows))
	return errors.Join(append(failed, ctx.Err(), err)...)
}
