package main

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"

	"github.com/hallpass-auth/hallpass/shared/keyring"
)

// tokenRounds is how often each benchmark runs.
const tokenRounds = 10

// The benchmarks of shared/token.
const (
	bareHMAC    = "BareHMAC"
	sign        = "Sign"
	verify      = "VerifyUncached"
	verifyAgain = "VerifyCached"
)

// measureTokens runs the benchmarks of packages: signing and verifying compared with one HMAC,
// what the OAuth library does for a request, ID tokens, and clients of metadata documents.
func measureTokens(ctx context.Context, b *bench) ([]row, error) {
	of, err := b.runBenchmarks(ctx, "shared/token", "^Benchmark(BareHMAC|Sign|VerifyUncached|VerifyCached)$")
	if err != nil {
		return nil, err
	}
	rows := []row{{what: "**Tokens** (floor: HMAC-SHA256 over the same bytes)"}}
	for _, operation := range []struct {
		name, benchmark string
		goal            goal
	}{
		{"sign", sign, atMost(6)},
		{"verify, first time", verify, atMost(8)},
		{"verify, cached", verifyAgain, goal{}},
	} {
		rows = append(rows, compare(operation.name, "%.0f ns", of[operation.benchmark], of[bareHMAC], operation.goal))
	}
	library, err := b.runBenchmarks(ctx, "authserver/internal/issuing", "^BenchmarkLibrary$")
	if err != nil {
		return rows, err
	}
	for _, name := range slices.Sorted(maps.Keys(library)) {
		rows = append(rows, only("package issuing, benchmark "+name, "%.0f ns", library[name], goal{}))
	}
	more, err := b.measureIDTokens(ctx)
	return append(rows, more...), err
}

// measureIDTokens compares ID tokens with a bare signature, and finding a client by its cached metadata document with
// a map.
func (b *bench) measureIDTokens(ctx context.Context) ([]row, error) {
	of, err := b.runBenchmarks(ctx, "authserver/internal/issuing", "^Benchmark(IDToken|BareSignature)$")
	if err != nil {
		return nil, err
	}
	rows := []row{{what: "**ID tokens** (floor: a signature over the same bytes)"}}
	for _, algorithm := range keyring.IDTokenAlgorithms {
		name, floor := "IDToken/"+algorithm, "BareSignature/"+algorithm
		rows = append(rows, compare("sign, "+algorithm, "%.0f ns", of[name], of[floor], goal{}))
	}
	documents, err := b.runBenchmarks(ctx, "authserver/internal/clientmeta", "^Benchmark(CachedDocument|BareMap)$")
	if err != nil {
		return rows, err
	}
	return append(rows,
		row{what: "**Client ID metadata document** (floor: the client in a map)"},
		compare("find the client, cached", "%.0f ns", documents["CachedDocument"], documents["BareMap"], goal{})), nil
}

// runBenchmarks runs the benchmarks of a package that match the pattern, tokenRounds times. It returns
// the nanoseconds of an operation of each.
func (b *bench) runBenchmarks(ctx context.Context, folder, pattern string) (map[string][]float64, error) {
	binary, err := b.compileTests(ctx, folder)
	if err != nil {
		return nil, err
	}
	times := map[string][]float64{}
	for range tokenRounds {
		cmd := pinned(ctx, "", binary, "-test.run=^$", "-test.bench="+pattern, "-test.benchtime=100ms")
		cmd.Dir = filepath.Join(repository, folder)
		output, err := cmd.CombinedOutput()
		if err != nil {
			return nil, fmt.Errorf("benchmarks of %s: %w: %s", folder, err, output)
		}
		for name, ns := range parseBenchmarks(output) {
			times[name] = append(times[name], ns)
		}
	}
	return times, nil
}

// benchmarkLine matches a line of a benchmark: its name without the number of CPUs, and the
// nanoseconds of an operation.
var benchmarkLine = regexp.MustCompile(`(?m)^Benchmark(\S+?)(?:-\d+)?\s+\d+\s+([\d.]+) ns/op`)

// parseBenchmarks returns the nanoseconds of an operation by the name of the benchmark.
func parseBenchmarks(output []byte) map[string]float64 {
	times := map[string]float64{}
	for _, match := range benchmarkLine.FindAllSubmatch(output, -1) {
		if ns, err := strconv.ParseFloat(string(match[2]), 64); err == nil {
			times[string(match[1])] = ns
		}
	}
	return times
}
