package e2e_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// The tests in this file hold README.md and the pages of deploy/docs to what they
// say. The info string of a fenced block decides what is checked:
//
//	sh          runs, after the other sh blocks of its page, while `make run` runs
//	sh manual   does not run: it does not end, or needs what no test has
//	sh compose  does not run: it needs a Docker engine
//	go          compiles: a file, or imports and the body of a function that has a ctx
//	sh tutorial, python FILE, diff FILE   are steps of a tutorial: see kit_page_test.go
//
// A line of output that is the address of the authorization endpoint is opened by a
// person, who logs in as John Doe and consents. The address that the person is sent
// back to becomes the next line of the shell's standard input.

// docs is the folder of the documentation.
const docs = "deploy/docs"

// maxPage bounds how long the commands of a page may take, on a busy machine.
const maxPage = 20 * time.Minute

// maxREADME is the length of README.md, in words, that a newcomer can be asked to read.
const maxREADME = 1400

// document is a Markdown file. Its name is relative to the root of the project.
type document struct {
	name string
	text string
}

// readPages returns README.md and all pages below deploy/docs.
func readPages(t *testing.T) []document {
	t.Helper()
	names := []string{"README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md"}
	err := filepath.WalkDir(filepath.Join(root, docs), func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() && filepath.Ext(path) == ".md" {
			path, err = filepath.Rel(root, path)
			names = append(names, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	pages := make([]document, len(names))
	for i, name := range names {
		text, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		pages[i] = document{name, string(text)}
	}
	return pages
}

// block is a fenced block and the line it begins in.
type block struct {
	line int
	text string
}

// blocks returns the blocks of the page that have exactly this info string.
func (d document) blocks(info string) []block {
	var found []block
	fenced := regexp.MustCompile("(?ms)^```" + regexp.QuoteMeta(info) + "\n(.*?)^```$")
	for _, at := range fenced.FindAllStringSubmatchIndex(d.text, -1) {
		found = append(found, block{
			line: 1 + strings.Count(d.text[:at[2]], "\n"),
			text: d.text[at[2]:at[3]],
		})
	}
	return found
}

func TestBlocks(t *testing.T) {
	p := document{text: "# A\n\n```sh\necho 1\necho 2\n```\n\n```sh manual\nmake run\n```\n\n" +
		"```go\nx := 1\n```\n\n```sh\necho 3\n```\n"}
	for info, want := range map[string][]block{
		"sh": {{4, "echo 1\necho 2\n"}, {17, "echo 3\n"}},
		"go": {{13, "x := 1\n"}},
	} {
		if diff := cmp.Diff(want, p.blocks(info), cmp.AllowUnexported(block{})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", info, diff)
		}
	}
}

// startQuickstart starts what `make run` starts, in a folder that has what the
// commands of the pages expect: the project after `make build`.
func startQuickstart(t *testing.T) (folder string, r *runner) {
	t.Helper()
	folder = t.TempDir()
	programs := filepath.Join(folder, "bin")
	for _, dir := range []string{"bin", "deploy"} {
		if err := os.Mkdir(filepath.Join(folder, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	script := filepath.Join("deploy", "run.sh")
	if err := errors.Join(copyPrograms(programs), copyFile(folder, root, script, 0o755)); err != nil {
		t.Fatal(err)
	}
	r = startRunner(t, exec.Command("bash", filepath.Join(folder, script)), programs, filepath.Join(folder, "var"), nil)
	r.ready(t)
	return folder, r
}

// Every page's commands work, in the order of the page, on a fresh `make run`.
func TestPagesCommands(t *testing.T) {
	t.Parallel()
	for _, program := range []string{"curl", "openssl"} {
		if _, err := exec.LookPath(program); err != nil {
			leftOut(t, "the commands of README.md and deploy/docs, which need "+program)
		}
	}
	for _, p := range readPages(t) {
		if blocks := p.blocks("sh"); len(blocks) > 0 {
			t.Run(p.name, func(t *testing.T) {
				t.Parallel()
				p.run(t, blocks)
			})
		}
	}
}

// run runs the blocks in one shell: a variable that one sets is there in the next.
func (d document) run(t *testing.T, blocks []block) {
	t.Helper()
	folder, r := startQuickstart(t)
	var script strings.Builder
	for _, b := range blocks {
		fmt.Fprintf(&script, "echo '--- %s, line %d:' >&2\n%s", d.name, b.line, b.text)
	}
	own := freeAddresses(t, 2) // of an API that the page starts
	here := strings.NewReplacer(
		"127.0.0.1:9000", r.addresses[0], "127.0.0.1:9001", r.addresses[1],
		"127.0.0.1:8000", r.addresses[2], "127.0.0.1:8001", r.addresses[3],
		"127.0.0.1:8080", own[0], "127.0.0.1:8081", own[1],
		"bin/authserver doctor", "bin/authserver doctor --timeout "+timeout.String(), // this machine may be busy
	)
	// curl fails where a server refuses.
	if err := os.WriteFile(filepath.Join(folder, ".curlrc"), []byte("fail-with-body\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), maxPage)
	defer cancel()
	shell := exec.CommandContext(ctx, "sh", "-eu", "-c", here.Replace(script.String()))
	shell.Dir = folder
	shell.Env = cleanEnv("HOME="+folder, "CURL_HOME="+folder)
	if out, err := runWithPerson(t, shell, "http://"+r.addresses[0]+"/authorize?"); err != nil {
		t.Errorf("the commands of %s: %v, in the last block shown here:\n%s", d.name, err, out)
	}
}

// runWithPerson runs the shell and returns its output. A line of it that begins with
// prefix is an address that a person opens.
func runWithPerson(t *testing.T, shell *exec.Cmd, prefix string) (string, error) {
	t.Helper()
	stdin, err := shell.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := shell.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	shell.Stderr = shell.Stdout
	if err := shell.Start(); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		fmt.Fprintln(&out, lines.Text())
		if !strings.HasPrefix(lines.Text(), prefix) {
			continue
		}
		address, err := url.Parse(lines.Text())
		if err != nil {
			t.Fatal(err)
		}
		john := newPerson(t, "john.doe", demoPassword)
		back := john.visit(address.String(), address.Query().Get("redirect_uri"), "allow")
		if _, err := io.WriteString(stdin, back+"\n"); err != nil {
			t.Fatal(err)
		}
	}
	return out.String(), shell.Wait()
}

// Every Go snippet compiles, so none has an unused variable or a name that is gone.
func TestPagesGoCode(t *testing.T) {
	for _, p := range readPages(t) {
		for _, b := range p.blocks("go") {
			t.Run(fmt.Sprintf("%s, line %d", p.name, b.line), func(t *testing.T) {
				t.Parallel()
				file := filepath.Join(t.TempDir(), "snippet.go")
				if err := os.WriteFile(file, []byte(goFile(b.text)), 0o600); err != nil {
					t.Fatal(err)
				}
				vet := exec.CommandContext(t.Context(), "go", "vet", file) // in this module, whose dependencies it may use
				if out, err := vet.CombinedOutput(); err != nil {
					t.Errorf("%v\n%s", err, out)
				}
			})
		}
	}
}

// goFile returns a snippet as a file: the snippet itself, or a function around the
// statements that follow its imports.
func goFile(snippet string) string {
	if strings.HasPrefix(snippet, "package ") {
		return snippet
	}
	imports := regexp.MustCompile(`^import (\((?s:.*?)\n\)|".*")\n+`).FindString(snippet)
	return "package snippet\n\n" + imports +
		"func _(ctx context.Context) error {\n" + strings.TrimPrefix(snippet, imports) + "\nreturn nil\n}\n"
}

func TestGoFile(t *testing.T) {
	for snippet, want := range map[string]string{
		"package main\n\nfunc main() {}\n":             "package main\n\nfunc main() {}\n",
		"x := 1\n_ = x\n":                              "package snippet\n\nfunc _(ctx context.Context) error {\nx := 1\n_ = x\n\nreturn nil\n}\n",
		"import (\n\t\"context\"\n)\n\n<-ctx.Done()\n": "package snippet\n\nimport (\n\t\"context\"\n)\n\nfunc _(ctx context.Context) error {\n<-ctx.Done()\n\nreturn nil\n}\n",
	} {
		if diff := cmp.Diff(want, goFile(snippet)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
}

// Every link to a file of the project has a target, and so has its fragment.
func TestPagesLinks(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)\s]+)\)`)
	for _, p := range readPages(t) {
		for _, found := range link.FindAllStringSubmatch(p.text, -1) {
			target, fragment, _ := strings.Cut(found[1], "#")
			if strings.Contains(target, ":") {
				continue // of the web
			}
			path := filepath.Join(root, filepath.Dir(p.name), target)
			if target == "" {
				path = filepath.Join(root, p.name)
			}
			if _, err := os.Stat(path); err != nil {
				t.Errorf("%s links to %s: %v", p.name, found[1], err)
			} else if fragment != "" && !hasHeading(t, path, fragment) {
				t.Errorf("%s links to %s, which has no such heading", p.name, found[1])
			}
		}
	}
}

// hasHeading reports whether a Markdown file has a heading with this fragment, as
// GitHub derives it.
func hasHeading(t *testing.T, path, fragment string) bool {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	dropped := regexp.MustCompile(`[^\p{L}\p{N} _-]`)
	for _, heading := range regexp.MustCompile(`(?m)^#+ +(.*)$`).FindAllStringSubmatch(string(text), -1) {
		slug := dropped.ReplaceAllString(strings.ToLower(heading[1]), "")
		if strings.ReplaceAll(slug, " ", "-") == fragment {
			return true
		}
	}
	return false
}

// README.md is short, and each page of deploy/docs can be found from its index.
func TestPagesOverview(t *testing.T) {
	pages := readPages(t)
	index := ""
	for _, p := range pages {
		if p.name == "README.md" {
			if words := len(strings.Fields(p.text)); words >= maxREADME {
				t.Errorf("README.md has %d words, want fewer than %d", words, maxREADME)
			}
		}
		if p.name == docs+"/README.md" {
			index = p.text
		}
	}
	for _, p := range pages {
		name, isDoc := strings.CutPrefix(filepath.ToSlash(p.name), docs+"/")
		if isDoc && name != "README.md" && !strings.Contains(index, "]("+name+")") {
			t.Errorf("%s/README.md does not link to %s", docs, name)
		}
	}
}

// setting is a row of the table in settings.md.
type setting struct {
	servers      string // auth, API or both
	defaultValue string // empty where the help text states none
}

var settingInPage = regexp.MustCompile("(?m)^\\| `(HALLPASS_[A-Z_]+)` \\| (\\w+) \\| ([^|]*) \\|")

// settingsOfHelp returns what `serve --help` of both servers says, by variable.
func settingsOfHelp(t *testing.T) map[string]setting {
	t.Helper()
	settings := map[string]setting{}
	for program, server := range map[string]string{"authserver": "auth", "resourceserver": "API"} {
		for name, value := range serverSettings(t, program) {
			s := setting{server, value}
			if other, ok := settings[name]; ok {
				s.servers = "both"
				if other.defaultValue != s.defaultValue { // of the addresses
					s.defaultValue = ""
				}
			}
			settings[name] = s
		}
	}
	return settings
}

// The table of settings.md has the settings of both servers, with their defaults.
func TestSettingsPage(t *testing.T) {
	want, got := settingsOfHelp(t), map[string]setting{}
	text, err := os.ReadFile(filepath.Join(root, docs, "settings.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range settingInPage.FindAllStringSubmatch(string(text), -1) {
		name, value := row[1], strings.Trim(row[3], "` ")
		if want[name].defaultValue == "" || name == "HALLPASS_PASSWORD_WORKERS" { // one a CPU
			value = want[name].defaultValue
		}
		got[name] = setting{row[2], value}
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(setting{})); diff != "" {
		t.Errorf("settings.md differs from --help (-help +page):\n%s", diff)
	}
}
