package e2e_test

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// root is the folder of the whole project.
const root = "../.."

// bin is the folder of the two programs.
var bin string

func TestMain(m *testing.M) {
	if signal.Ignored(syscall.SIGINT) {
		// This happens in a background job of a shell. The programs that the tests start
		// would inherit it, and some tests press Ctrl-C.
		signal.Notify(make(chan os.Signal, 1), syscall.SIGINT)
	}
	leaveOutOtherSuites()
	buildAlike()
	code := withPrograms(m)
	if err := closePostgres(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// buildAlike has the go commands of the tests build like `make build`, so that all of them share what they compile.
func buildAlike() {
	_ = os.Setenv("CGO_ENABLED", "0")
	_ = os.Setenv("GOFLAGS", strings.TrimSpace(os.Getenv("GOFLAGS")+" -trimpath"))
}

// leaveOutOtherSuites leaves out the tests of `make test-fleet` and `make soak`, unless their flags are given.
func leaveOutOtherSuites() {
	flag.Parse()
	for name, wanted := range map[string]bool{"Test(Fleet|FullDisk)$": *runFleet, "TestSoak$": *soakFor > 0} {
		if skip := flag.Lookup("test.skip").Value; !wanted {
			_ = skip.Set(strings.TrimPrefix(skip.String()+"|"+name, "|"))
		}
	}
}

// withPrograms runs the tests with the programs in HALLPASS_BIN. If that is empty, it
// builds them.
func withPrograms(m *testing.M) int {
	if given := os.Getenv("HALLPASS_BIN"); given != "" {
		var err error
		if bin, err = filepath.Abs(given); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		return m.Run()
	}
	dir, err := os.MkdirTemp("", "hallpass-bin-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	bin = dir
	build := exec.Command("go", "build", "-o", dir+string(filepath.Separator),
		"./authserver/cmd/authserver", "./resourceserver/cmd/resourceserver")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "building the two programs: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// leftOut skips a test that needs something that is not installed. `make test` prints the
// reason at its end. With CI=true the test fails.
func leftOut(t *testing.T, reason string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf("CI=true, and this cannot be tested: %s", reason)
	}
	t.Skipf("left out: %s", reason)
}

// longTest skips a test that is not part of `make test`, which passes -short: it takes long
// or needs much. `make test-all` runs it.
func longTest(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("long test")
	}
}

// patience has limits of the authorization server that a busy machine does not reach. A test that tries a limit sets it
// by its flag.
var patience = []string{
	"HALLPASS_DATABASE_CONNECT_TIMEOUT=" + timeout.String(), "HALLPASS_DATABASE_STATEMENT_TIMEOUT=" + timeout.String(),
	"HALLPASS_PASSWORD_WAIT=" + timeout.String(),
}

// cleanEnv returns the environment with patience and the given settings instead of the settings of the developer who
// runs the tests.
func cleanEnv(settings ...string) []string {
	var env []string
	for _, kv := range os.Environ() {
		if !strings.HasPrefix(kv, "HALLPASS_") && !strings.HasPrefix(kv, "OTEL_") &&
			!strings.HasPrefix(kv, "MAKE") && !strings.HasPrefix(kv, "MFLAGS") {
			env = append(env, kv)
		}
	}
	return append(append(env, patience...), settings...)
}
