package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/hallpass-auth/hallpass/shared/httpserver"
	"github.com/hallpass-auth/hallpass/shared/keyring"
)

// The programs, and the settings that both need.
const (
	authserver     = "authserver"
	resourceserver = "resourceserver"
	issuer         = "http://127.0.0.1:9000"
	audience       = "http://127.0.0.1:8000"
)

// Costs of password hashes: the default where logins are measured, else the lowest.
const (
	bcryptCost = 12
	lowCost    = 10
)

// bench is a run of the benchmark.
type bench struct {
	rounds  int
	bin     string // folder of the programs
	self    string // path of this program
	dir     string // temporary folder
	keys    *keyring.File
	version string
}

// newBench finds the programs and creates the keys.
func newBench(ctx context.Context, rounds int) (*bench, error) {
	if _, err := exec.LookPath("wrk"); err != nil {
		return nil, fmt.Errorf("%w: install wrk (apt-get install wrk, brew install wrk)", err)
	}
	self, errSelf := os.Executable()
	bin, errBin := filepath.Abs(cmp.Or(os.Getenv("HALLPASS_BIN"), "../../bin"))
	dir, errDir := os.MkdirTemp("", "hallpass-bench-")
	if err := errors.Join(errSelf, errBin, errDir); err != nil {
		return nil, err
	}
	b := &bench{rounds: rounds, bin: bin, self: self, dir: dir}
	version, errVersion := b.run(ctx, resourceserver, "version")
	_, errInit := b.run(ctx, authserver, "key", "init", b.keysFile())
	if err := errors.Join(errVersion, errInit); err != nil {
		b.close()
		return nil, fmt.Errorf("%w (HALLPASS_BIN must be the folder that 'make build' fills)", err)
	}
	keys, err := keyring.Open(b.keysFile())
	b.version, b.keys = version, keys
	return b, err
}

func (b *bench) close() { _ = os.RemoveAll(b.dir) }

func (b *bench) keysFile() string { return filepath.Join(b.dir, "keys.json") }

// sqlite returns the URL of a database in the temporary folder.
func (b *bench) sqlite(name string) string { return "sqlite:" + filepath.Join(b.dir, name+".db") }

// run runs a command of a program and returns its output without surrounding space.
func (b *bench) run(ctx context.Context, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, filepath.Join(b.bin, name), args...)
	cmd.Env = cleanEnvironment()
	output, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		err = fmt.Errorf("%s %s: %w: %s", name, args[0], err, exit.Stderr)
	}
	return strings.TrimSpace(string(output)), err
}

// serve starts a program and waits until it is ready.
func (b *bench) serve(ctx context.Context, procs int, name string, args ...string) (*server, error) {
	prepare := func(s *server) {
		s.cmd.Args = slices.Concat(s.cmd.Args, []string{"serve", "--listen", s.address, "--admin-listen", s.admin}, args)
		s.cmd.Env = append(s.cmd.Env,
			"HALLPASS_KEYS_FILE="+b.keysFile(), "HALLPASS_ISSUER="+issuer, "HALLPASS_AUDIENCE="+audience)
	}
	ready := func(s *server) error { return httpserver.CheckReady(ctx, s.admin) }
	return b.start(ctx, filepath.Join(b.bin, name), procs, prepare, ready)
}

// serveAuth starts the authorization server with the demo's user and client. The grace
// period is zero, so that grants do not store the refresh tokens of the last seconds.
func (b *bench) serveAuth(ctx context.Context, procs int, database string, cost int) (*server, error) {
	return b.serve(ctx, procs, authserver, "--demo", "--database-url", database,
		"--bcrypt-cost", strconv.Itoa(cost), "--refresh-grace", "0s")
}

// serveAPI starts the API, with the status lists of the authorization server auth.
func (b *bench) serveAPI(ctx context.Context, procs int, auth *server) (*server, error) {
	return b.serve(ctx, procs, resourceserver, "--status-lists-url", "http://"+auth.address+"/status-lists")
}

// describe returns the lines above the table.
func (b *bench) describe() string {
	info, _ := os.ReadFile("/proc/cpuinfo") // exists only on Linux
	_, model, _ := strings.Cut(string(info), "model name")
	model, _, _ = strings.Cut(model, "\n")
	return fmt.Sprintf(`Hallpass %s, %s, %s/%s, %d CPUs, %s.
Requests and endpoints: %d and %d rounds of %d s, in turns; servers with GOMAXPROCS=%d, load by wrk on loopback.
Endpoints: %d connections; PostgreSQL on the same machine, without fsync.
Figures are medians of the rounds; ratios are the median (smallest to largest) of the rounds.

`, b.version, runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), strings.Trim(model, "\t :"),
		b.rounds, b.endpointRounds(), roundSeconds, half(), connections[0])
}
