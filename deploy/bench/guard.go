package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
)

// baselineFile has the instructions that each guarded benchmark may take.
const baselineFile = "instructions.txt"

// tolerance is how many more instructions are accepted: three times the largest difference
// between runs that was measured.
const tolerance = 0.05

// guarded is a benchmark in the baseline: a line of the file.
type guarded struct {
	folder       string // of its package
	name         string
	iterations   int
	instructions float64 // of an iteration
}

func (g guarded) String() string {
	return fmt.Sprintf("%s %s %d %.0f\n", g.folder, g.name, g.iterations, g.instructions)
}

// guard counts the instructions of the benchmarks in the baseline and compares. With update, it
// writes them to the baseline.
func guard(ctx context.Context, update bool, w io.Writer) error {
	if runtime.GOOS+runtime.GOARCH != "linuxamd64" {
		_, err := fmt.Fprintln(w, "Not compared: the baseline of instructions is for linux/amd64.")
		return err
	}
	if _, err := exec.LookPath("valgrind"); err != nil {
		return fmt.Errorf("%w: install valgrind (apt-get install valgrind)", err)
	}
	text, err := os.ReadFile(baselineFile)
	if err != nil {
		return err
	}
	head, baseline, err := parseBaseline(text)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "hallpass-guard-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	b, written, failed := &bench{dir: dir}, head, []error{}
	for _, g := range baseline {
		counted, err := b.count(ctx, g)
		if err != nil {
			return err
		}
		change := counted/g.instructions - 1
		fmt.Fprintf(w, "%-28s %9.0f instructions, %+.1f %%\n", g.name, counted, 100*change)
		if change > tolerance {
			failed = append(failed, fmt.Errorf("%s takes %.1f %% more instructions than %s says; "+
				"if that is the price of something, run 'make guard-update'", g.name, 100*change, baselineFile))
		}
		g.instructions = counted
		written += g.String()
	}
	if update {
		return os.WriteFile(baselineFile, []byte(written), 0o644)
	}
	return errors.Join(failed...)
}

// parseBaseline returns the comments and the benchmarks of a baseline.
func parseBaseline(text []byte) (head string, baseline []guarded, err error) {
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "#") {
			head += line
			continue
		}
		var g guarded
		if _, err := fmt.Sscan(line, &g.folder, &g.name, &g.iterations, &g.instructions); err != nil {
			return "", nil, fmt.Errorf("%s: %q: %w", baselineFile, line, err)
		}
		baseline = append(baseline, g)
	}
	return head, baseline, nil
}

// count returns the instructions of an iteration: the difference of two numbers of iterations,
// so that the start of the program does not count.
func (b *bench) count(ctx context.Context, g guarded) (float64, error) {
	binary := filepath.Join(b.dir, strings.ReplaceAll(g.folder, "/", "-")+".test")
	if _, err := os.Stat(binary); err != nil {
		if binary, err = b.compileTests(ctx, g.folder); err != nil {
			return 0, err
		}
	}
	short, errShort := countRun(ctx, binary, g, g.iterations)
	long, errLong := countRun(ctx, binary, g, 3*g.iterations)
	return (long - short) / float64(2*g.iterations), errors.Join(errShort, errLong)
}

// collected matches the line of callgrind with the number of instructions.
var collected = regexp.MustCompile(`(?m)^==\d+== Collected : (\d+)`)

// countRun returns the instructions of a run, without garbage collection. asyncpreemptoff keeps the
// runtime from sending signals, at which callgrind fails.
func countRun(ctx context.Context, binary string, g guarded, iterations int) (float64, error) {
	cmd := exec.CommandContext(ctx, "valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", binary,
		"-test.run=^$", "-test.bench=^Benchmark"+g.name+"$", fmt.Sprintf("-test.benchtime=%dx", iterations))
	cmd.Dir = filepath.Join(repository, g.folder)
	// valgrind says that it has RDTSCP, and fails at it where the processor has none.
	cmd.Env = append(cleanEnvironment(), "GOGC=off", "GOMAXPROCS=1", "GODEBUG=asyncpreemptoff=1,cpu.rdtscp=off")
	output, err := cmd.CombinedOutput()
	match := collected.FindSubmatch(output)
	if err != nil || match == nil || !bytes.Contains(output, []byte("ns/op")) {
		return 0, fmt.Errorf("counting the instructions of %s: %w: %s", g.name, err, output)
	}
	return strconv.ParseFloat(string(match[1]), 64)
}
