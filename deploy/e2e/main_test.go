package e2e_test

import (
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
		// Started in the background. What is ignored here would be ignored by every
		// program started from here, and some tests press Ctrl-C.
		signal.Notify(make(chan os.Signal, 1), syscall.SIGINT)
	}
	os.Exit(withPrograms(m))
}

// withPrograms runs the tests with the programs that HALLPASS_BIN names, or with
// fresh ones.
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
	build := exec.Command("go", "build", "-trimpath", "-o", dir+string(filepath.Separator),
		"./authserver/cmd/authserver", "./resourceserver/cmd/resourceserver")
	build.Dir = root
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "building the two programs: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// leftOut ends a test that needs what this machine does not have. The reason ends
// up in what `make test` says at its end; with CI=true it is a failure.
func leftOut(t *testing.T, reason string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf("with CI=true nothing may be left out: %s", reason)
	}
	t.Skipf("left out: %s", reason)
}

// cleanEnv is the environment without the settings of the developer who runs the
// tests, and with the given ones.
func cleanEnv(settings ...string) []string {
	var env []string
	for _, kv := range os.Environ() {
		if !strings.HasPrefix(kv, "HALLPASS_") && !strings.HasPrefix(kv, "MAKE") && !strings.HasPrefix(kv, "MFLAGS") {
			env = append(env, kv)
		}
	}
	return append(env, settings...)
}
