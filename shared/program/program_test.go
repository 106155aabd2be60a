package program_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-auth/hallpass/shared/httpserver"
	"github.com/hallpass-auth/hallpass/shared/keyring"
	"github.com/hallpass-auth/hallpass/shared/program"
)

// commands are the commands of the program under test.
type commands struct {
	Serve       serveCommand               `cmd:"" help:"Run the server."`
	Fail        failCommand                `cmd:"" help:"Fail."`
	Wait        waitCommand                `cmd:"" help:"Wait for a signal."`
	Healthcheck program.HealthcheckCommand `cmd:"" help:"Check that a running server is ready."`
	Version     program.VersionCommand     `cmd:"" help:"Print the version."`
}

// serveCommand has the settings of a server. Run records what it gets.
type serveCommand struct {
	httpserver.Settings `embed:""`
	Keys                keyring.Settings `embed:""`
	Work                string           `env:"HALLPASS_WORK" help:"A setting whose name is a prefix of the next one."`
	Workers             int              `env:"HALLPASS_WORKERS" default:"4" help:"How many (${default})."`

	ran        *serveCommand
	misspelled program.Misspellings
}

func (c *serveCommand) Run(ctx context.Context, streams program.Streams, misspelled program.Misspellings) error {
	c.ran, c.misspelled = c, misspelled
	if _, err := c.Keys.Open(ctx, slog.New(slog.DiscardHandler)); err != nil {
		return program.WithCode(program.ExitUsage, err)
	}
	_, err := fmt.Fprintf(streams.Out, "serving on %s\n", c.Listen)
	return err
}

// failCommand fails with an error of so many lines.
type failCommand struct {
	Code  int `default:"0"`
	Lines int `default:"1"`
}

func (c *failCommand) Run() error {
	err := errors.New("line 1")
	for i := 2; i <= c.Lines; i++ {
		err = errors.Join(err, fmt.Errorf("line %d", i))
	}
	if c.Code != 0 {
		err = fmt.Errorf("wrapped: %w", program.WithCode(c.Code, err))
	}
	return err
}

// waitCommand waits for a signal and prints whether it was SIGINT.
type waitCommand struct {
	Stubborn bool
}

func (c *waitCommand) Run(ctx context.Context, streams program.Streams) error {
	fmt.Fprintln(streams.Out, "waiting")
	<-ctx.Done()
	fmt.Fprintln(streams.Out, "stop now:", errors.Is(context.Cause(ctx), httpserver.ErrStopNow))
	if c.Stubborn {
		select {}
	}
	return nil
}

// result is the result of a run.
type result struct {
	code     int
	out, err string
	serve    *serveCommand // nil if it did not run
}

func main(streams program.Streams, args ...string) (int, *serveCommand) {
	c := new(commands)
	code := program.Program{
		Name:        "hall",
		Description: "A program under test.",
		Commands:    c,
		Vars:        map[string]string{"listen": "127.0.0.1:8000", "admin_listen": "127.0.0.1:8001"},
	}.Main(args, streams)
	return code, c.Serve.ran
}

func run(t *testing.T, args ...string) result {
	t.Helper()
	var out, errs bytes.Buffer
	code, serve := main(program.Streams{In: strings.NewReader(""), Out: &out, Err: &errs}, args...)
	return result{code: code, out: out.String(), err: errs.String(), serve: serve}
}

// secret is a valid token secret. No message may contain it or a part of it.
const secret = "correct-horse-battery-staple-and-more"

// wantUsage checks for a usage error: exit code 2, no output, one line on standard error that
// contains all of parts, and no secret.
func wantUsage(t *testing.T, got result, parts ...string) {
	t.Helper()
	if got.code != program.ExitUsage || got.out != "" {
		t.Errorf("exit code %d, output %q, message %q; want a usage error", got.code, got.out, got.err)
	}
	if strings.Count(got.err, "\n") != 1 || !strings.HasPrefix(got.err, "hall: ") || !strings.HasSuffix(got.err, "\n") {
		t.Errorf("message %q, want one line that begins with the program's name", got.err)
	}
	for _, s := range parts {
		if !strings.Contains(got.err, s) {
			t.Errorf("message %q, want %q in it", got.err, s)
		}
	}
	if strings.Contains(got.err, "horse") {
		t.Errorf("message %q shows the secret", got.err)
	}
}

func TestSettingsFromFlagsAndEnvironment(t *testing.T) {
	t.Setenv("HALLPASS_TOKEN_SECRET", secret)
	t.Setenv("HALLPASS_LISTEN", "127.0.0.1:1")
	t.Setenv("HALLPASS_DRAIN_DELAY", "5s")
	t.Setenv("HALLPASS_ALLOWED_ORIGINS", "https://a.example,https://b.example,") // the last comma is ignored
	got := run(t, "serve", "--drain-delay=7s", "--log-format", "json")
	if got.code != program.ExitOK || got.err != "" || got.out != "serving on 127.0.0.1:1\n" {
		t.Fatalf("exit code %d, output %q, message %q", got.code, got.out, got.err)
	}
	want := httpserver.Settings{
		Listen:            "127.0.0.1:1",    // environment
		AdminListen:       "127.0.0.1:8001", // the program's default
		AllowedOrigins:    []string{"https://a.example", "https://b.example"},
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       15 * time.Second,
		WriteTimeout:      time.Minute,
		IdleTimeout:       2 * time.Minute,
		DrainDelay:        7 * time.Second, // a flag overrides the environment
		StopTimeout:       30 * time.Second,
		LogFormat:         "json",
		LogLevel:          "info",
	}
	if diff := cmp.Diff(want, got.serve.Settings); diff != "" {
		t.Errorf("settings (-want +got):\n%s", diff)
	}
	if got.serve.Keys.TokenSecret != secret || got.serve.Workers != 4 {
		t.Errorf("the secret or the number of workers (%d) is wrong", got.serve.Workers)
	}
}

// The error about an invalid setting names the flag and the environment variable, whichever
// of them the value came from.
func TestInvalidSetting(t *testing.T) {
	for variable, wrong := range map[string]string{
		"HALLPASS_LISTEN":          "8000",
		"HALLPASS_ADMIN_LISTEN":    "localhost",
		"HALLPASS_ALLOWED_ORIGINS": "https://app.example/path",
		"HALLPASS_TRUSTED_PROXIES": "caddy",
		"HALLPASS_DRAIN_DELAY":     "abc",
		"HALLPASS_STOP_TIMEOUT":    "-1s",
		"HALLPASS_LOG_FORMAT":      "xml",
		"HALLPASS_LOG_LEVEL":       "loud",
		"HALLPASS_WORKERS":         "many",
		"HALLPASS_TOKEN_SECRET":    secret[:31],
		"HALLPASS_KEYS_FILE":       "/nowhere/keys.json",
	} {
		flag := "--" + strings.ToLower(strings.ReplaceAll(strings.TrimPrefix(variable, "HALLPASS_"), "_", "-"))
		t.Run(flag, func(t *testing.T) {
			wantUsage(t, run(t, "serve", flag+"="+wrong), flag, variable)
			t.Setenv(variable, wrong)
			wantUsage(t, run(t, "serve"), flag, variable)
		})
	}
}

// An invalid environment variable does not stop a command that does not use it.
func TestInvalidSettingOfAnotherCommand(t *testing.T) {
	t.Setenv("HALLPASS_DRAIN_DELAY", "abc")
	if got := run(t, "version"); got.code != program.ExitOK {
		t.Errorf("exit code %d, message %q", got.code, got.err)
	}
}

// Variables with a name near that of a setting are reported, variables of other programs are
// not.
func TestMisspelledVariables(t *testing.T) {
	for variable, setting := range map[string]string{
		"HALLPASS_LISTN":              "HALLPASS_LISTEN",
		"HALLPASS_LITSEN":             "HALLPASS_LISTEN",
		"HALLPASS_LISTEN_":            "HALLPASS_LISTEN",
		"HALPASS_LISTEN":              "HALLPASS_LISTEN",
		"HALLPASS-ADMIN-LISTEN":       "HALLPASS_ADMIN_LISTEN",
		"HALLPASS_ALLOWED_ORIGIN":     "HALLPASS_ALLOWED_ORIGINS",
		"HALLPASS_ALLOWED_ORIGINS_EX": "",
		"HALLPASS_WORKER":             "HALLPASS_WORKERS",
		"HALLPASS_LISTEN":             "",
		"HALLPASS_WORK":               "",
		"HALLPASS_BIN":                "",
		"HALLPASS_ISSUER":             "",
		"LISTEN":                      "",
	} {
		t.Run(variable, func(t *testing.T) {
			t.Setenv("HALLPASS_TOKEN_SECRET", secret)
			t.Setenv(variable, "127.0.0.1:1")
			got := run(t, "serve")
			if got.code != program.ExitOK {
				t.Fatalf("exit code %d, message %q", got.code, got.err)
			}
			var want program.Misspellings
			if setting != "" {
				want = program.Misspellings{{Variable: variable, Setting: setting}}
			}
			if diff := cmp.Diff(want, got.serve.misspelled); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			var log bytes.Buffer
			got.serve.misspelled.Warn(t.Context(), slog.New(slog.NewTextHandler(&log, nil)))
			warned := strings.Contains(log.String(), "level=WARN") && strings.Contains(log.String(), "setting="+setting)
			if warned != (setting != "") || strings.Contains(log.String(), "127.0.0.1") {
				t.Errorf("logged: %q", log.String())
			}
		})
	}
}

// Usage errors never show a secret.
func TestSecretIsNotShown(t *testing.T) {
	const named = "--token-secret (HALLPASS_TOKEN_SECRET)"
	dashed := "-" + secret
	wantUsage(t, run(t, "serve", "--token-secret", dashed), named, "--token-secret=VALUE")
	wantUsage(t, run(t, "serve", "--token-secret", "-"+dashed), named)
	wantUsage(t, run(t, "serve", "--token-secret"), named)
	wantUsage(t, run(t, "serve", "--token-secrt="+secret), "unknown flag --token-secrt")
	wantUsage(t, run(t, "--token-secret="+secret, "serve"), "unknown flag --token-secret")
	wantUsage(t, run(t, "serve", "--token-secret="+secret, "--keys-file=x"), named, "--keys-file (HALLPASS_KEYS_FILE)")
	t.Setenv("HALLPASS_TOKEN_SECRET", secret)
	wantUsage(t, run(t, "serve", "--log-level=loud"), "--log-level (HALLPASS_LOG_LEVEL)")
	if got := run(t, "serve", "--help"); got.code != program.ExitOK || strings.Contains(got.out, "horse") {
		t.Errorf("--help shows the secret of the environment: %s", got.out)
	}
	t.Setenv("HALLPASS_TOKEN_SECRET", dashed)
	if got := run(t, "serve"); got.code != program.ExitOK {
		t.Errorf("a secret that begins with a dash: exit code %d, message %q", got.code, got.err)
	}
}

func TestUnknownCommand(t *testing.T) {
	wantUsage(t, run(t, "serv"), "unexpected argument serv", `did you mean "serve"?`, "hall --help")
	wantUsage(t, run(t), `expected one of "serve"`, "hall --help")
	wantUsage(t, run(t, "version", "now"), "unexpected argument now")
	wantUsage(t, run(t, "serve", "--prot=1"), "unknown flag --prot")
}

func TestHelp(t *testing.T) {
	got := run(t, "--help")
	if got.code != program.ExitOK || got.err != "" {
		t.Errorf("exit code %d, message %q", got.code, got.err)
	}
	for _, s := range []string{"Usage: hall <command>", "A program under test.", "serve", "healthcheck", "version"} {
		if !strings.Contains(got.out, s) {
			t.Errorf("--help lacks %q:\n%s", s, got.out)
		}
	}
}

// "help" equals --help, for the program and for a command.
func TestHelpAsACommand(t *testing.T) {
	for _, words := range [][]string{{"help", "--help"}, {"help serve", "serve --help"}} {
		got, want := run(t, strings.Fields(words[0])...), run(t, strings.Fields(words[1])...)
		if got.code != program.ExitOK || got.out != want.out || got.out == "" || got.serve != nil {
			t.Errorf("%s: exit code %d, %q%s, want the output of %s", words[0], got.code, got.err, got.out, words[1])
		}
	}
	wantUsage(t, run(t, "help", "serv"), "unexpected argument serv")
}

// --help shows settings in groups, each with its default and its variable.
func TestHelpGroups(t *testing.T) {
	got := run(t, "serve", "--help")
	if got.code != program.ExitOK || got.serve != nil {
		t.Fatalf("exit code %d, ran: %v", got.code, got.serve != nil)
	}
	place := -1
	for _, s := range []string{
		"\nServer\n", "--listen=HOST:PORT", "127.0.0.1:8000", "$HALLPASS_LISTEN", "--admin-listen=", "127.0.0.1:8001",
		"\nLogs\n", "--log-format=", "$HALLPASS_LOG_FORMAT",
		"\nKeys\n", "--token-secret=SECRET", "--keys-file=PATH", "$HALLPASS_KEYS_FILE",
	} {
		next := strings.Index(got.out, s)
		if next <= place {
			t.Errorf("%q is missing or out of order:\n%s", s, got.out)
		}
		place = next
	}
}

func TestVersion(t *testing.T) {
	before := program.Version
	defer func() { program.Version = before }()
	program.Version = "v1.2.3"
	for _, word := range []string{"version", "--version"} {
		if diff := cmp.Diff(result{out: "v1.2.3\n"}, run(t, word), cmp.AllowUnexported(result{})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", word, diff)
		}
	}
	wantUsage(t, run(t, "--version", "now"), "unknown flag --version")
}

// The error of a command is printed on one line and determines the exit code.
func TestExitCodes(t *testing.T) {
	tests := []struct {
		args []string
		want result
	}{
		{[]string{"fail"}, result{code: program.ExitFailure, err: "hall: line 1\n"}},
		{[]string{"fail", "--code=3"}, result{code: program.ExitNotFound, err: "hall: wrapped: line 1\n"}},
		{[]string{"fail", "--code=4"}, result{code: program.ExitConflict, err: "hall: wrapped: line 1\n"}},
		{[]string{"fail", "--lines=3"}, result{code: program.ExitFailure, err: "hall: line 1; line 2; line 3\n"}},
	}
	for _, tt := range tests {
		if diff := cmp.Diff(tt.want, run(t, tt.args...), cmp.AllowUnexported(result{})); diff != "" {
			t.Errorf("%v (-want +got):\n%s", tt.args, diff)
		}
	}
}

func TestWithCode(t *testing.T) {
	if err := program.WithCode(program.ExitConflict, nil); err != nil {
		t.Errorf("WithCode of nil: %v", err)
	}
	if err := program.WithCode(program.ExitConflict, io.EOF); !errors.Is(err, io.EOF) || err.Error() != "EOF" {
		t.Errorf("WithCode changed the error to %v", err)
	}
}

func TestHealthcheck(t *testing.T) {
	admin := make(chan string, 1)
	ready := errors.New("no keys yet")
	server := httpserver.Server{
		Settings: httpserver.Settings{Listen: "127.0.0.1:0", AdminListen: "127.0.0.1:0", StopTimeout: time.Minute},
		Ready:    func(context.Context) error { return ready },
		Registry: httpserver.NewRegistry("v"),
		Log:      slog.New(addressHandler{Handler: slog.DiscardHandler, admin: admin}),
	}
	check := func(want result, args ...string) {
		t.Helper()
		ctx, cancel := context.WithCancelCause(t.Context())
		done := make(chan error, 1)
		go func() { done <- server.Run(ctx) }()
		address := <-admin
		got := run(t, append([]string{"healthcheck", "--admin-listen", address}, args...)...)
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(result{})); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		cancel(httpserver.ErrStopNow)
		if err := <-done; err != nil {
			t.Error(err)
		}
		if got := run(t, "healthcheck", "--admin-listen", address); got.code != program.ExitFailure || got.err == "" {
			t.Errorf("without a server: exit code %d, message %q", got.code, got.err)
		}
	}
	check(result{code: program.ExitFailure, err: "hall: not ready: no keys yet\n"})
	ready, server.Registry = nil, httpserver.NewRegistry("v")
	check(result{code: program.ExitOK})
	t.Setenv("HALLPASS_ADMIN_LISTEN", "9001")
	got := run(t, "healthcheck")
	if got.code != program.ExitFailure || !strings.Contains(got.err, "--admin-listen (HALLPASS_ADMIN_LISTEN)") {
		t.Errorf("invalid address: exit code %d, message %q", got.code, got.err)
	}
}

// addressHandler sends the logged admin address of a server to the test.
type addressHandler struct {
	slog.Handler
	admin chan<- string
}

func (h addressHandler) Enabled(context.Context, slog.Level) bool { return true }

func (h addressHandler) Handle(_ context.Context, r slog.Record) error {
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == "admin_address" {
			h.admin <- a.Value.String()
		}
		return true
	})
	return nil
}

// asProgram is the environment variable that makes the test binary run the program.
const asProgram = "HALL_RUN_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		code, _ := main(program.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}, os.Args[1:]...)
		os.Exit(code)
	}
	for _, variable := range os.Environ() { // settings of the developer's shell must not change a test
		if name, _, _ := strings.Cut(variable, "="); strings.HasPrefix(name, "HALLPASS_") {
			_ = os.Unsetenv(name)
		}
	}
	os.Exit(m.Run())
}

// Both signals end the command's context, SIGINT with ErrStopNow as its cause. A second
// signal exits at once.
func TestSignals(t *testing.T) {
	tests := []struct {
		name    string
		args    []string
		signals []os.Signal
		says    string
		code    int
	}{
		{"SIGTERM", []string{"wait"}, []os.Signal{syscall.SIGTERM}, "stop now: false\n", 0},
		{"SIGINT", []string{"wait"}, []os.Signal{syscall.SIGINT}, "stop now: true\n", 0},
		{"twice", []string{"wait", "--stubborn"}, []os.Signal{syscall.SIGTERM, syscall.SIGINT}, "stop now: false\n", 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			command, out := startProgram(t, tt.args...)
			expect(t, out, "waiting\n")
			for i, s := range tt.signals {
				if err := command.Process.Signal(s); err != nil {
					t.Fatal(err)
				}
				if i == 0 {
					expect(t, out, tt.says)
				}
			}
			_ = command.Wait() // ProcessState has the exit code
			if code := command.ProcessState.ExitCode(); code != tt.code {
				t.Errorf("exit code %d, want %d", code, tt.code)
			}
		})
	}
}

// startProgram starts the program in a new process.
func startProgram(t *testing.T, args ...string) (*exec.Cmd, io.Reader) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	t.Cleanup(cancel)
	command := exec.CommandContext(ctx, os.Args[0], args...)
	command.Env = append(os.Environ(), asProgram+"=1")
	out, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	return command, out
}

// expect reads want from the output of the program.
func expect(t *testing.T, r io.Reader, want string) {
	t.Helper()
	got := make([]byte, len(want))
	if _, err := io.ReadFull(r, got); err != nil || string(got) != want {
		t.Fatalf("output %q (%v), want %q", got, err, want)
	}
}
