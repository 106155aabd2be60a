package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/hallpass-auth/hallpass/deploy/bench/internal/process"
	"github.com/hallpass-auth/hallpass/shared/keyring"
	"github.com/hallpass-auth/hallpass/shared/oauth"
	"github.com/hallpass-auth/hallpass/shared/token"
)

// The programs.
const (
	authserver     = "authserver"
	resourceserver = "resourceserver"
)

// What the tokens of the run say.
const (
	issuer   = "http://127.0.0.1:9000"
	audience = "http://127.0.0.1:8000"

	demoClient = "demo"
	username   = "john.doe"
	password   = "securepassword" // of the demo user
)

// readyTimeout is how long a server may take until it answers.
const readyTimeout = 20 * time.Second

// house is what all parts need: the programs, a folder of our own, the keys.
type house struct {
	bin, self string
	dir       string
	keys      *keyring.File
	lists     *http.Server
	listsURL  string
	version   string
}

// newHouse makes the folder, and in it the keys as a user would: by the program.
func newHouse(ctx context.Context) (*house, error) {
	bin, err := binFolder()
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "hallpass-bench-")
	if err != nil {
		return nil, err
	}
	h := &house{bin: bin, self: self, dir: dir}
	if err := h.furnish(ctx); err != nil {
		h.remove()
		return nil, err
	}
	return h, nil
}

func (h *house) furnish(ctx context.Context) error {
	version, err := process.Run(ctx, process.Command{Path: h.program(resourceserver), Args: []string{"version"}})
	if err != nil {
		return err
	}
	h.version = strings.TrimSpace(string(version))
	if _, err := process.Run(ctx, process.Command{Path: h.program(authserver), Args: []string{"key", "init", h.keysFile()}}); err != nil {
		return err
	}
	if h.keys, err = keyring.Open(h.keysFile()); err != nil {
		return err
	}
	h.listsURL, err = h.publishList()
	return err
}

// remove ends what the house does itself and deletes the folder.
func (h *house) remove() {
	if h.lists != nil {
		_ = h.lists.Close() // it ends with the program in any case
	}
	_ = os.RemoveAll(h.dir) // a folder that stays in the system's own for such things does no harm
}

func (h *house) program(name string) string { return filepath.Join(h.bin, name) }
func (h *house) keysFile() string           { return filepath.Join(h.dir, "keys.json") }

// sqlite is the URL of a database in our folder.
func (h *house) sqlite(name string) string { return "sqlite:" + filepath.Join(h.dir, name+".db") }

// server is a running server and where it listens.
type server struct {
	*process.Process
	address, admin string
	log            *os.File
}

// startServer runs serve of the program, logging every request to a file, on as many
// CPUs as given (0: all), and does not wait for it.
func (h *house) startServer(name string, cpus int, args ...string) (*server, error) {
	address, err := process.FreeAddress()
	if err != nil {
		return nil, err
	}
	admin, err := process.FreeAddress()
	if err != nil {
		return nil, err
	}
	return h.start(&server{address: address, admin: admin}, process.Command{
		Path: h.program(name),
		Args: append([]string{"serve", "--listen", address, "--admin-listen", admin}, args...),
		Env:  append(maxProcs(cpus), "HALLPASS_KEYS_FILE="+h.keysFile(), "HALLPASS_ISSUER="+issuer, "HALLPASS_AUDIENCE="+audience),
	})
}

// start runs the command of s, with a log file.
func (h *house) start(s *server, c process.Command) (*server, error) {
	var err error
	s.log, err = os.OpenFile(filepath.Join(h.dir, filepath.Base(c.Path)+".log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	c.Log = s.log
	if s.Process, err = process.Start(c); err != nil {
		return nil, errors.Join(err, s.log.Close())
	}
	return s, nil
}

// startAPI runs the resource server with everything on: log, metrics, cache, docs.
func (h *house) startAPI(cpus int) (*server, error) {
	return h.startServer(resourceserver, cpus, "--status-lists-url", h.listsURL)
}

// startAuth runs the authorization server on a database with the demo users, which
// the first call makes. Its address is not the issuer, and it need not be.
func (h *house) startAuth(cpus int) (*server, error) {
	return h.startServer(authserver, cpus, "--demo", "--database-url", h.sqlite("hallpass"), "--bcrypt-cost", strconv.Itoa(bcryptCost))
}

// stop ends the server. Where it did not end well, the error has the end of its log.
func (s *server) stop() error {
	err := s.Stop()
	defer s.log.Close()
	if err == nil {
		return nil
	}
	log, readErr := os.ReadFile(s.log.Name())
	if readErr != nil {
		return errors.Join(err, readErr)
	}
	return fmt.Errorf("%w; the end of its log:\n%s", err, log[max(0, len(log)-1000):])
}

// stopInto is stop for a deferred call: the error joins what err points at.
func (s *server) stopInto(err *error) { *err = errors.Join(*err, s.stop()) }

func maxProcs(cpus int) []string {
	if cpus == 0 {
		return nil
	}
	return []string{"GOMAXPROCS=" + strconv.Itoa(cpus)}
}

// until tries again and again until there is no error, the server has ended, or it
// has had time enough.
func (s *server) until(ctx context.Context, try func() error) error {
	for deadline := time.Now().Add(readyTimeout); ; time.Sleep(200 * time.Microsecond) {
		err := try()
		if err == nil {
			return nil
		}
		if ended := errors.Join(s.Running(), ctx.Err()); ended != nil {
			return ended
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("no good answer from %s after %v: %w", s.address, readyTimeout, err)
		}
	}
}

// newToken signs an access token as the authorization server would. Each has an id
// of its own.
func (h *house) newToken(id string) (string, error) {
	return (&token.Signer{Keys: h.keys}).Sign(sampleClaims(id, time.Now()))
}

// sampleClaims is what the authorization server says of the demo user.
func sampleClaims(id string, now time.Time) *token.Claims {
	return &token.Claims{
		Issuer:    issuer,
		Subject:   "usr_0198c5a0-0000-7000-8000-000000000001",
		Audience:  []string{audience},
		ClientID:  demoClient,
		ID:        id,
		IssuedAt:  now,
		ExpiresAt: now.Add(30 * time.Minute),
		Scope:     oauth.Scope{"profile", "items:read"},
		Username:  username,
		Name:      "John Doe",
		Status:    &token.Status{Index: tokenIndex, URI: listURI},
	}
}

// describe says what was measured where.
func (h *house) describe(o options) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Hallpass %s, %s, %s/%s, %d CPUs%s.\n", h.version, runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), cpuModel())
	fmt.Fprintf(&b, "Requests: each server with GOMAXPROCS=%d, the load generator with %d and %d connections, on loopback; %d rounds of %v, in turns, and new servers every %d.\n",
		serverCPUs(), generatorCPUs(), connections, o.rounds, o.round, roundsOfAStart)
	fmt.Fprintf(&b, "Endpoints of the authorization server: likewise, %d rounds of the same servers; its settings are the defaults but for %s.\n", o.endpointRounds(), strings.Join(endpointSettings, " "))
	b.WriteString("The SQL alone: its statements prepared, by as many workers as there are connections. PostgreSQL runs on the same machine, without syncing to disk, and the generator sleeps between answers, to leave it CPU.\n")
	fmt.Fprintf(&b, "Logins: %d clients, %d rounds, in turns. Ratios are the median (smallest to largest) of the rounds.\n\n", runtime.NumCPU(), loginRounds)
	return b.String()
}

// cpuModel names the CPU after a comma, or is empty where that is not known.
func cpuModel() string {
	file, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return ""
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, 4<<10))
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(text)) {
		if name, model, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return ", " + strings.TrimSpace(model)
		}
	}
	return ""
}
