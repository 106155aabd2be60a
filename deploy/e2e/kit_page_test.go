package e2e_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/fetch"
	"github.com/chromedp/chromedp"
)

// tutorial is a page of deploy/docs that changes a program step by step, in a folder of its own. Its blocks are steps:
//
//	python FILE   the file as it is before the first step
//	go FILE       a new file
//	diff FILE     an edit of the file: the lines with - and a space are replaced by those with + and a space
//	sh tutorial   commands, which must succeed
//	json output   lines that commands before it have printed
type tutorial struct {
	document
	folder    string
	addresses *strings.Replacer // of the page by those of the test
	printed   strings.Builder
}

// step is a fenced block with its info string.
type step struct{ info, text string }

// steps returns the blocks of the page, in order.
func (d document) steps() []step {
	var steps []step
	for _, found := range regexp.MustCompile("(?ms)^```([^\n]+)\n(.*?)^```$").FindAllStringSubmatch(d.text, -1) {
		steps = append(steps, step{found[1], found[2]})
	}
	return steps
}

// take takes a step. It reports whether it has changed a file.
func (u *tutorial) take(t *testing.T, s step) bool {
	t.Helper()
	verb, file, _ := strings.Cut(s.info, " ")
	file = filepath.Join(u.folder, file)
	switch {
	case verb == "python", verb == "go" && file != u.folder:
		u.write(t, file, s.text)
		return true
	case verb == "diff":
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		changed, err := edit(string(text), u.addresses.Replace(s.text))
		if err != nil {
			t.Fatalf("%s: %v", u.name, err)
		}
		u.write(t, file, changed)
		return true
	case s.info == "sh tutorial":
		u.run(t, u.addresses.Replace(s.text))
	case s.info == "json output":
		if !strings.Contains(u.printed.String(), s.text) {
			t.Errorf("%s: the commands printed\n%s\nwant\n%s", u.name, u.printed.String(), s.text)
		}
	}
	return false
}

// run runs commands. Variables that they set are there in the next ones.
func (u *tutorial) run(t *testing.T, commands string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), maxPage)
	defer cancel()
	script := "set -a; [ ! -e .variables ] || . ./.variables\n" + commands + "\nexport -p >.variables"
	shell := exec.CommandContext(ctx, "sh", "-eu", "-c", script)
	shell.Dir = u.folder
	shell.Env = cleanEnv("HOME="+u.folder, "PATH=/usr/bin:"+os.Getenv("PATH")) // python3 must be Debian's
	shell.WaitDelay = time.Minute
	out, err := shell.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s\n%s", u.name, err, commands, out)
	}
	u.printed.Write(out)
}

func (u *tutorial) write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(u.addresses.Replace(text)), 0o600); err != nil {
		t.Fatal(err)
	}
}

// edit applies an edit to a text, in which the lines to replace must be exactly once.
func edit(text, diff string) (string, error) {
	var before, after strings.Builder
	for line := range strings.Lines(diff) {
		switch line[0] {
		case '-':
			before.WriteString(line[1:])
		case '+':
			after.WriteString(line[1:])
		case ' ':
			before.WriteString(line[1:])
			after.WriteString(line[1:])
		default:
			return "", fmt.Errorf("the line %q of an edit begins with no sign", line)
		}
	}
	if n := strings.Count(text, before.String()); n != 1 {
		return "", fmt.Errorf("the lines to replace are in the file %d times:\n%s", n, before.String())
	}
	return strings.Replace(text, before.String(), after.String(), 1), nil
}

func TestEdit(t *testing.T) {
	const text = "a\nb\nc\nb\n"
	if got, err := edit(text, " a\n-b\n+x\n+y\n c\n"); err != nil || got != "a\nx\ny\nc\nb\n" {
		t.Errorf("%q, %v", got, err)
	}
	for _, wrong := range []string{"-b\n+x\n", "-d\n", "b\n"} {
		if got, err := edit(text, wrong); err == nil {
			t.Errorf("%q is applied: %q", wrong, got)
		}
	}
}

// settingsIn returns the settings NAME=VALUE of a command.
func settingsIn(command string) map[string]string {
	settings := map[string]string{}
	for _, found := range regexp.MustCompile(`([A-Z_]+)=(\S+)`).FindAllStringSubmatch(command, -1) {
		settings[found[1]] = found[2]
	}
	return settings
}

// manual returns the block of the page that a test runs in its own way, because it does not end.
func (d document) manual(t *testing.T, prefix string) string {
	t.Helper()
	for _, b := range d.blocks("sh manual") {
		if strings.HasPrefix(b.text, prefix) {
			return strings.TrimSpace(b.text)
		}
	}
	t.Fatalf("%s has no block that begins with %s", d.name, prefix)
	return ""
}

// readTutorial returns a page, for a folder that has what the commands of pages expect and the Python kit.
func readTutorial(t *testing.T, name string) *tutorial {
	t.Helper()
	u := &tutorial{document: document{name, readProject(t, docs+"/"+name)}, folder: t.TempDir()}
	if err := copyPrograms(mustMkdir(t, u.folder, "bin")); err != nil {
		t.Fatal(err)
	}
	mustMkdir(t, u.folder, "deploy/kit")
	kit := os.DirFS(pythonKit)
	if err := os.CopyFS(filepath.Join(u.folder, "deploy", "kit", "python"), kit); err != nil {
		t.Fatal(err)
	}
	return u
}

// mustMkdir makes a folder below another one and returns its path.
func mustMkdir(t *testing.T, folder, name string) string {
	t.Helper()
	made := filepath.Join(folder, name)
	if err := os.MkdirAll(made, 0o755); err != nil {
		t.Fatal(err)
	}
	return made
}

// startRun starts the `make run` of the page, with other addresses.
func (u *tutorial) startRun(t *testing.T) *runner {
	t.Helper()
	own := freeAddresses(t, 1)[0]
	u.addresses = strings.NewReplacer("127.0.0.1:8080", own)
	settings := settingsIn(u.addresses.Replace(u.manual(t, "make run ")))
	kept := filepath.Join(u.folder, settings["VAR_DIR"])
	delete(settings, "VAR_DIR")
	script := exec.Command(absolute(t, filepath.Join(root, "deploy", "run.sh")))
	r := startRunner(t, script, filepath.Join(u.folder, "bin"), kept, settings)
	r.ready(t)
	_, port, _ := strings.Cut(own, ":")
	u.addresses = strings.NewReplacer(
		"127.0.0.1:9000", r.addresses[0], "127.0.0.1:8080", own, "--port 8080", "--port "+port)
	return r
}

// startApp starts the program of the page, as the page says, and waits until it responds.
func (u *tutorial) startApp(t *testing.T) *process {
	t.Helper()
	arguments := strings.Fields(u.addresses.Replace(u.manual(t, runsProgram)))
	interpreter := filepath.Join(u.folder, arguments[0])
	if _, err := os.Stat(interpreter); err != nil { // the kit is not installed yet
		interpreter = python
	}
	cmd := exec.Command(interpreter, arguments[1:]...)
	cmd.Dir, cmd.Env = u.folder, cleanEnv("PYTHONDONTWRITEBYTECODE=1")
	app := launch(t, "the program of "+u.name, cmd)
	waitFor(t, "the program to respond", func() bool {
		got, err := try(t.Context(), u.url(), get("/users/me"))
		return err == nil && got.status == http.StatusUnauthorized
	}, app)
	return app
}

// runsProgram begins the command of the page that runs its program.
const runsProgram = "venv/bin/python -m uvicorn "

// url returns the address of the program.
func (u *tutorial) url() string { return u.addresses.Replace("http://127.0.0.1:8080") }

// The page "From the FastAPI tutorial", from the program as it was to the last step.
func TestFastAPITutorialPage(t *testing.T) {
	longTest(t)
	t.Parallel()
	needFastAPI(t)
	needPython(t, "multipart", "python3-multipart")
	needPython(t, "venv, ensurepip", "python3-venv")
	needPython(t, "setuptools, wheel", "python3-setuptools python3-wheel")
	u := readTutorial(t, "from-the-fastapi-tutorial.md")
	r := u.startRun(t)
	var app *process
	edited, isKit := false, false
	for _, s := range u.steps() {
		switch {
		case s.info == "sh manual" && strings.HasPrefix(s.text, runsProgram):
			isKit = true
		case strings.HasPrefix(s.info, "python "):
			u.take(t, s)
			u.checkStart(t)
			continue
		case s.info == "sh tutorial" && isKit && edited:
			if app != nil {
				app.stop(t)
			}
			app, edited = u.startApp(t), false
		}
		edited = u.take(t, s) || edited
	}
	if app == nil {
		t.Fatal("the page does not run its program")
	}
	t.Run("docs page", func(t *testing.T) { u.checkDocsPage(t, "http://"+r.addresses[2]) })
	app.stop(t)
}

// checkStart checks that the program works before its first change.
func (u *tutorial) checkStart(t *testing.T) {
	t.Helper()
	app := u.startApp(t)
	token := send(t, u.url(), form("username", "john.doe", "password", demoPassword)).text(t, "access_token")
	for path, want := range map[string]string{
		"/users/me": `{"username":"john.doe","full_name":"John Doe"}`,
		"/items/42": `{"item_id":42,"owner":"john.doe"}`,
	} {
		if got := send(t, u.url(), get(path, "Bearer "+token)); got.body != want {
			t.Errorf("%s before the first change: %d %s, want %s", path, got.status, got.body, want)
		}
	}
	app.stop(t)
}

// checkDocsPage logs in with the Authorize button of the program's docs page. FastAPI's page loads Swagger UI from
// another site; here its files come from the resource server's.
func (u *tutorial) checkDocsPage(t *testing.T, resourceserver string) {
	p := newPage(t)
	err := chromedp.Listen(p.ctx, func(event any) {
		paused, ok := event.(*fetch.EventRequestPaused)
		if !ok {
			return
		}
		name := path.Base(paused.Request.URL)
		go func() { // a listener must not call the browser
			file, err := try(t.Context(), resourceserver, get("/docs/"+name))
			if err == nil {
				_, err = chromedp.Call(p.ctx, fetch.FulfillRequest, fetch.FulfillRequestParams{
					RequestID: paused.RequestID, ResponseCode: int64(file.status), Body: []byte(file.body),
					ResponseHeaders: []*fetch.HeaderEntry{{Name: "Content-Type", Value: file.header.Get("Content-Type")}},
				})
			}
			if err != nil && t.Context().Err() == nil {
				t.Errorf("%s: %v", name, err)
			}
		}()
	})
	if err != nil {
		t.Fatal(err)
	}
	const operation = `#operations-default-read_me_users_me_get `
	p.do("opening the page",
		chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
			_, err := chromedp.Call(ctx, fetch.Enable, fetch.EnableParams{Patterns: []*fetch.RequestPattern{{URLPattern: "https://*"}}})
			return err
		}),
		chromedp.Navigate(u.url()+"/docs"),
		chromedp.WaitVisible(chromedp.CSS(operation)),
	)
	p.authorizeInDocs()
	p.tryInDocs(operation, "John Doe")
}
