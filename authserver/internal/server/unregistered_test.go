package server_test

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hallpass-auth/hallpass/shared/database/databasetest"
	"github.com/hallpass-auth/hallpass/shared/httpserver"
	"github.com/hallpass-auth/hallpass/shared/keyring"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/server"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
)

// registrationServer returns the handler of a server whose initial access token is in a file.
func registrationServer(t *testing.T, file string, log *slog.Logger) (http.Handler, error) {
	t.Helper()
	keys, err := os.ReadFile("../../authtest/keys.json")
	must(t, err)
	ring, err := keyring.Parse(keys)
	must(t, err)
	data, err := store.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "hallpass.db"), databasetest.Pool)
	must(t, err)
	t.Cleanup(func() { _ = data.Close() })
	_, err = data.Migrate(t.Context())
	must(t, err)
	hasher, err := account.NewHasher(4)
	must(t, err)
	background := server.NewBackground(t.Context(), log)
	t.Cleanup(background.Stop)
	settings := server.Settings{
		Issuer: "http://127.0.0.1:9000", Audience: "https://api.example", Demo: server.DemoOff,
		AccessTokenLifetime: 30 * time.Minute, RefreshIdle: time.Hour, RefreshLifetime: time.Hour,
		PasswordWorkers: 1, PasswordQueue: 1, PasswordWait: time.Minute,
		ClientDocuments: []string{"off"}, Registration: "token", RegistrationTokenFile: file,
	}
	return server.Handler(t.Context(), settings, server.Parts{
		Keys: ring, Data: data, Hasher: hasher, Background: background, Log: log,
		Registry: httpserver.NewRegistry("test"),
	})
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// lockedBuffer is a log that the background of the server may write to.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// Write implements io.Writer.
func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

// next returns what was written since the last call.
func (b *lockedBuffer) next() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	defer b.buf.Reset()
	return b.buf.String()
}

// register returns the status of a registration with an initial access token.
func register(handler http.Handler, token string) int {
	const body = `{"redirect_uris":["https://app.example/cb"],"token_endpoint_auth_method":"none"}`
	r := httptest.NewRequest(http.MethodPost, "http://127.0.0.1:9000/register", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+token)
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	return w.Code
}

// A leaked initial access token ends when its file is replaced, without a restart. While the file has no token, nobody
// can register, and the log says so once.
func TestInitialTokenIsReplaced(t *testing.T) {
	t.Parallel()
	leaked, next := strings.Repeat("a", 32), strings.Repeat("b", 32)
	file := filepath.Join(t.TempDir(), "token")
	write := func(text string) { must(t, os.WriteFile(file, []byte(text), 0o600)) }
	write(leaked + "\n")
	var log lockedBuffer
	handler, err := registrationServer(t, file, slog.New(slog.NewTextHandler(&log, nil)))
	must(t, err)

	expect := func(when, token string, want int) {
		t.Helper()
		if got := register(handler, token); got != want {
			t.Errorf("%s, %s: status %d, want %d", when, token, got, want)
		}
	}
	expect("at the start", leaked, http.StatusCreated)
	expect("at the start", next, http.StatusUnauthorized)
	write(next + "\n")
	expect("replaced", leaked, http.StatusUnauthorized)
	expect("replaced", next, http.StatusCreated)

	const broken, mended = "no client can register", "clients can register again"
	for name, change := range map[string]func(){
		"empty": func() { write("\n") }, "short": func() { write("short") }, "two lines": func() { write(leaked + "\n" + next) },
		"gone": func() { must(t, os.Remove(file)) },
	} {
		_ = log.next()
		change()
		for _, token := range []string{leaked, next, "", "short"} {
			expect(name, token, http.StatusUnauthorized)
		}
		if text := log.next(); strings.Count(text, broken) != 1 || strings.Contains(text, leaked) {
			t.Errorf("%s: the log must say once, and without a token, that nobody can register:\n%s", name, text)
		}
		write(next)
		expect("mended after "+name, next, http.StatusCreated)
		expect("mended after "+name, leaked, http.StatusUnauthorized)
		if text := log.next(); strings.Count(text, mended) != 1 || strings.Contains(text, broken) {
			t.Errorf("%s: the log must say once that clients can register again:\n%s", name, text)
		}
	}
}

// A server whose initial access token cannot be used does not start, and the error names the setting.
func TestInitialTokenAtTheStart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, text := range map[string]string{"empty": "", "short": "short", "lines": strings.Repeat("a\n", 32)} {
		file := filepath.Join(dir, name)
		must(t, os.WriteFile(file, []byte(text), 0o600))
		_, err := registrationServer(t, file, slog.New(slog.DiscardHandler))
		if err == nil || !strings.Contains(err.Error(), "HALLPASS_REGISTRATION_TOKEN_FILE") {
			t.Errorf("%s: error %v, want one that names the setting", name, err)
		}
	}
	_, err := registrationServer(t, filepath.Join(dir, "missing"), slog.New(slog.DiscardHandler))
	if err == nil || !strings.Contains(err.Error(), "HALLPASS_REGISTRATION_TOKEN_FILE") {
		t.Errorf("missing: error %v, want one that names the setting", err)
	}
}
