package e2e_test

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// startExampleScript starts what `make run-admin` and `make run-spa` do, and waits for the example. The folder of data
// may be that of an earlier run.
func startExampleScript(t *testing.T, example, folder string, settings map[string]string) (r *runner, site string) {
	t.Helper()
	programs := t.TempDir()
	if err := copyPrograms(programs); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(buildExample(t, example), filepath.Join(programs, example)); err != nil {
		t.Fatal(err)
	}
	if settings["EXAMPLE_LISTEN"] == "" {
		settings["EXAMPLE_LISTEN"] = freeAddresses(t, 1)[0]
	}
	settings["HALLPASS_BCRYPT_COST"] = "10"
	site = "http://" + settings["EXAMPLE_LISTEN"]
	script := exec.Command(filepath.Join(root, "deploy", "run-example.sh"), example)
	r = startRunner(t, script, programs, folder, settings)
	r.ready(t)
	waitFor(t, example, func() bool {
		resp, err := http.Get(site)
		if err == nil {
			resp.Body.Close()
		}
		return err == nil
	}, r.process)
	return r, site
}

// end presses Ctrl-C, and checks that the servers and the example have ended.
func (r *runner) end(t *testing.T, example string) {
	t.Helper()
	r.pressCtrlC(t)
	if code := r.wait(t); code != 0 {
		t.Errorf("exit code %d:\n%s", code, r.output.String())
	}
	r.checkGone(t)
	waitFor(t, example+" to end", func() bool { return len(processesOf(t, filepath.Join(r.programs, example))) == 0 })
}

// `make run-admin` registers the website and its administrator once, and both work.
func TestRunAdmin(t *testing.T) {
	longTest(t)
	t.Parallel()
	folder, settings := filepath.Join(t.TempDir(), "var"), map[string]string{}
	r, site := startExampleScript(t, "admin", folder, settings)
	if !strings.Contains(r.output.String(), site+"   log in as ada") {
		t.Errorf("it does not say where the website is:\n%s", r.output.String())
	}
	r.end(t, "admin")
	for i, name := range runSettings { // the same addresses
		settings[name] = r.addresses[i]
	}
	r, site = startExampleScript(t, "admin", folder, settings)
	s := &system{authURL: "http://" + r.addresses[0], apiURL: "http://" + r.addresses[2]}
	s.callMe(t, s.login(t, "john.doe", demoPassword), "John Doe")
	g := newGuest(t, s, nil)
	g.visit(site)
	g.sees("Item administration")
	g.presses("Log in")
	g.login("ada", adaPassword)
	g.sees("Allow access?")
	g.presses("Allow")
	g.sees("Items of everybody")
	r.end(t, "admin")
}

// `make run-spa` registers the page, whose scripts may call both servers.
func TestRunSPA(t *testing.T) {
	longTest(t)
	t.Parallel()
	library, err := filepath.Abs("thirdparty/node/node_modules/oauth4webapi/build/index.js")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(library); err != nil {
		leftOut(t, "the single-page app, which needs the npm package oauth4webapi")
	}
	r, page := startExampleScript(t, "spa", filepath.Join(t.TempDir(), "var"), map[string]string{"SPA_LIBRARY": library})
	g := newGuest(t, &system{authURL: "http://" + r.addresses[0]}, nil)
	g.openPage(page, loggedOutText)
	g.presses("Log in")
	g.login("john.doe", demoPassword)
	g.sees("Allow access?")
	g.presses("Allow")
	g.waitText("#status", loggedInText)
	g.presses("Show my profile")
	g.waitText("#values", "John Doe")
	r.end(t, "spa")
}
