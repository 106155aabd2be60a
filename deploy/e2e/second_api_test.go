package e2e_test

import (
	"net/http"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// twoAPIs is `make run` with a second API beside it.
type twoAPIs struct {
	*runner
	folder   string // of the data of make run
	secondAt string // URL of the second API
	client   []string
}

// command runs a command on the database of make run.
func (w *twoAPIs) command(t *testing.T, args ...string) string {
	t.Helper()
	return mustCommand(t, "", "authserver", append(args, "--database-url", "sqlite:"+w.file("hallpass.db"))...)
}

func (w *twoAPIs) file(name string) string { return filepath.Join(w.folder, name) }

func (w *twoAPIs) authURL() string { return "http://" + w.addresses[0] }
func (w *twoAPIs) firstAt() string { return "http://" + w.addresses[2] }

// addSecond adds and starts the second API, in the order of the page "Several APIs".
func (w *twoAPIs) addSecond(t *testing.T) *process {
	t.Helper()
	addresses := freeAddresses(t, 2)
	w.secondAt = "http://" + addresses[0]
	w.command(t, "api", "add", w.secondAt, "--scope", "items:read",
		"--keys-file", w.file("keys.json"), "--secret-to", w.file("second-keys.json"))
	second := serve(t, "resourceserver", addresses[1], "serve", "--keys-file", w.file("second-keys.json"),
		"--issuer", w.authURL(), "--audience", w.secondAt, "--listen", addresses[0],
		"--admin-listen", addresses[1], "--drain-delay", "0s")
	secret := w.command(t, "client", "add", "worker", "--grant", "client_credentials", "--scope", "items:read")
	w.client = []string{"grant_type", "client_credentials", "client_id", "worker",
		"client_secret", strings.TrimSpace(secret), "resource"}
	return second
}

// tokenFor returns an access token for the API. The authorization server may read its keys a
// moment after a change.
func (w *twoAPIs) tokenFor(t *testing.T, api string) string {
	t.Helper()
	var got response
	waitFor(t, "a token for "+api, func() bool {
		got = send(t, w.authURL(), form(append(w.client, api)...))
		return got.status == http.StatusOK
	}, w.process)
	return got.text(t, "access_token")
}

// checkAccepts checks that the API accepts the token.
func checkAccepts(t *testing.T, api, accessToken string) {
	t.Helper()
	if got := send(t, api, get("/items/42", "Bearer "+accessToken)); got.status != http.StatusOK {
		t.Errorf("%s responds with %d %s, want 200", api, got.status, got.body)
	}
}

// "Several APIs" from adding one to a rotation of both keys, while make run runs: nobody restarts
// anything, and in the end each API accepts the tokens of its new key and of the previous one,
// and no token for the other API.
func TestSecondAPI(t *testing.T) {
	t.Parallel()
	w := &twoAPIs{folder: filepath.Join(t.TempDir(), "var")}
	w.runner = startScriptIn(t, w.folder, nil)
	w.ready(t)
	second := w.addSecond(t)
	apis := []string{w.firstAt(), w.secondAt}
	previous := map[string]string{}
	for i, api := range apis {
		previous[api] = w.tokenFor(t, api)
		checkAccepts(t, api, previous[api])
		if got := send(t, apis[1-i], get("/items/42", "Bearer "+previous[api])); got.status != http.StatusUnauthorized {
			t.Errorf("%s accepts the other API's token: %d", apis[1-i], got.status)
		}
	}

	mustCommand(t, "", "authserver", "key", "rotate", w.file("keys.json"), "--signs-after", "3s",
		"--also", w.file("api-keys.json"))
	mustCommand(t, "", "authserver", "key", "rotate", w.file("keys.json"), "--signs-after", "3s",
		"--api", w.secondAt, "--also", w.file("second-keys.json"))
	for _, api := range apis {
		var fresh string
		waitFor(t, "the new key for "+api+" to sign", func() bool {
			fresh = w.tokenFor(t, api)
			return keyOf(t, fresh) != keyOf(t, previous[api])
		}, w.process)
		checkAccepts(t, api, fresh)
		checkAccepts(t, api, previous[api])
	}
	t.Run("verify_token.py", func(t *testing.T) { w.verifyInPython(t) })
	second.stop(t)
	w.signal(t, syscall.SIGTERM)
	w.wait(t)
}
