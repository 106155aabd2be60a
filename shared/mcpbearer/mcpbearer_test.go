package mcpbearer_test

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/auth"

	"github.com/hallpass-auth/hallpass/shared/bearer"
	"github.com/hallpass-auth/hallpass/shared/bearertest"
	"github.com/hallpass-auth/hallpass/shared/mcpbearer"
)

// Requests with valid tokens are let through, and the SDK has what the tokens say. The challenge of other requests
// names the metadata and the scope.
func TestRequire(t *testing.T) {
	tokens := bearertest.New(t)
	guard, err := bearer.Open(t.Context(), bearer.Config{
		Issuer: bearertest.IssuerURL, Audience: bearertest.Audience, Keys: tokens.Ring(), AllowMissingStatus: true,
		ScopeIncludes: map[string][]string{"notes:write": {"notes:read"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	guard.ServeMetadata(func(string, http.Handler) {})
	protect := mcpbearer.Require(guard, "notes:read")
	handler := protect(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		info := auth.TokenInfoFromContext(r.Context())
		claims, ok := mcpbearer.Claims(info)
		if !ok || claims.Username != bearertest.Username || info.UserID != claims.Subject {
			t.Errorf("info %+v", info)
		}
		w.WriteHeader(http.StatusNoContent)
	}))
	for name, tt := range map[string]struct {
		authorization string
		status        int
	}{
		"valid":         {"Bearer " + tokens.Token("notes:read"), 204},
		"included":      {"Bearer " + tokens.Token("notes:write"), 204},
		"other scope":   {"Bearer " + tokens.Token("other"), 403},
		"forged":        {"Bearer " + bearertest.New(t).Token("notes:read"), 401},
		"not a token":   {"Bearer x", 401},
		"other scheme":  {"Basic x", 401},
		"nothing":       {"", 401},
		"two in one":    {"Bearer " + tokens.Token("notes:read") + " x", 401},
		"comma at last": {"Bearer " + tokens.Token("notes:read") + ",", 401},
	} {
		r := httptest.NewRequest(http.MethodPost, "/mcp", nil)
		r.Header.Set("Authorization", tt.authorization)
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		if w.Code != tt.status {
			t.Errorf("%s: status %d, want %d: %s", name, w.Code, tt.status, w.Body)
		}
		challenge := w.Header().Get("WWW-Authenticate")
		named := strings.Contains(challenge, `resource_metadata="`+bearer.MetadataURL(bearertest.Audience)+`"`) &&
			strings.Contains(challenge, `scope="notes:read"`)
		if named != (tt.status != 204) {
			t.Errorf("%s: challenge %s", name, challenge)
		}
	}
	if _, ok := mcpbearer.Claims(nil); ok {
		t.Error("claims without a token")
	}
}

// The guard alone decides whether a token has expired, and that a token that cannot be checked now gets 503.
func TestRequireAsTheGuardDoes(t *testing.T) {
	tokens := bearertest.New(t)
	claims := tokens.Claims()
	claims.ExpiresAt = time.Now().Add(-time.Hour)
	before := func() time.Time { return time.Now().Add(-2 * time.Hour) }
	claims.IssuedAt = before()
	for name, tt := range map[string]struct {
		change func(*bearer.Config)
		status int
	}{
		"expired":                         {func(*bearer.Config) {}, 401},
		"valid by the guard's clock":      {func(c *bearer.Config) { c.Now = before }, 204},
		"keys that have not been fetched": {func(c *bearer.Config) { c.Keys, c.KeysURL = nil, "http://127.0.0.1:1/" }, 503},
	} {
		cfg := bearer.Config{
			Issuer: bearertest.IssuerURL, Audience: bearertest.Audience, Keys: tokens.Ring(), AllowMissingStatus: true,
			Log: slog.New(slog.DiscardHandler),
		}
		tt.change(&cfg)
		guard, err := bearer.Open(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		r, w := httptest.NewRequest(http.MethodPost, "/mcp", nil), httptest.NewRecorder()
		r.Header.Set("Authorization", "Bearer "+tokens.Sign(claims))
		mcpbearer.Require(guard)(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusNoContent)
		})).ServeHTTP(w, r)
		if w.Code != tt.status {
			t.Errorf("%s: status %d, want %d: %s", name, w.Code, tt.status, w.Body)
		}
	}
}

// A call of a tool without its scopes is refused with all of them in the challenge. A body that could be read
// as two different calls gets 400. Every other body reaches the handler unchanged.
func TestRequireForTools(t *testing.T) {
	tokens := bearertest.New(t)
	guard, err := bearer.Open(t.Context(), bearer.Config{
		Issuer: bearertest.IssuerURL, Audience: bearertest.Audience, Keys: tokens.Ring(), AllowMissingStatus: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	guard.ServeMetadata(func(string, http.Handler) {})
	got := ""
	handler := mcpbearer.RequireForTools(guard, map[string][]string{"write": {"notes:read", "notes:write"}})(
		http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(r.Body)
			if err != nil {
				t.Error(err)
			}
			got = string(body)
		}))
	const write = `{"method":"tools/call","params":{"name":"write"}}`
	for name, tt := range map[string]struct {
		body, scope string
		status      int
	}{
		"both scopes":                 {write, "notes:read notes:write", 200},
		"one scope":                   {write, "notes:read", 403},
		"other tool":                  {`{"method":"tools/call","params":{"name":"read"}}`, "notes:read", 200},
		"other method":                {`{"method":"tools/list","params":{"name":"write"}}`, "notes:read", 200},
		"params an array":             {`{"method":"tools/call","params":["write"]}`, "notes:read", 400},
		"name a number":               {`{"method":"tools/call","params":{"name":1}}`, "notes:read", 400},
		"not JSON":                    {`{`, "notes:read", 400},
		"another name, in upper case": {`{"method":"tools/call","params":{"name":"write","Name":"read"}}`, "notes:read", 403},
		"two names":                   {`{"method":"tools/call","params":{"name":"write","name":"read"}}`, "notes:read", 400},
		"two calls":                   {write + write, "notes:read", 400},
		"batch":                       {"[" + write + "]", "notes:read", 403},
		"batch of no tool":            {`[{"method":"ping"}]`, "notes:read", 200},
		"nothing":                     {``, "notes:read", 200},
		"longer than 4 MiB":           {`"` + strings.Repeat("x", 4<<20) + `"`, "notes:read", 413},
		"4 MiB":                       {`"` + strings.Repeat("x", 4<<20-2) + `"`, "notes:read", 400}, // no call
	} {
		got = ""
		r := httptest.NewRequest(http.MethodPost, "/mcp", strings.NewReader(tt.body))
		r.Header.Set("Authorization", "Bearer "+tokens.Token(tt.scope))
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		if w.Code != tt.status || (w.Code == http.StatusOK && got != tt.body) {
			t.Errorf("%s: status %d, want %d; the handler got %q", name, w.Code, tt.status, got)
		}
		challenge := w.Header().Get("WWW-Authenticate")
		if named := strings.Contains(challenge, `error="insufficient_scope"`) &&
			strings.Contains(challenge, `scope="notes:read notes:write"`) &&
			strings.Contains(challenge, bearer.MetadataURL(bearertest.Audience)); named != (w.Code == http.StatusForbidden) {
			t.Errorf("%s: challenge %s", name, challenge)
		}
	}
}

// RFC 9470: a call of a tool whose user must log in again is refused with what to ask for. Other tools work.
func TestRequireLoginForTools(t *testing.T) {
	tokens := bearertest.New(t)
	guard := tokens.Guard()
	guard.ServeMetadata(func(string, http.Handler) {})
	login := bearer.UserLogin{ACRValues: []string{"2"}, MaxAge: 5 * time.Minute}
	tools := map[string][]string{"write": {"notes:write"}, "burn": nil}
	handler := mcpbearer.RequireLoginForTools(guard, login, tools)(http.HandlerFunc(
		func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))
	const burn = `{"method":"tools/call","params":{"name":"burn"}}`
	write := strings.Replace(burn, "burn", "write", 1)
	const stepUp = `error="insufficient_user_authentication"`
	for name, tt := range map[string]struct {
		body, acr, scope string
		age              time.Duration
		status           int
		challenge        string
	}{
		"two factors":           {burn, "2", "notes:read", 0, 204, ""},
		"one factor":            {burn, "1", "notes:read", 0, 401, stepUp},
		"an hour ago":           {burn, "2", "notes:read", time.Hour, 401, stepUp},
		"with a scope":          {write, "1", "notes:write", 0, 401, `scope="notes:write"`},
		"without the scope":     {write, "2", "notes:read", 0, 403, "insufficient_scope"},
		"another tool":          {strings.Replace(burn, "burn", "read", 1), "1", "notes:read", time.Hour, 204, ""},
		"batch":                 {`[{"method":"ping"},` + burn + `]`, "1", "notes:read", 0, 401, stepUp},
		"two names of the tool": {strings.Replace(burn, `"burn"`, `"burn","name":"x"`, 1), "2", "notes:read", 0, 400, ""},
	} {
		claims := tokens.Claims(strings.Fields(tt.scope)...)
		claims.ACR, claims.AuthTime = tt.acr, time.Now().Add(-tt.age)
		r := httptest.NewRequest(http.MethodPost, "/mcp", strings.NewReader(tt.body))
		r.Header.Set("Authorization", "Bearer "+tokens.Sign(claims))
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		challenge := w.Header().Get("WWW-Authenticate")
		asked := strings.Contains(challenge, `acr_values="2", max_age="300"`)
		if w.Code != tt.status || !strings.Contains(challenge, tt.challenge) || asked != (tt.status == 401) {
			t.Errorf("%s: %d %s, want %d %s", name, w.Code, challenge, tt.status, tt.challenge)
		}
	}
}
