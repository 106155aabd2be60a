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
	"time"
)

// parts are the sections of the table. Those in byDefault are measured unless -parts names
// others.
var parts = []struct {
	name    string
	measure func(ctx context.Context, b *bench) ([]row, error)
}{
	{"requests", measureRequests},
	{"dpop", measureDPoP},
	{"endpoints", measureEndpoints},
	{"logins", measureLogins},
	{"accounts", measureAccounts},
	{"storms", measureStorms},
	{"tokens", measureTokens},
	{"cores", measureCores},
	{"start", measureStart},
	{"import", measureImport},
	{"search", measureSearch},
	{"growth", measureGrowth},
	{"growth-sqlite", measureGrowthOnSQLite},
	{"peers", measurePeers},
}

const byDefault = "requests,dpop,endpoints,logins,accounts,storms,tokens,cores,start"

func main() {
	names := flag.String("parts", byDefault, "what to measure, separated by commas")
	rounds := flag.Int("rounds", 8, "number of rounds; some parts take half of it")
	count := flag.Bool("guard", false, "count instructions instead, and compare with instructions.txt")
	update := flag.Bool("update", false, "with -guard: write instructions.txt")
	flag.Int64Var(&manyUsers, "users", manyUsers,
		"number of users in the part search, and of the larger database in the part growth")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var err error
	switch args := flag.Args(); {
	case len(args) == 4 && args[0] == floorMode:
		err = serveFloor(ctx, args[1], args[2], args[3])
	case *count:
		err = guard(ctx, *update, os.Stdout)
	case len(args) > 0:
		err = fmt.Errorf("unknown argument %q", args[0])
	default:
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
		begin := time.Now()
		more, err := p.measure(ctx, b)
		fmt.Fprintf(os.Stderr, "measured %s in %.0f s\n", p.name, time.Since(begin).Seconds())
		if err != nil {
			failed = append(failed, fmt.Errorf("measuring %s: %w", p.name, err))
		}
		rows = append(rows, more...)
	}
	_, err = io.WriteString(w, b.describe()+table(rows))
	return errors.Join(append(failed, ctx.Err(), err)...)
}
