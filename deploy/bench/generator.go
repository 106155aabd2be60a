package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"runtime"
	"time"

	"github.com/hallpass-auth/hallpass/deploy/bench/internal/load"
	"github.com/hallpass-auth/hallpass/deploy/bench/internal/process"
)

// generatorMode is the argument that makes this program the load generator: a
// process of its own, so that its CPU time and its garbage are not the servers'.
const generatorMode = "generate"

// serverCPUs is the half of the machine that a server gets under load. The other
// half is the generator's, so that neither waits for the other's.
func serverCPUs() int { return max(1, runtime.NumCPU()/2) }

// generatorCPUs is the half of the machine that the load generator gets.
func generatorCPUs() int { return max(1, runtime.NumCPU()-serverCPUs()) }

// connections is how many requests are under way at once.
const connections = 8

// generated is what the generator reports.
type generated struct {
	Requests  int
	PerSecond float64
	P50, P99  time.Duration
	Next      [][]byte // load.Result.Next
}

// generate follows the load.Plan read from in and writes what came of it to out.
func generate(ctx context.Context, in io.Reader, out io.Writer) error {
	var plan load.Plan
	if err := json.NewDecoder(in).Decode(&plan); err != nil {
		return err
	}
	result, err := load.Run(ctx, plan)
	if err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(generated{
		Requests:  result.Requests,
		PerSecond: result.PerSecond(),
		P50:       load.Percentile(result.Latencies, 50),
		P99:       load.Percentile(result.Latencies, 99),
		Next:      result.Next,
	})
}

// runGenerator runs the plan in another process.
func (h *house) runGenerator(ctx context.Context, plan load.Plan) (generated, error) {
	var result generated
	return result, h.runSelf(ctx, generatorMode, generatorCPUs(), plan, &result)
}

// runSelf runs this program in another mode, on so many CPUs, and reads what it
// reports into report.
func (h *house) runSelf(ctx context.Context, mode string, cpus int, plan, report any) error {
	input, err := json.Marshal(plan)
	if err != nil {
		return err
	}
	c := process.Command{Path: h.self, Args: []string{mode}, Env: maxProcs(cpus), Stdin: bytes.NewReader(input)}
	output, err := process.Run(ctx, c)
	if err != nil {
		return err
	}
	return json.Unmarshal(output, report)
}
