package main

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
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

// The numbers of connections: few unless a row says otherwise.
const (
	few  = 8
	many = 64
)

// The clients: one that calls the endpoints with its own credentials, and one of devices.
const (
	serviceClient = "service"
	deviceClient  = "device"
)

// repository is the root of the repository, from the folder that `make bench` runs this in.
const repository = "../.."

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

// fewerRounds is the number of rounds of what takes long.
func (b *bench) fewerRounds() int { return (b.rounds + 1) / 2 }

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
func (b *bench) serve(ctx context.Context, part share, name string, args ...string) (*server, error) {
	return b.start(ctx, part, command{
		path: filepath.Join(b.bin, name),
		args: func(s *server) []string {
			return append([]string{"serve", "--listen", s.address, "--admin-listen", s.admin}, args...)
		},
		environment: func(*server) []string {
			return []string{
				"HALLPASS_KEYS_FILE=" + b.keysFile(), "HALLPASS_ISSUER=" + issuer, "HALLPASS_AUDIENCE=" + audience,
			}
		},
		ready: func(s *server) error { return httpserver.CheckReady(ctx, s.admin) },
	})
}

// serveAuth starts the authorization server with the demo's user and client. The grace
// period is zero, so that grants do not store the refresh tokens of the last seconds. More arguments may follow.
func (b *bench) serveAuth(
	ctx context.Context, part share, database string, cost int, more ...string,
) (*server, error) {
	args := append([]string{
		"--demo", "--database-url", database, "--bcrypt-cost", strconv.Itoa(cost), "--refresh-grace", "0s",
	}, more...)
	if part.procs > 0 {
		args = append(args, "--password-nice", "0") // such threads are not counted in GOMAXPROCS
	}
	return b.serve(ctx, part, authserver, args...)
}

// serveAPI starts the API, with the status lists of the authorization server auth.
func (b *bench) serveAPI(ctx context.Context, part share, auth *server) (*server, error) {
	return b.serve(ctx, part, resourceserver, "--status-lists-url", "http://"+auth.address+"/status-lists")
}

// addService registers a client that may use client_credentials, introspection and token exchange, and one
// for devices. It returns the secret of the former.
func (b *bench) addService(ctx context.Context, database string) (secret string, err error) {
	_, err = b.run(ctx, authserver, "client", "add", deviceClient, "--public", "--grant", "device_code",
		"--scope", "items:read", "--database-url", database)
	if err != nil {
		return "", err
	}
	return b.run(ctx, authserver, "client", "add", serviceClient, "--grant", "client_credentials",
		"--scope", "items:read", "--introspects", "--database-url", database,
		"--grant", "token_exchange", "--exchange-from", "default", "--exchange-to", "default")
}

// basic returns the Authorization header of the service client (RFC 6749 section 2.3.1).
func basic(secret string) string {
	credentials := url.QueryEscape(serviceClient) + ":" + url.QueryEscape(secret)
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(credentials))
}

// compileTests builds the test binary of a package, given by its path in the repository.
func (b *bench) compileTests(ctx context.Context, folder string) (path string, err error) {
	path = filepath.Join(b.dir, strings.ReplaceAll(folder, "/", "-")+".test")
	cmd := exec.CommandContext(ctx, "go", "test", "-c", "-o", path, ".")
	cmd.Dir, cmd.Env = filepath.Join(repository, folder), append(os.Environ(), "CGO_ENABLED=0")
	if output, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go test -c %s: %w: %s", folder, err, output)
	}
	return path, nil
}

// describe returns the lines above the table.
func (b *bench) describe() string {
	info, _ := os.ReadFile("/proc/cpuinfo") // exists only on Linux
	_, model, _ := strings.Cut(string(info), "model name")
	model, _, _ = strings.Cut(model, "\n")
	return fmt.Sprintf(`Hallpass %s, %s, %s/%s, %d CPUs, %s.
Rounds of %d s in turns, load by wrk on loopback. Requests, dpop and endpoints: servers with GOMAXPROCS=%d.
Logins: servers and clients share all CPUs. PostgreSQL runs on the same machine, with fsync.
Figures are medians of the rounds; ratios are the median (smallest to largest) of the rounds.

`, b.version, runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), strings.Trim(model, "\t :"),
		roundSeconds, half().procs)
}
