package e2e_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A fenced block of README.md whose info string is `sh` and nothing more is a promise
// that its lines work, one after the other, while `make run` runs. Another word
// behind it, as in `sh manual`, keeps a block from being run: one that does not end,
// or that needs what no test has.
var runnable = regexp.MustCompile("(?ms)^```sh\n(.*?)^```$")

// block is a fenced block and the line it begins in.
type block struct {
	line int
	text string
}

// runnableBlocks returns the blocks of a Markdown text that are to be run.
func runnableBlocks(markdown string) []block {
	var blocks []block
	for _, at := range runnable.FindAllStringSubmatchIndex(markdown, -1) {
		blocks = append(blocks, block{
			line: 1 + strings.Count(markdown[:at[2]], "\n"),
			text: markdown[at[2]:at[3]],
		})
	}
	return blocks
}

func TestRunnableBlocks(t *testing.T) {
	text := "# A\n\n```sh\necho 1\necho 2\n```\n\n```sh manual\nmake run\n```\n\n```go\nx := 1\n```\n\n```sh\necho 3\n```\n"
	want := []block{{4, "echo 1\necho 2\n"}, {17, "echo 3\n"}}
	if diff := cmp.Diff(want, runnableBlocks(text), cmp.AllowUnexported(block{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// startQuickstart starts what `make run` starts, in a folder that looks to the
// commands of README.md like the project after `make build`.
func startQuickstart(t *testing.T) (folder string, r *runner) {
	t.Helper()
	folder = t.TempDir()
	programs := filepath.Join(folder, "bin")
	for _, dir := range []string{"bin", "deploy"} {
		if err := os.Mkdir(filepath.Join(folder, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(copyPrograms(programs), copyFile(folder, root, filepath.Join("deploy", "run.sh"), 0o755)); err != nil {
		t.Fatal(err)
	}
	r = startRunner(t, exec.Command(filepath.Join(folder, "deploy", "run.sh")), programs, filepath.Join(folder, "var"), nil)
	r.ready(t)
	return folder, r
}

func TestREADME(t *testing.T) {
	if _, err := exec.LookPath("curl"); err != nil {
		leftOut(t, "the commands of README.md, which need curl")
	}
	text, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	blocks := runnableBlocks(string(text))
	if len(blocks) == 0 {
		t.Fatal("README.md has no block to run")
	}
	folder, r := startQuickstart(t)

	// One shell runs them all: a variable that is set in one is used in the next.
	var script strings.Builder
	for _, b := range blocks {
		fmt.Fprintf(&script, "echo '--- README.md, line %d:' >&2\n%s", b.line, b.text)
	}
	onOurs := strings.NewReplacer(
		"127.0.0.1:9000", r.addresses[0], "127.0.0.1:9001", r.addresses[1],
		"127.0.0.1:8000", r.addresses[2], "127.0.0.1:8001", r.addresses[3],
	)
	// A refusal by a server is to be a failure of curl.
	if err := os.WriteFile(filepath.Join(folder, ".curlrc"), []byte("fail-with-body\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	shell := exec.CommandContext(t.Context(), "sh", "-eu", "-c", onOurs.Replace(script.String()))
	shell.Dir = folder
	shell.Env = cleanEnv("HOME="+folder, "CURL_HOME="+folder)
	if out, err := shell.CombinedOutput(); err != nil {
		t.Errorf("the commands of README.md: %v, in the last block shown here:\n%s", err, out)
	}
}
