package e2e_test

import (
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// logsOf returns what the servers of a run have logged, by file.
func logsOf(t *testing.T, folder string) map[string]string {
	t.Helper()
	logs := map[string]string{}
	for _, name := range []string{"authserver.log", "resourceserver.log"} {
		text, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil {
			t.Fatal(err)
		}
		logs[name] = string(text)
	}
	return logs
}

// addressesOf returns the addresses of a run by the names of their settings.
func addressesOf(r *runner) map[string]string {
	addresses := map[string]string{}
	for i, name := range runSettings {
		addresses[name] = r.addresses[i]
	}
	return addresses
}

// checkRefuses checks that a run ends with 1 and gives the reason.
func checkRefuses(t *testing.T, r *runner, reason string) {
	t.Helper()
	if code := r.wait(t); code != 1 {
		t.Errorf("exit code %d, want 1", code)
	}
	if !strings.Contains(r.output.String(), reason) {
		t.Errorf("it does not say %q", reason)
	}
}

// A second `make run` on the same addresses or in the same folder refuses to start and leaves
// the logs of the first as they are. The first still shows its warnings.
func TestRunTwice(t *testing.T) {
	t.Parallel()
	folder := filepath.Join(t.TempDir(), "var")
	first := startScriptIn(t, folder, nil)
	first.ready(t)
	before := logsOf(t, folder)

	checkRefuses(t, startScript(t, map[string]string{"AUTH_LISTEN": "127.0.0.1:1", "API_LISTEN": "127.0.0.1:1"}),
		"AUTH_LISTEN and API_LISTEN are both 127.0.0.1:1")
	checkRefuses(t, startScript(t, addressesOf(first)), "already running at "+first.addresses[1])
	checkRefuses(t, startScriptIn(t, folder, addressesOf(first)), "Another run uses the folder "+folder)
	checkRefuses(t, startScriptIn(t, folder, nil), "Another run uses the folder "+folder)
	for name, after := range logsOf(t, folder) {
		if before[name] == "" || !strings.HasPrefix(after, before[name]) {
			t.Errorf("%s of the first was %q, is %q", name, before[name], after)
		}
	}

	const warning = "a warning that a server logs"
	log, err := os.OpenFile(filepath.Join(folder, "authserver.log"), os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	if _, err := log.WriteString("level=WARN msg=\"" + warning + "\"\n"); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the warning", func() bool {
		return strings.Contains(first.output.String(), "authserver: level=WARN msg=\""+warning)
	}, first.process)

	first.signal(t, syscall.SIGTERM)
	if code := first.wait(t); code != 0 {
		t.Errorf("the first ended with %d, want 0", code)
	}
}

// After kill -9 of the script, its servers still run and keep the folder locked. Once they have
// ended too, the folder is free.
func TestRunAfterKill(t *testing.T) {
	t.Parallel()
	folder := filepath.Join(t.TempDir(), "var")
	first := startScriptIn(t, folder, nil)
	first.ready(t)
	first.signal(t, syscall.SIGKILL)
	checkRefuses(t, startScriptIn(t, folder, nil), "Another run uses the folder "+folder)
	for _, name := range []string{"authserver", "resourceserver"} {
		for _, id := range processesOf(t, filepath.Join(first.programs, name)) {
			if err := syscall.Kill(id, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
		}
	}
	waitFor(t, "the servers to end", func() bool { return isRefused(first.addresses[0]) && isRefused(first.addresses[2]) })

	second := startScriptIn(t, folder, addressesOf(first))
	second.ready(t)
	waitFor(t, "the warning of the demo users, which the first has made", func() bool {
		return regexp.MustCompile(`(?m)^authserver: .*level=WARN msg="demo: users`).MatchString(second.output.String())
	}, second.process)
	second.signal(t, syscall.SIGTERM)
	second.wait(t)
}

// Pages of HALLPASS_ALLOWED_ORIGINS may call both servers, in addition to the API's docs page.
func TestRunAllowedOrigins(t *testing.T) {
	t.Parallel()
	const further = "http://127.0.0.1:5173"
	r := startScript(t, map[string]string{"HALLPASS_ALLOWED_ORIGINS": further})
	r.ready(t)
	for url, method := range map[string]string{
		"http://" + r.addresses[0] + "/token":    http.MethodPost,
		"http://" + r.addresses[2] + "/users/me": http.MethodGet,
	} {
		for _, origin := range []string{further, "http://" + r.addresses[2]} {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodOptions, url, nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Origin", origin)
			req.Header.Set("Access-Control-Request-Method", method)
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if got := resp.Header.Get("Access-Control-Allow-Origin"); got != origin {
				t.Errorf("%s allows the origin %q, want %q", url, got, origin)
			}
		}
	}
}
