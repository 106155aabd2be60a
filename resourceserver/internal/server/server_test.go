package server_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hallpass-auth/hallpass/resourceserver/internal/server"
	"github.com/hallpass-auth/hallpass/shared/httpserver"
	"github.com/hallpass-auth/hallpass/shared/keyring"
	"github.com/hallpass-auth/hallpass/shared/oauth"
	"github.com/hallpass-auth/hallpass/shared/token"
)

const secret = "0123456789abcdef0123456789abcdef"

// settings returns valid settings.
func settings(t *testing.T) server.Settings {
	t.Helper()
	public, admin := freeAddress(t), freeAddress(t)
	for admin == public {
		admin = freeAddress(t)
	}
	return server.Settings{
		HTTP:     httpserver.Settings{Listen: public, AdminListen: admin, StopTimeout: time.Second},
		Keys:     keyring.Settings{TokenSecret: secret},
		Issuer:   "http://127.0.0.1:9000",
		Audience: "http://127.0.0.1:8000",
		Docs:     true,
	}
}

// freeAddress returns a free address.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// The error for a wrong setting names its flag and environment variable, and holds no secret.
func TestWrongSettings(t *testing.T) {
	dir := t.TempDir()
	readable := filepath.Join(dir, "readable.json")
	empty := filepath.Join(dir, "empty.json")
	for path, mode := range map[string]os.FileMode{readable: 0o644, empty: 0o600} {
		if err := os.WriteFile(path, nil, mode); err != nil {
			t.Fatal(err)
		}
	}
	for name, tt := range map[string]struct {
		change func(*server.Settings)
		want   []string
	}{
		"issuer without a scheme":  {func(s *server.Settings) { s.Issuer = "login.example" }, []string{"--issuer", "HALLPASS_ISSUER"}},
		"issuer empty":             {func(s *server.Settings) { s.Issuer = "" }, []string{"--issuer", "HALLPASS_ISSUER"}},
		"issuer with a query":      {func(s *server.Settings) { s.Issuer = "https://login.example?x=1" }, []string{"--issuer", "HALLPASS_ISSUER"}},
		"issuer with a fragment":   {func(s *server.Settings) { s.Issuer = "https://login.example#x" }, []string{"--issuer", "HALLPASS_ISSUER"}},
		"audience of two words":    {func(s *server.Settings) { s.Audience = "a b" }, []string{"--audience", "HALLPASS_AUDIENCE", "absolute URI"}},
		"audience that is no URI":  {func(s *server.Settings) { s.Audience = "hallpass-api" }, []string{"--audience", "HALLPASS_AUDIENCE", "absolute URI"}},
		"audience empty":           {func(s *server.Settings) { s.Audience = "" }, []string{"--audience", "HALLPASS_AUDIENCE"}},
		"audience with a fragment": {func(s *server.Settings) { s.Audience = "https://api.example#x" }, []string{"--audience", "HALLPASS_AUDIENCE"}},
		"audience without a host":  {func(s *server.Settings) { s.Audience = "https:///v1" }, []string{"--audience", "HALLPASS_AUDIENCE"}},
		"audience with a bad byte": {func(s *server.Settings) { s.Audience = "https://api.example/\x7f" }, []string{"--audience", "HALLPASS_AUDIENCE"}},
		"listen without a port":    {func(s *server.Settings) { s.HTTP.Listen = "127.0.0.1" }, []string{"--listen", "HALLPASS_LISTEN"}},
		"origin with a path":       {func(s *server.Settings) { s.HTTP.AllowedOrigins = []string{"https://a.example/x"} }, []string{"--allowed-origins", "HALLPASS_ALLOWED_ORIGINS"}},
		"no key":                   {func(s *server.Settings) { s.Keys = keyring.Settings{} }, []string{"--keys-file", "HALLPASS_TOKEN_SECRET"}},
		"both keys":                {func(s *server.Settings) { s.Keys.KeysFile = "keys.json" }, []string{"--keys-file", "--token-secret"}},
		"keys URL and a secret":    {func(s *server.Settings) { s.KeysURL = "http://login.example/jwks.json" }, []string{"--keys-url", "--keys-file", "--token-secret"}},
		"keys URL and a file": {func(s *server.Settings) {
			s.KeysURL, s.Keys = "http://login.example/jwks.json", keyring.Settings{KeysFile: "public.json"}
		}, []string{"--keys-url", "--keys-file", "--token-secret"}},
		"31-byte secret":         {func(s *server.Settings) { s.Keys.TokenSecret = secret[1:] }, []string{"--token-secret", "HALLPASS_TOKEN_SECRET", "31 bytes"}},
		"lists without a scheme": {func(s *server.Settings) { s.StatusListsURL = "authserver:9000/status-lists" }, []string{"--status-lists-url", "HALLPASS_STATUS_LISTS_URL"}},
		"keys by http": {func(s *server.Settings) {
			s.Keys, s.KeysURL = keyring.Settings{}, "http://authserver:9000/jwks.json"
		}, []string{"--keys-url", "HALLPASS_KEYS_URL", "https://"}},
		"lists with a query":        {func(s *server.Settings) { s.StatusListsURL = "http://authserver/?x=y" }, []string{"--status-lists-url", "HALLPASS_STATUS_LISTS_URL"}},
		"keys file missing":         {func(s *server.Settings) { s.Keys = keyring.Settings{KeysFile: filepath.Join(dir, "none")} }, []string{"--keys-file", "HALLPASS_KEYS_FILE"}},
		"keys file world-readable":  {func(s *server.Settings) { s.Keys = keyring.Settings{KeysFile: readable} }, []string{"--keys-file", "HALLPASS_KEYS_FILE", "chmod"}},
		"keys file without content": {func(s *server.Settings) { s.Keys = keyring.Settings{KeysFile: empty} }, []string{"--keys-file", "HALLPASS_KEYS_FILE"}},
	} {
		s := settings(t)
		tt.change(&s)
		_, err := server.New(t.Context(), s, slog.New(slog.DiscardHandler))
		if err == nil {
			t.Errorf("%s: accepted", name)
			continue
		}
		for _, want := range tt.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %q does not say %q", name, err, want)
			}
		}
		if strings.Contains(err.Error(), secret[1:]) {
			t.Errorf("%s: the secret is in %q", name, err)
		}
	}
}

// A private key in the keys file, which an API does not need, is logged.
func TestPrivateKey(t *testing.T) {
	pair, err := keyring.Generate(keyring.EdDSA, time.Now(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	public, err := keyring.ForAPI(pair, "")
	if err != nil {
		t.Fatal(err)
	}
	shared, err := keyring.Generate(keyring.HS256, time.Now(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	forIDTokens, _, err := keyring.AddIDTokenKey(shared, keyring.RS256, time.Now(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		set  []byte
		want bool
	}{
		"a pair": {pair, true}, "its public half": {public, false}, "a secret": {shared, false},
		"a key for ID tokens": {forIDTokens, true},
	} {
		s := settings(t)
		s.Keys = keyring.Settings{KeysFile: filepath.Join(t.TempDir(), "keys.json")}
		if err := os.WriteFile(s.Keys.KeysFile, tt.set, 0o600); err != nil {
			t.Fatal(err)
		}
		var lines bytes.Buffer
		ctx, cancel := context.WithCancel(t.Context())
		_, err := server.New(ctx, s, slog.New(slog.NewTextHandler(&lines, &slog.HandlerOptions{Level: slog.LevelWarn})))
		cancel()
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if warned := strings.Contains(lines.String(), "authserver key export"); warned != tt.want {
			t.Errorf("%s: warned %v, want %v:\n%s", name, warned, tt.want, lines.String())
		}
	}
}

// The keys file of an authorization server with several APIs is refused, since this API could sign tokens for
// the others. Keys of this API are accepted, and so are those of an authorization server with one API.
func TestKeysOfAnotherAPI(t *testing.T) {
	const other = "https://billing.example"
	first := newKeys(t)
	s := settings(t)
	withOwn, own, err := keyring.Add(first, keyring.HS256, s.Audience, time.Now(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	withOther, _, err := keyring.Add(first, keyring.HS256, other, time.Now(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		set  []byte
		says string // empty if the keys are accepted
	}{
		"one secret for all":        {first, ""},
		"its own":                   {own, ""},
		"its own and the default's": {withOwn, "default API"},
		"another API's":             {withOther, other},
	} {
		s.Keys = keyring.Settings{KeysFile: filepath.Join(t.TempDir(), "keys.json")}
		if err := os.WriteFile(s.Keys.KeysFile, tt.set, 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := server.New(t.Context(), s, slog.New(slog.DiscardHandler))
		if tt.says == "" {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		for _, want := range []string{"--keys-file", "HALLPASS_KEYS_FILE", tt.says, "authserver key export"} {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v does not say %q", name, err, want)
			}
		}
	}
}

// watched is a server whose keys file a test changes, on the clock of synctest.
type watched struct {
	*server.Server
	t   *testing.T
	s   server.Settings
	log *logBuffer
}

// logBuffer is a log that may be written and read at once.
type logBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

func (b *logBuffer) Reset() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.text.Reset()
}

// watch runs test with a server whose keys file has the set at first.
func watch(t *testing.T, set func() []byte, test func(*watched)) {
	s := settings(t)
	s.Keys = keyring.Settings{KeysFile: filepath.Join(t.TempDir(), "keys.json")}
	s.StatusListsURL = "http://" + freeAddress(t)
	synctest.Test(t, func(t *testing.T) {
		w := &watched{t: t, s: s, log: new(logBuffer)}
		w.write(set())
		ctx, cancel := context.WithCancel(t.Context())
		var err error
		log := slog.New(slog.NewTextHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
		if w.Server, err = server.New(ctx, s, log); err != nil {
			t.Fatal(err)
		}
		test(w)
		cancel()
		synctest.Wait()
	})
}

// write changes the keys file, and waits until the server has read it.
func (w *watched) write(set []byte) {
	w.t.Helper()
	if err := os.WriteFile(w.s.Keys.KeysFile, set, 0o600); err != nil {
		w.t.Fatal(err)
	}
	time.Sleep(3 * time.Second)
	synctest.Wait()
}

// reason returns the status of a request with the token, and what was logged about it.
func (w *watched) reason(raw string) (status int, log string) {
	w.log.Reset()
	r := httptest.NewRequest(http.MethodGet, "/users/me", nil)
	r.Header.Set("Authorization", "Bearer "+raw)
	rec := httptest.NewRecorder()
	w.Handler.ServeHTTP(rec, r)
	return rec.Code, w.log.String()
}

// metric returns the value of a metric without labels.
func (w *watched) metric(name string) float64 {
	w.t.Helper()
	families, err := w.Registry.Gather()
	if err != nil {
		w.t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			return f.GetMetric()[0].GetGauge().GetValue() + f.GetMetric()[0].GetCounter().GetValue()
		}
	}
	w.t.Fatalf("there is no metric %s", name)
	return 0
}

// newKeys returns a set of one shared secret.
func newKeys(t *testing.T) []byte {
	t.Helper()
	set, err := keyring.Generate(keyring.HS256, time.Now(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// A running server does not use a keys file that its next start would refuse: it keeps its keys. The
// walk of "Several APIs": an API is added, then the keys are rotated, and the running server still reads the
// authorization server's file. It logs each failed try and shows it in metrics, and before the new key
// signs, it is not ready. A token of the new key is not invalid: it gets a 503.
func TestKeysOfAnotherAPIInAChangedFile(t *testing.T) {
	const other = "https://billing.example"
	var first []byte
	watch(t, func() []byte { first = newKeys(t); return first }, func(w *watched) {
		if w.metric("hallpass_keys_readable") != 1 || w.metric("hallpass_keys_read_failures_total") != 0 {
			t.Error("unreadable at first")
		}
		both, _, err := keyring.Add(first, keyring.HS256, other, time.Now(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		w.write(both)
		time.Sleep(time.Hour)
		if log := w.log.String(); strings.Count(log, "level=ERROR") < 300 || !strings.Contains(log, other) ||
			!strings.Contains(log, "authserver key export") {
			t.Errorf("log:\n%.2000s", log)
		}
		if err := w.Ready(t.Context()); err != nil || w.metric("hallpass_keys_readable") != 0 ||
			w.metric("hallpass_keys_read_failures_total") < 300 || w.metric("hallpass_keys_end_timestamp_seconds") != 0 {
			t.Errorf("after the API was added: %v", err)
		}

		signs := time.Now().Add(5 * time.Minute)
		next, err := keyring.NewSuccessor(keyring.HS256, "", signs, signs.Add(time.Hour), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		rotated, err := keyring.Rotate(both, next, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		w.write(rotated)
		end := w.metric("hallpass_keys_end_timestamp_seconds")
		if err := w.Ready(t.Context()); err != nil || end != float64(signs.Unix()) {
			t.Errorf("after the rotation: %v, end %v", err, end)
		}
		time.Sleep(4*time.Minute + 30*time.Second)
		if err := w.Ready(t.Context()); err == nil || !strings.Contains(err.Error(), other) {
			t.Errorf("before the new key signs: %v", err)
		}
		time.Sleep(time.Minute)
		old, late := sign(t, first, w.s, withStatus("0", 1)), sign(t, rotated, w.s, withStatus("0", 1))
		if status, log := w.reason(old); status != 503 || !strings.Contains(log, "status list") {
			t.Errorf("a token of the current key: status %d, log %s", status, log)
		}
		if status, log := w.reason(late); status != 503 || !strings.Contains(log, "no key that is known here yet") {
			t.Errorf("a token of the new key: status %d, log %s", status, log)
		}

		own, err := keyring.ForAPI(rotated, "")
		if err != nil {
			t.Fatal(err)
		}
		w.write(own)
		if err := w.Ready(t.Context()); err != nil || w.metric("hallpass_keys_readable") != 1 {
			t.Errorf("with a file of its own: %v", err)
		}
		if status, log := w.reason(late); status != 503 || !strings.Contains(log, "status list") {
			t.Errorf("a token of the new key, with a file of its own: status %d, log %s", status, log)
		}
	})
}

func TestAudiences(t *testing.T) {
	for _, audience := range []string{"urn:example:api", "https://api.example/v1", "https://api.example/v1?tenant=1"} {
		s := settings(t)
		s.Audience = audience
		if _, err := server.New(t.Context(), s, slog.New(slog.DiscardHandler)); err != nil {
			t.Errorf("%s: %v", audience, err)
		}
	}
}

// Responses have Strict-Transport-Security if clients call the API by https, which its identifier need not say.
func TestStrictTransportSecurity(t *testing.T) {
	for _, tt := range []struct {
		audience, publicURL string
		want                bool
	}{
		{"urn:example:api", "https://api.example", true},
		{"http://127.0.0.1:8000", "https://api.example/v1", true},
		{"https://api.example", "", true},
		{"https://api.example", "http://127.0.0.1:8000", false},
		{"http://127.0.0.1:8000", "", false},
		{"urn:example:api", "", false},
	} {
		s := settings(t)
		s.Audience, s.PublicURL = tt.audience, tt.publicURL
		_, stop := run(t, s)
		got := get(t, "http://"+s.HTTP.Listen+"/", "").Header.Get("Strict-Transport-Security")
		if (got != "") != tt.want {
			t.Errorf("audience %s, public URL %q: Strict-Transport-Security %q", tt.audience, tt.publicURL, got)
		}
		stop()
	}
}

// The settings of the API are passed to it.
func TestSettingsOfTheAPI(t *testing.T) {
	for _, docs := range []bool{true, false} {
		s := settings(t)
		s.Docs, s.HTTP.AllowedOrigins = docs, []string{"https://app.example"}
		srv, err := server.New(t.Context(), s, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequest(http.MethodGet, "/docs", nil)
		r.Header.Set("Origin", "https://app.example")
		w := httptest.NewRecorder()
		srv.Handler.ServeHTTP(w, r)
		if (w.Code == http.StatusOK) != docs {
			t.Errorf("docs %v: status %d", docs, w.Code)
		}
		if got := w.Header().Get("Access-Control-Allow-Origin"); got != "https://app.example" {
			t.Errorf("Access-Control-Allow-Origin %q", got)
		}
		if policy := w.Header().Get("Content-Security-Policy"); docs &&
			!strings.Contains(policy, "connect-src 'self' "+s.Issuer+";") {
			t.Errorf("Content-Security-Policy %q", policy)
		}
		if err := srv.Ready(t.Context()); err != nil {
			t.Errorf("not ready: %v", err)
		}
	}
}

// A server with a keys file accepts a token signed with it. The metrics count by route, not by path, and
// the log holds neither token nor query.
func TestServe(t *testing.T) {
	s := settings(t)
	keys, err := keyring.Generate(keyring.HS256, time.Now(), bytes.NewReader([]byte(secret)))
	if err != nil {
		t.Fatal(err)
	}
	s.Keys = keyring.Settings{KeysFile: filepath.Join(t.TempDir(), "keys.json")}
	if err := os.WriteFile(s.Keys.KeysFile, keys, 0o600); err != nil {
		t.Fatal(err)
	}
	publish(t, keys, &s)
	raw := sign(t, keys, s, withStatus("0", 1))

	log, stop := run(t, s)
	for target, want := range map[string]int{"/users/me": 200, "/items/7?x=hidden": 200, "/nowhere": 404} {
		if got := get(t, "http://"+s.HTTP.Listen+target, raw); got.StatusCode != want {
			t.Errorf("%s: status %d", target, got.StatusCode)
		}
	}
	metrics := body(t, get(t, "http://"+s.HTTP.AdminListen+"/metrics", ""))
	for _, route := range []string{"/users/me", "/items/{item_id}", "unmatched"} {
		if !strings.Contains(metrics, fmt.Sprintf(`http_request_duration_seconds_count{method="GET",route="%s",`, route)) {
			t.Errorf("no metrics of the route %s", route)
		}
	}
	stop()
	lines := log()
	if !strings.Contains(lines, "/items/7") || strings.Contains(lines, "hidden") || strings.Contains(lines, raw) {
		t.Errorf("log:\n%s", lines)
	}
}

// sign returns a token that a server with the keys and settings accepts, unless changes prevent it.
func sign(t *testing.T, keys []byte, s server.Settings, changes ...func(*token.Claims)) string {
	t.Helper()
	ring, err := keyring.Parse(keys)
	if err != nil {
		t.Fatal(err)
	}
	claims := &token.Claims{
		Issuer: s.Issuer, Subject: "usr_1", Audience: []string{s.Audience}, ClientID: "c", ID: "j",
		IssuedAt: time.Now(), ExpiresAt: time.Now().Add(time.Hour),
		Scope: oauth.Scope{"profile", "items:read"}, Username: "john.doe",
	}
	for _, change := range changes {
		change(claims)
	}
	raw, err := (&token.Signer{Keys: ring}).Sign(claims)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// run starts the server and waits until it is ready. The returned functions return its log and stop it; it
// must stop without an error.
func run(t *testing.T, s server.Settings) (log func() string, stop func()) {
	t.Helper()
	var lines bytes.Buffer
	logger := httpserver.NewLogger(&lines, s.HTTP)
	ctx, cancel := context.WithCancelCause(t.Context())
	srv, err := server.New(ctx, s, logger)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- srv.Run(ctx) }()
	deadline := time.Now().Add(5 * time.Minute)
	for ; httpserver.CheckReady(t.Context(), s.HTTP.AdminListen) != nil; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the server is not ready after 5 minutes")
		}
	}
	return lines.String, func() {
		cancel(httpserver.ErrStopNow)
		if err := <-ended; err != nil {
			t.Errorf("stopping: %v", err)
		}
	}
}

func get(t *testing.T, url, token string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = resp.Body.Close() })
	return resp
}

func body(t *testing.T, resp *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
