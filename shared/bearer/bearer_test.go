package bearer_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-auth/hallpass/shared/bearer"
	"github.com/hallpass-auth/hallpass/shared/bearertest"
	"github.com/hallpass-auth/hallpass/shared/oauth"
	"github.com/hallpass-auth/hallpass/shared/problem"
	"github.com/hallpass-auth/hallpass/shared/token"
)

// The complete challenges (RFC 6750 section 3, RFC 9728 section 5.1).
const (
	realm    = `realm="https://api.example"`
	metadata = `resource_metadata="https://api.example/.well-known/oauth-protected-resource"`

	challengeNone  = `Bearer ` + realm + `, scope="items:read items:write", ` + metadata
	challengeToken = `Bearer ` + realm + `, error="invalid_token", ` +
		`error_description="Could not validate credentials", scope="items:read items:write", ` + metadata
	challengeTwo = `Bearer ` + realm + `, error="invalid_request", ` +
		`error_description="The access token must be sent once, in one Authorization header", ` + metadata
	challengeNoScope = `Bearer ` + realm + `, error="insufficient_scope", ` +
		`error_description="The access token lacks a scope that this needs", ` +
		`scope="items:read items:write", ` + metadata
)

// revocations does not know whether any token is revoked.
type revocations struct{}

func (revocations) Revoked(context.Context, *token.Claims) (bool, error) {
	return false, errors.New("the list is too old")
}

// api returns a server with one protected handler for every path, which writes the name of the caller.
// It requires the scopes items:read and items:write.
func api(t *testing.T, guard *bearer.Guard) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(guard.Require("items:read", "items:write")(http.HandlerFunc(
		func(w http.ResponseWriter, r *http.Request) {
			claims, ok := bearer.FromContext(r.Context())
			if !ok {
				t.Error("the context has no claims")
				return
			}
			_, _ = io.WriteString(w, "hello "+claims.Username)
		})))
	t.Cleanup(server.Close)
	return server
}

// call sends a request with the Authorization headers.
func call(t *testing.T, target string, authorization ...string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, target, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header["Authorization"] = authorization
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(body)
}

// newLog returns a logger of every level, and what it has written.
func newLog() (*slog.Logger, *lines) {
	l := new(lines)
	return slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug})), l
}

// open returns a guard that accepts the issuer's tokens and logs to log.
func open(t testing.TB, issuer *bearertest.Issuer, log *slog.Logger) *bearer.Guard {
	t.Helper()
	guard, err := bearer.Open(t.Context(), bearer.Config{
		Issuer:   bearertest.IssuerURL,
		Audience: bearertest.Audience,
		Keys:     issuer.Ring(),
		Log:      log,

		AllowMissingStatus: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	return guard
}

type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// Every kind of request and its response (RFC 6750 sections 2 and 3.1, RFC 9728 section 5.1).
func TestRequire(t *testing.T) {
	logger, log := newLog()
	issuer := bearertest.New(t)
	guard := open(t, issuer, logger)
	guard.ServeMetadata(http.NewServeMux().Handle)
	server := api(t, guard)
	good := issuer.Token("items:write", "items:read")
	narrow := issuer.Token("items:read")
	forged := bearertest.New(t).Token("items:read", "items:write")
	tests := []struct {
		name          string
		query         string
		authorization []string
		status        int
		challenge     string
		detail        string
	}{
		{"valid token", "", []string{"Bearer " + good}, 200, "", ""},
		{"scheme in lower case", "", []string{"bearer " + good}, 200, "", ""},
		{"scheme in upper case", "", []string{"BEARER " + good}, 200, "", ""},
		{"scheme in mixed case", "", []string{"bEaReR " + good}, 200, "", ""},
		{"several spaces (RFC 9110 section 11.4)", "", []string{"Bearer   " + good}, 200, "", ""},
		{"query without a token", "?page=2", []string{"Bearer " + good}, 200, "", ""},

		{"no header", "", nil, 401, challengeNone, "Not authenticated"},
		{"empty header", "", []string{""}, 401, challengeNone, "Not authenticated"},
		{"other scheme", "", []string{"Basic am9obi5kb2U6cHc="}, 401, challengeNone, "Not authenticated"},
		{"scheme with the prefix Bearer", "", []string{"BearerX " + good}, 401, challengeNone, "Not authenticated"},
		{"token without a scheme", "", []string{good}, 401, challengeNone, "Not authenticated"},
		{"token in the query only", "?access_token=" + good, nil, 401, challengeNone, "Not authenticated"},
		{"token in the query, other scheme", "?access_token=" + good, []string{"Basic eA=="}, 401, challengeNone, "Not authenticated"},

		{"Bearer without a token", "", []string{"Bearer"}, 401, challengeToken, "Could not validate credentials"},
		{"Bearer with an empty token", "", []string{"Bearer "}, 401, challengeToken, "Could not validate credentials"},
		{"not a token", "", []string{"Bearer hunter2"}, 401, challengeToken, "Could not validate credentials"},
		{"forged", "", []string{"Bearer " + forged}, 401, challengeToken, "Could not validate credentials"},
		{"two tokens in one header", "", []string{"Bearer " + good + ", Bearer " + good}, 401, challengeToken, "Could not validate credentials"},
		{"parameter after the token", "", []string{"Bearer " + good + " x"}, 401, challengeToken, "Could not validate credentials"},
		{"insufficient scope", "", []string{"Bearer " + narrow}, 403, challengeNoScope, "The access token lacks a scope that this needs"},

		{"token in query and header", "?access_token=" + good, []string{"Bearer " + good}, 400, challengeTwo, "The access token must be sent once, in one Authorization header"},
		{"empty token in the query", "?access_token=", []string{"Bearer " + good}, 400, challengeTwo, "The access token must be sent once, in one Authorization header"},
		{"token in the query, escaped name", "?a=1&acces%73_token=x", []string{"Bearer " + good}, 400, challengeTwo, "The access token must be sent once, in one Authorization header"},
		{"two headers", "", []string{"Bearer " + good, "Bearer " + good}, 400, challengeTwo, "The access token must be sent once, in one Authorization header"},
		{"two headers, two schemes", "", []string{"Basic eA==", "Bearer " + good}, 400, challengeTwo, "The access token must be sent once, in one Authorization header"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			resp, body := call(t, server.URL+"/items"+tt.query, tt.authorization...)
			if tt.status == http.StatusOK {
				if resp.StatusCode != 200 || body != "hello john.doe" || resp.Header.Get("WWW-Authenticate") != "" {
					t.Fatalf("status %d, body %q, challenge %q", resp.StatusCode, body, resp.Header.Get("WWW-Authenticate"))
				}
				return
			}
			want := []string{tt.challenge}
			if tt.challenge == challengeNone { // the client may use DPoP
				want = append(want, "DPoP "+algs)
			}
			if diff := cmp.Diff(want, resp.Header.Values("WWW-Authenticate")); diff != "" {
				t.Errorf("challenge (-want +got):\n%s", diff)
			}
			isProblem(t, resp, body, tt.status, tt.detail)
		})
	}
	for _, secret := range []string{good, narrow, forged, "hunter2", strings.Split(good, ".")[1]} {
		if strings.Contains(log.String(), secret) {
			t.Errorf("a token is in the log: %s", log)
		}
	}
	if !strings.Contains(log.String(), "access token refused") {
		t.Error("the reason of a refusal is not logged")
	}
}

// isProblem checks a refusal.
func isProblem(t *testing.T, resp *http.Response, body string, status int, detail string) {
	t.Helper()
	if resp.StatusCode != status {
		t.Errorf("status %d, want %d", resp.StatusCode, status)
	}
	for name, want := range map[string]string{"Content-Type": "application/problem+json", "Cache-Control": "no-store"} {
		if got := resp.Header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	var got problem.Document
	if err := json.Unmarshal([]byte(body), &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(problem.New(status, detail), got); diff != "" {
		t.Errorf("body (-want +got):\n%s", diff)
	}
}

// A token that cannot be checked now gets a 503 without a challenge, which would make the client discard
// its token.
func TestRequireWhenRevocationIsUnknown(t *testing.T) {
	logger, log := newLog()
	issuer := bearertest.New(t)
	v, err := token.NewVerifier(token.VerifierConfig{
		Keys: issuer.Ring(), Issuer: bearertest.IssuerURL, Audience: bearertest.Audience, Revocations: revocations{},
	})
	if err != nil {
		t.Fatal(err)
	}
	resp, body := call(t, api(t, bearer.New(v, logger)).URL, "Bearer "+issuer.Token("items:read", "items:write"))
	isProblem(t, resp, body, http.StatusServiceUnavailable, "The access token cannot be checked right now")
	if got := resp.Header.Get("Retry-After"); got != "1" {
		t.Errorf("Retry-After: %q", got)
	}
	if got := resp.Header.Values("WWW-Authenticate"); got != nil {
		t.Errorf("challenge %q", got)
	}
	if strings.Contains(body, "the list is too old") || !strings.Contains(log.String(), "the list is too old") {
		t.Errorf("the reason belongs in the log (%s) and not in the response (%s)", log, body)
	}
}

// Without scopes, every valid token is accepted.
func TestRequireNoScopes(t *testing.T) {
	issuer := bearertest.New(t)
	var got *token.Claims
	server := httptest.NewServer(issuer.Guard().Require()(http.HandlerFunc(
		func(_ http.ResponseWriter, r *http.Request) { got, _ = bearer.FromContext(r.Context()) })))
	defer server.Close()
	want := issuer.Claims()
	if resp, _ := call(t, server.URL, "Bearer "+issuer.Sign(want)); resp.StatusCode != http.StatusOK {
		t.Fatalf("status %d", resp.StatusCode)
	}
	if got == nil || got.ID != want.ID || got.Scope != nil {
		t.Errorf("claims in the context: %+v", got)
	}
}

func TestAuthenticateWritesNothing(t *testing.T) {
	issuer := bearertest.New(t)
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader("access_token=x"))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Authorization", "Bearer "+issuer.Token("a"))
	claims, refusal := issuer.Guard().Authenticate(r, "a")
	if refusal != nil || claims.Username != bearertest.Username {
		t.Fatalf("refused: %+v", refusal)
	}
	if body, err := io.ReadAll(r.Body); err != nil || string(body) != "access_token=x" {
		t.Errorf("the body is %q after it (%v)", body, err)
	}
	claims, refusal = issuer.Guard().Authenticate(r, "a", "b")
	want := &bearer.Refusal{
		Status: 403, Code: oauth.CodeInsufficientScope, Detail: "The access token lacks a scope that this needs",
		Scope: oauth.Scope{"a", "b"}, Audience: bearertest.Audience,
	}
	if diff := cmp.Diff(want, refusal); diff != "" || claims != nil {
		t.Errorf("claims %v, refusal (-want +got):\n%s", claims, diff)
	}
}

func TestFromContextOutside(t *testing.T) {
	if claims, ok := bearer.FromContext(context.Background()); ok || claims != nil {
		t.Errorf("claims without a token: %+v", claims)
	}
	want := new(token.Claims)
	if claims, ok := bearer.FromContext(bearer.NewContext(context.Background(), want)); !ok || claims != want {
		t.Errorf("got %v, want the claims given to NewContext", claims)
	}
}

// attributePattern matches an attribute of RFC 6750 section 3: a name and a quoted string without
// characters that need a backslash.
var attributePattern = regexp.MustCompile(`^([a-z_]+)="([\x20\x21\x23-\x5b\x5d-\x7e]*)"$`)

// Challenge attributes are not repeated, and follow the grammar of RFC 6750 section 3 for every audience.
func TestChallengeGrammar(t *testing.T) {
	audiences := []string{"", "api", "https://api.example", "https://api.example/v1?tenant=x", `a "quoted" \ name`,
		"ключ\x00", `https://x.test/?"`}
	for _, audience := range audiences {
		codes := []oauth.ErrorCode{"", oauth.CodeInvalidRequest, oauth.CodeInvalidToken, oauth.CodeInsufficientScope}
		for _, code := range codes {
			f := &bearer.Refusal{
				Status:   401,
				Code:     code,
				Detail:   `say "x" once`,
				Audience: audience,
				Metadata: bearer.MetadataURL(audience),
				Scope:    oauth.Scope{"a", "b"},
			}
			scheme, rest, _ := strings.Cut(f.Challenge(), " ")
			if scheme != "Bearer" {
				t.Fatalf("scheme %q", scheme)
			}
			seen := map[string]bool{}
			for _, attribute := range strings.Split(rest, ", ") {
				m := attributePattern.FindStringSubmatch(attribute)
				if m == nil || seen[m[1]] {
					t.Fatalf("%q in the challenge %q", attribute, f.Challenge())
				}
				seen[m[1]] = true
			}
			if seen["error"] != (code != "") || seen["error_description"] != (code != "") {
				t.Errorf("the code %q gives %q", code, f.Challenge())
			}
		}
	}
	if got := (&bearer.Refusal{Status: 401}).Challenge(); got != "Bearer" {
		t.Errorf("a challenge without attributes is %q", got)
	}
}

// The well-known path goes between the host and the path and query (RFC 9728 section 3.1).
func TestMetadataURL(t *testing.T) {
	const at = "/.well-known/oauth-protected-resource"
	for audience, want := range map[string]string{
		"https://api.example":            "https://api.example" + at,
		"https://api.example/":           "https://api.example" + at,
		"http://127.0.0.1:8000":          "http://127.0.0.1:8000" + at,
		"http://[::1]:8000/x":            "http://[::1]:8000" + at + "/x",
		"https://api.example/v1":         "https://api.example" + at + "/v1",
		"https://api.example/v1/":        "https://api.example" + at + "/v1",
		"https://api.example/a/b":        "https://api.example" + at + "/a/b",
		"https://api.example/a%2Fb":      "https://api.example" + at + "/a%2Fb",
		"https://api.example/a%20b":      "https://api.example" + at + "/a%20b",
		"https://api.example?tenant=1":   "https://api.example" + at + "?tenant=1",
		"https://api.example/v1?t=1&u=2": "https://api.example" + at + "/v1?t=1&u=2",
		"https://api.example/v1#part":    "https://api.example" + at + "/v1",
		"https://me:pw@api.example/v1":   "https://api.example" + at + "/v1",
		"":                               "",
		"api":                            "",
		"urn:example:api":                "",
		"ftp://api.example":              "",
		"https://":                       "",
		"https:///v1":                    "",
		"//api.example":                  "",
		"https://api.example/\x00":       "",
		"https://api.example/%zz":        "",
	} {
		got := bearer.MetadataURL(audience)
		if got != want {
			t.Errorf("MetadataURL(%q) = %q, want %q", audience, got, want)
		}
		if _, err := url.Parse(got); err != nil {
			t.Error(err)
		}
	}
}
