package mcpbearer_test

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/hallpass-auth/hallpass/shared/bearer"
	"github.com/hallpass-auth/hallpass/shared/bearertest"
	"github.com/hallpass-auth/hallpass/shared/dpop"
)

// The metadata of an MCP server, its challenges and its answers agree on tokens that are bound to a key (RFC 9449).
func TestDPoP(t *testing.T) {
	const write = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"write","arguments":{}}}`
	tokens, key := bearertest.New(t), bearertest.NewKey(t)
	for name, tt := range map[string]struct {
		cfg           bearer.Config
		bearer, bound bool     // which tokens are accepted
		schemes       []string // of the challenges
	}{
		"both":         {bearer.Config{}, true, true, []string{"Bearer", "DPoP"}},
		"bearer only":  {bearer.Config{BearerOnly: true}, true, false, []string{"Bearer"}},
		"require DPoP": {bearer.Config{RequireDPoP: true}, false, true, []string{"DPoP"}},
	} {
		tt.cfg.Issuer, tt.cfg.Audience, tt.cfg.Keys = bearertest.IssuerURL, bearertest.Audience, tokens.Ring()
		tt.cfg.AllowMissingStatus, tt.cfg.Log = true, slog.New(slog.DiscardHandler)
		guard, err := bearer.Open(t.Context(), tt.cfg)
		if err != nil {
			t.Fatal(err)
		}
		algorithms, required := metadataOf(t, guard)
		if (len(algorithms) > 0) != tt.bound || required != !tt.bearer {
			t.Errorf("%s: the metadata has the algorithms %q, required %v", name, algorithms, required)
		}
		handler, ran := newToolServer(guard)
		serve := func(r *http.Request) *httptest.ResponseRecorder {
			*ran = false
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, r)
			return w
		}
		var schemes []string
		for _, challenge := range serve(newCall(write)).Header().Values("WWW-Authenticate") {
			scheme, _, _ := strings.Cut(challenge, " ")
			schemes = append(schemes, scheme)
		}
		if !slices.Equal(schemes, tt.schemes) {
			t.Errorf("%s: challenges of %q, want %q", name, schemes, tt.schemes)
		}

		r := newCall(write)
		r.Header.Set("Authorization", "Bearer "+tokens.Token("notes:read", "notes:write"))
		if w := serve(r); *ran != tt.bearer {
			t.Errorf("%s: a bearer token: status %d: %s", name, w.Code, w.Body)
		}
		bound := tokens.BoundToken(key, "notes:read", "notes:write")
		r = newCall(write)
		tokens.Authorize(r, key, bound)
		again, stolen := newCall(write), newCall(write)
		again.Header, stolen.Header = r.Header.Clone(), r.Header.Clone()
		if w := serve(r); *ran != tt.bound {
			t.Errorf("%s: a bound token: status %d: %s", name, w.Code, w.Body)
		}
		if w := serve(again); *ran || w.Code != http.StatusUnauthorized {
			t.Errorf("%s: a bound token with a used proof: status %d: %s", name, w.Code, w.Body)
		}
		stolen.Header.Set("Authorization", "Bearer "+bound)
		if w := serve(stolen); *ran || w.Code != http.StatusUnauthorized {
			t.Errorf("%s: a bound token as a bearer token: status %d: %s", name, w.Code, w.Body)
		}
	}
}

// metadataOf returns what the metadata of a server says about DPoP.
func metadataOf(t *testing.T, guard *bearer.Guard) (algorithms []string, required bool) {
	t.Helper()
	w := httptest.NewRecorder()
	guard.ServeMetadata(func(path string, handler http.Handler) {
		handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	})
	var metadata struct {
		Algorithms []string `json:"dpop_signing_alg_values_supported"`
		Required   bool     `json:"dpop_bound_access_tokens_required"`
	}
	if err := json.Unmarshal(w.Body.Bytes(), &metadata); err != nil {
		t.Fatalf("%v: %s", err, w.Body)
	}
	return metadata.Algorithms, metadata.Required
}

// A tool that needs more than the bound token allows is refused with the scheme of the token. The response to a proof
// without a nonce has one.
func TestDPoPChallenges(t *testing.T) {
	const write = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"write","arguments":{}}}`
	tokens, key := bearertest.New(t), bearertest.NewKey(t)
	handler, ran := newToolServer(tokens.Guard())
	bound := tokens.BoundToken(key, "notes:read")
	w, r := httptest.NewRecorder(), newCall(write)
	tokens.Authorize(r, key, bound)
	handler.ServeHTTP(w, r)
	challenge := w.Header().Get("WWW-Authenticate")
	if w.Code != http.StatusForbidden || !strings.HasPrefix(challenge, "DPoP ") ||
		!strings.Contains(challenge, `scope="notes:write"`) {
		t.Errorf("without the scope: status %d, challenge %s", w.Code, challenge)
	}
	w, r = httptest.NewRecorder(), newCall(write)
	proof, err := key.Proof(r.Method, bearertest.Audience+"/mcp", bound, "")
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "DPoP "+bound)
	r.Header.Set(dpop.Header, proof)
	handler.ServeHTTP(w, r)
	challenge = w.Header().Get("WWW-Authenticate")
	if w.Code != http.StatusUnauthorized || !strings.Contains(challenge, "use_dpop_nonce") ||
		w.Header().Get("DPoP-Nonce") == "" {
		t.Errorf("without a nonce: status %d, challenge %s", w.Code, challenge)
	}
	if *ran {
		t.Error("the tool ran")
	}
}
