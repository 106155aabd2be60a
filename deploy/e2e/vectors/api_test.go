package vectors_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-auth/hallpass/shared/bearer"
)

// timeout bounds every wait of a test. It is long, for a machine that is busy with other things.
const timeout = time.Minute

// reasons has what the log of shared/bearer says for each reason. It logs nothing for a request that has no
// usable credentials, and for a missing scope.
var reasons = map[string]*regexp.Regexp{
	"no_token":           nil,
	"two_tokens":         nil,
	"insufficient_scope": nil,
	"not_a_user":         nil,
	"insufficient_login": nil,

	"too_long":              regexp.MustCompile(`it is longer than`),
	"malformed":             regexp.MustCompile(`it is not three parts`),
	"bad_header":            regexp.MustCompile(`the header: `),
	"wrong_type":            regexp.MustCompile(`typ is not`),
	"critical_header":       regexp.MustCompile(`crit names`),
	"unsupported_algorithm": regexp.MustCompile(`alg is not supported`),
	"unknown_key":           regexp.MustCompile(`kid names no key that verifies now`),
	"wrong_algorithm":       regexp.MustCompile(`alg is not the algorithm of the key`),
	"bad_signature":         regexp.MustCompile(`the signature is invalid`),
	"bad_claims":            regexp.MustCompile(`its claims: |scope has a character|scope is longer|is not a time|has no idx|act has no sub`),
	"missing_claim":         regexp.MustCompile(`the claim \w+ is missing`),
	"wrong_issuer":          regexp.MustCompile(`invalid issuer`),
	"wrong_audience":        regexp.MustCompile(`invalid audience`),
	"expired":               regexp.MustCompile(`expired`),
	"not_yet_valid":         regexp.MustCompile(`not valid yet`),
	"issued_in_future":      regexp.MustCompile(`its iat is more than`),
	"key_of_another_api":    regexp.MustCompile(`its key is for another API`),
	"no_status":             regexp.MustCompile(`refers to no status list`),
	"foreign_list":          regexp.MustCompile(`not one of the issuer's`),
	"no_such_index":         regexp.MustCompile(`has no such index`),
	"revoked":               regexp.MustCompile(`it has been revoked`),
	"list_unavailable":      regexp.MustCompile(`has not been fetched yet`),
}

// reasonLog is a slog.Handler that keeps the last value of the attribute reason, and of error.
type reasonLog struct {
	mu            sync.Mutex
	reason, error string
}

func (*reasonLog) Enabled(context.Context, slog.Level) bool { return true }
func (l *reasonLog) WithAttrs([]slog.Attr) slog.Handler     { return l }
func (l *reasonLog) WithGroup(string) slog.Handler          { return l }

func (l *reasonLog) Handle(_ context.Context, record slog.Record) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	record.Attrs(func(a slog.Attr) bool {
		switch a.Key {
		case "reason":
			l.reason = a.Value.String()
		case "error":
			l.error = a.Value.String()
		}
		return true
	})
	return nil
}

// last returns the last reason and the last error.
func (l *reasonLog) last() (reason, err string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.reason, l.error
}

// serveIssuer returns the URL of an authorization server that publishes the keys and the list.
func serveIssuer(t *testing.T, keys string, list *string) string {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("/jwks.json", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, keys) })
	mux.HandleFunc("/status-lists/", func(w http.ResponseWriter, r *http.Request) {
		if list == nil {
			http.NotFound(w, r)
			return
		}
		_, _ = io.WriteString(w, *list)
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.URL
}

// configure sets the source of keys. Published keys are at the URL of the authorization server.
func (s source) configure(t *testing.T, cfg *bearer.Config, at string) {
	t.Helper()
	switch s.Kind {
	case "url":
		cfg.KeysURL = at + "/jwks.json"
	case "file":
		cfg.KeysFile = filepath.Join(t.TempDir(), "keys.json")
		if err := os.WriteFile(cfg.KeysFile, s.Set, 0o600); err != nil {
			t.Fatal(err)
		}
	case "secret":
		cfg.TokenSecret = s.Secret
	}
}

// api is an API that shared/bearer protects, for one case.
type api struct {
	testCase
	handler  http.Handler
	metadata metadata
	log      *reasonLog
}

// newAPI returns the API of the case c. It is ready.
func newAPI(t *testing.T, v *vectors, c *testCase) *api {
	t.Helper()
	list, ok := v.Lists[c.List]
	keys, ok2 := v.Keys[c.Keys]
	if !ok || !ok2 {
		t.Fatalf("the case names no keys or no list: %q, %q", c.Keys, c.List)
	}
	at := serveIssuer(t, string(keys.Set), list)
	a := &api{testCase: *c, log: &reasonLog{}}
	cfg := bearer.Config{
		Issuer: issuer, Audience: audience, StatusListsURL: at + "/status-lists", ScopeIncludes: c.ScopeIncludes,
		Log: slog.New(a.log), Now: func() time.Time { return time.Unix(c.Now, 0) },
		BearerOnly: true, // as the kits
	}
	keys.configure(t, &cfg, at)
	guard, err := bearer.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the keys", func() bool { return guard.Ready() == nil })
	require := guard.Require
	switch {
	case c.Login != nil:
		needed := bearer.UserLogin{ACRValues: c.Login.ACRValues, MaxAge: time.Duration(c.Login.MaxAge) * time.Second}
		require = func(scopes ...string) func(http.Handler) http.Handler { return guard.RequireLogin(needed, scopes...) }
	case c.User:
		require = guard.RequireUser
	}
	a.handler = require(c.Scopes...)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		claims, _ := bearer.FromContext(r.Context())
		_ = json.NewEncoder(w).Encode(newClaims(claims))
	}))
	a.metadata = serveMetadata(guard, v.Metadata.Scopes)
	return a
}

// serveMetadata makes the guard publish its metadata, and returns it.
func serveMetadata(guard *bearer.Guard, scopes []string) metadata {
	m := metadata{Scopes: scopes}
	guard.ServeMetadata(func(path string, handler http.Handler) {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		m.Path, m.Body = path, w.Body.String()
	}, scopes...)
	return m
}

// call sends the request of the case and checks the status, the reason and the claims. It returns what the file has
// for the response.
func (a *api) call(t *testing.T) want {
	t.Helper()
	var w *httptest.ResponseRecorder
	waitFor(t, "the keys to be fetched once more, for the unknown kid", func() bool {
		w = httptest.NewRecorder()
		r := httptest.NewRequest(http.MethodGet, "/?"+a.Query, nil)
		r.Header["Authorization"] = a.Authorization
		a.handler.ServeHTTP(w, r)
		return w.Code != http.StatusServiceUnavailable || a.Want.Status == w.Code
	})
	got := a.Want
	logged, _ := a.log.last()
	if w.Code != a.Want.Status {
		t.Fatalf("status %d, want %d: %s", w.Code, a.Want.Status, logged)
	}
	if w.Code == http.StatusOK {
		got.Claims = new(claims)
		if err := json.Unmarshal(w.Body.Bytes(), got.Claims); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(a.Want.Claims, got.Claims); diff != "" {
			t.Errorf("claims (-want +got):\n%s", diff)
		}
		return got
	}
	pattern, ok := reasons[a.Want.Reason]
	if !ok || pattern == nil && logged != "" || pattern != nil && !pattern.MatchString(logged) {
		t.Errorf("the log says %q, want %s", logged, a.Want.Reason)
	}
	got.Body = w.Body.String()
	got.Challenge = w.Header().Get("WWW-Authenticate")
	got.RetryAfter = w.Header().Get("Retry-After")
	return got
}

// useSet returns why an API cannot use the set of keys.
func useSet(t *testing.T, set keySet) error {
	t.Helper()
	log := &reasonLog{}
	cfg := bearer.Config{
		Issuer: issuer, Audience: audience, Log: slog.New(log), Now: func() time.Time { return time.Unix(now, 0) },
	}
	source{Kind: set.Kind, Set: json.RawMessage(set.Set)}.configure(t, &cfg, serveIssuer(t, set.Set, nil))
	guard, err := bearer.Open(t.Context(), cfg)
	if err != nil {
		return err
	}
	failed := ""
	waitFor(t, "the keys", func() bool {
		_, failed = log.last()
		return failed != "" || guard.Ready() == nil
	})
	if failed != "" {
		return errors.New(failed)
	}
	return nil
}

// waitFor polls a condition until it is true.
func waitFor(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(timeout); !done(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("after %v still waiting for %s", timeout, what)
		}
	}
}
