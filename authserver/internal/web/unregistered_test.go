package web_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hallpass-auth/hallpass/shared/keyring"
	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/client"
	"github.com/hallpass-auth/hallpass/authserver/internal/clientmeta"
	"github.com/hallpass-auth/hallpass/authserver/internal/outbound"
	"github.com/hallpass-auth/hallpass/authserver/internal/resource"
	"github.com/hallpass-auth/hallpass/authserver/internal/web"
)

// documentSite is a site that accepts metadata documents, and the server of the documents.
type documentSite struct {
	*site
	base     string // URL of the server of the documents
	requests atomic.Int64
	document func(id string) any // what is at each URL: JSON, text, or the status of a failure
}

// newDocumentSite starts a site with a policy. Its documents are at a loopback address, by the exception for
// tests.
func newDocumentSite(t *testing.T, policy ...string) *documentSite {
	t.Helper()
	d := &documentSite{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		d.requests.Add(1)
		w.Header().Set("Content-Type", "application/json")
		switch document := d.document(d.base + r.URL.Path).(type) {
		case int:
			w.WriteHeader(document)
		case string:
			_, _ = w.Write([]byte(document))
		default:
			_ = json.NewEncoder(w).Encode(document)
		}
	}))
	t.Cleanup(server.Close)
	d.base = server.URL
	address, err := netip.ParseAddrPort(strings.TrimPrefix(server.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := clientmeta.ParsePolicy(policy)
	if err != nil {
		t.Fatal(err)
	}
	d.site = newSite(t, func(cfg *web.Config) {
		guard := outbound.New(outbound.Config{Exception: address, Timeout: time.Hour, Now: cfg.Now, Log: cfg.Log})
		cfg.Documents = clientmeta.NewDocuments(parsed, guard, cfg.Log)
	})
	description := resource.ScopeDescription{Scope: "items:read", Text: "See your items"}
	d.must(d.data.DescribeScope(t.Context(), description, d.clock()))
	d.document = func(id string) any {
		return map[string]any{
			"client_id": id, "client_name": "Agent", "redirect_uris": []string{"http://localhost/cb", "cursor://a.b/cb"},
			"token_endpoint_auth_method": "none", "logo_uri": "https://elsewhere.example/logo.png",
			"grant_types": []string{"authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:jwt-bearer"},
		}
	}
	return d
}

// query returns an authorization request of the client whose document is at a path.
func (d *documentSite) query(path string, change ...string) url.Values {
	sum := sha256.Sum256([]byte(verifier))
	return codeRequest(append([]string{"client_id", d.base + path, "redirect_uri", "http://localhost:4711/cb",
		"code_challenge", base64.RawURLEncoding.EncodeToString(sum[:])}, change...)...)
}

// ask sends an authorization request.
func (d *documentSite) ask(cookie string, query url.Values) answer {
	return d.serve(withCookie(httptest.NewRequest(http.MethodGet, "/authorize?"+query.Encode(), nil), cookie))
}

// A client that nobody has registered logs a user in with nothing but its document, is asked for each time,
// and refreshes.
func TestClientOfDocument(t *testing.T) {
	t.Parallel()
	d := newDocumentSite(t, "all")
	d.addCodeApp()
	cookie := d.sessionCookie()
	query := d.query("/client.json", "scope", "profile items:read")
	for round := range 2 {
		got := d.ask(cookie, query)
		for _, text := range []string{
			"<strong>Agent</strong> at <strong>" + strings.TrimPrefix(d.base, "http://"), "See your items",
			"sent back to <strong>localhost:4711, which is this computer only", "nobody here has checked its name",
		} {
			if got.status != http.StatusOK || !strings.Contains(got.text, text) {
				t.Errorf("round %d: status %d, the page does not say %q:\n%s", round, got.status, text, got.text)
			}
		}
		to := d.serve(withCookie(pageForm("/consent", url.Values{
			"continue": {query.Encode()}, "user": {d.userID(john)}, "decision": {"allow"},
		}), cookie)).header.Get("Location")
		if !strings.HasPrefix(to, "http://localhost:4711/cb?code=") {
			t.Fatalf("sent to %s", to)
		}
		u, err := url.Parse(to)
		d.must(err)
		tokens := d.serve(pageForm("/token", url.Values{
			"grant_type": {"authorization_code"}, "code": {u.Query().Get("code")}, "client_id": {d.base + "/client.json"},
			"redirect_uri": {"http://localhost:4711/cb"}, "code_verifier": {verifier},
		}))
		if tokens.status != http.StatusOK || tokens.member("refresh_token") == "" ||
			tokens.member("scope") != "profile items:read" {
			t.Fatalf("round %d: token response %d %s", round, tokens.status, tokens.text)
		}
		refresh := tokens.member("refresh_token")
		d.hide(refresh)
		again := d.serve(pageForm("/token", url.Values{
			"grant_type": {"refresh_token"}, "refresh_token": {refresh}, "client_id": {d.base + "/client.json"},
		}))
		if again.status != http.StatusOK {
			t.Errorf("round %d: refresh %d %s", round, again.status, again.text)
		}
	}
	if n := d.requests.Load(); n != 1 {
		t.Errorf("%d requests for the document, want 1", n)
	}
	if consents, err := d.data.Consents(t.Context(), d.userID(john)); err != nil || len(consents) > 0 {
		t.Errorf("consents %v, %v", consents, err)
	}
	refused := d.serve(pageForm("/token", url.Values{
		"grant_type": {"client_credentials"}, "client_id": {d.base + "/client.json"},
	}))
	if refused.member("error") != "unauthorized_client" {
		t.Errorf("client_credentials: %s", refused.text)
	}
}

// The document is fetched only for a request that is valid otherwise and a client_id that the settings accept.
func TestDocumentIsFetchedLast(t *testing.T) {
	t.Parallel()
	d := newDocumentSite(t, "all")
	for name, change := range map[string][]string{
		"no response_type":   {"response_type", ""},
		"no PKCE":            {"code_challenge", ""},
		"plain PKCE":         {"code_challenge_method", "plain"},
		"no redirect URI":    {"redirect_uri", ""},
		"redirect to http":   {"redirect_uri", "http://evil.test/cb"},
		"malformed redirect": {"redirect_uri", "::"},
		"unknown API":        {"resource", "https://unknown.example"},
		"unknown scope":      {"scope", "profile admin"},
		"malformed scope":    {"scope", `"`},
		"no path":            {"client_id", d.base},
		"dot segment":        {"client_id", d.base + "/a/../b"},
		"fragment":           {"client_id", d.base + "/a#b"},
		"user name":          {"client_id", strings.Replace(d.base, "http://", "http://x@", 1) + "/a"},
		"not normalized":     {"client_id", d.base + "/%7ea b"},
		"long":               {"client_id", d.base + "/" + strings.Repeat("x", 512)},
		"plain http":         {"client_id", "http://app.example/a"},
		"loopback":           {"client_id", "https://127.0.0.1/a"},
		"metadata service":   {"client_id", "https://169.254.169.254/a"},
		"IPv4-mapped":        {"client_id", "https://[::ffff:127.0.0.1]/a"},
		"other scheme":       {"client_id", "file:///etc/passwd"},
	} {
		got := d.ask("", d.query("/client.json", change...))
		if got.status != http.StatusBadRequest || got.header.Get("Location") != "" {
			t.Errorf("%s: status %d, Location %q", name, got.status, got.header.Get("Location"))
		}
	}
	if n := d.requests.Load(); n != 0 {
		t.Errorf("%d requests for documents, want none", n)
	}
}

// The browsers of one network cannot have any number of documents fetched, which takes the time of others. A document
// that is cached does not count.
func TestDocumentsOfOneNetwork(t *testing.T) {
	t.Parallel()
	d := newDocumentSite(t, "all")
	from := func(address, path string) int {
		r := httptest.NewRequest(http.MethodGet, "/authorize?"+d.query(path).Encode(), nil)
		r.RemoteAddr = address
		return d.serve(r).status
	}
	for i := range 20 {
		want := http.StatusOK
		if i >= 8 {
			want = http.StatusServiceUnavailable
		}
		if got := from(fmt.Sprintf("[2001:db8:1:%d::1]:1000", i), fmt.Sprintf("/%d.json", i)); got != want {
			t.Errorf("document %d: status %d, want %d", i, got, want)
		}
	}
	if n := d.requests.Load(); n != 8 {
		t.Errorf("%d requests for documents, want 8", n)
	}
	if got := from("[2001:db8:1::1]:1000", "/0.json"); got != http.StatusOK {
		t.Errorf("a cached document: status %d", got)
	}
	if got := from("[2001:db8:2::1]:1000", "/20.json"); got != http.StatusOK {
		t.Errorf("another network: status %d", got)
	}
	d.wait(time.Second)
	if got := from("[2001:db8:1::1]:1000", "/21.json"); got != http.StatusOK {
		t.Errorf("later: status %d", got)
	}
}

// Malformed documents are refused with a text for the developers. What the server does not know is ignored.
func TestDocuments(t *testing.T) {
	t.Parallel()
	d := newDocumentSite(t, "all")
	valid := func(id string, change ...any) any {
		m := map[string]any{"client_id": id, "client_name": "Agent", "redirect_uris": []string{"http://localhost/cb"}}
		for i := 0; i < len(change); i += 2 {
			m[change[i].(string)] = change[i+1]
		}
		return m
	}
	documents := map[string]struct {
		document func(id string) any
		says     string // empty if the login page follows
	}{
		"valid":           {func(id string) any { return valid(id) }, ""},
		"unknown members": {func(id string) any { return valid(id, "x", 1, "client_uri", 7) }, ""},
		"no name":         {func(id string) any { return valid(id, "client_name", "") }, ""},
		"methods, plural": {func(id string) any {
			return valid(id, "token_endpoint_auth_methods_supported", []string{"private_key_jwt", "none"})
		}, ""},
		"three redirects": {func(id string) any {
			return valid(id, "redirect_uris", []string{"javascript:alert(1)", "http://evil.test/", "http://localhost/cb"})
		}, ""},
		"private_key_jwt": {func(id string) any {
			return valid(id, "token_endpoint_auth_method", "private_key_jwt", "jwks_uri", "https://a.example/jwks")
		}, ""},
		"other client_id":    {func(string) any { return valid("https://other.example/") }, "exactly its URL"},
		"no client_id":       {func(string) any { return valid("") }, "exactly its URL"},
		"slash more":         {func(id string) any { return valid(id + "/") }, "exactly its URL"},
		"no redirects":       {func(id string) any { return valid(id, "redirect_uris", []string{}) }, "redirect_uris"},
		"only bad redirects": {func(id string) any { return valid(id, "redirect_uris", []string{"http://evil.test/"}) }, "must be https"},
		"21 redirects": {func(id string) any {
			return valid(id, "redirect_uris", slices.Repeat([]string{"http://localhost/cb"}, 21))
		}, "redirect_uris"},
		"other redirect":    {func(id string) any { return valid(id, "redirect_uris", []string{"https://a.example/"}) }, "redirect_uri must exactly match"},
		"redirects a text":  {func(id string) any { return valid(id, "redirect_uris", "http://localhost/cb") }, "wrong type"},
		"name a number":     {func(id string) any { return valid(id, "client_name", 1) }, "wrong type"},
		"name with a break": {func(id string) any { return valid(id, "client_name", "a\nb") }, "printed"},
		"long name":         {func(id string) any { return valid(id, "client_name", strings.Repeat("x", 129)) }, "128"},
		"only services":     {func(id string) any { return valid(id, "grant_types", []string{"client_credentials"}) }, "authorization_code"},
		"only tokens":       {func(id string) any { return valid(id, "response_types", []string{"token"}) }, "response_types"},
		"a secret":          {func(id string) any { return valid(id, "token_endpoint_auth_method", "client_secret_basic") }, "none or private_key_jwt"},
		"keys missing":      {func(id string) any { return valid(id, "token_endpoint_auth_method", "private_key_jwt") }, "needs jwks_uri"},
		"scope unknown":     {func(id string) any { return valid(id, "scope", "admin") }, "scope"},
		"an array":          {func(string) any { return "[]" }, "wrong type"},
		"not JSON":          {func(string) any { return "<html>" }, "not a JSON object"},
		"twice":             {func(id string) any { return fmt.Sprintf(`{"client_id":%q,"client_id":%q}`, id, id) }, "not a JSON object"},
		"huge":              {func(id string) any { return valid(id, "x", strings.Repeat("x", 6<<10)) }, "could not fetch"},
	}
	i := 0
	for name, tt := range documents {
		i++
		d.wait(1e9) // the guard limits the requests to a host
		d.document = tt.document
		got := d.ask("", d.query(fmt.Sprintf("/%d.json", i)))
		if tt.says == "" && (got.status != http.StatusOK || !strings.Contains(got.text, `name="password"`)) {
			t.Errorf("%s: status %d\n%s", name, got.status, got.text)
		}
		if tt.says != "" && (got.status != http.StatusBadRequest || !strings.Contains(got.text, tt.says)) {
			t.Errorf("%s: status %d, does not say %q\n%s", name, got.status, tt.says, got.text)
		}
	}
	if !strings.Contains(d.log.String(), "redirect_uri_refused") {
		t.Error("the log does not say which redirect URIs are not accepted")
	}
}

// While the server of a document is down, the user is told to try again. That is not the fault of the app.
func TestDocumentServerIsDown(t *testing.T) {
	t.Parallel()
	d := newDocumentSite(t, "all")
	up := d.document
	d.document = func(string) any { return http.StatusBadGateway }
	got := d.ask("", d.query("/client.json"))
	if got.status != http.StatusServiceUnavailable || got.header.Get("Retry-After") != "30" ||
		!strings.Contains(got.text, "cannot be checked right now") || strings.Contains(got.text, "developers") {
		t.Errorf("status %d, Retry-After %q\n%s", got.status, got.header.Get("Retry-After"), got.text)
	}
	d.document = func(string) any { return http.StatusNotFound }
	if got := d.ask("", d.query("/missing.json")); got.status != http.StatusBadRequest {
		t.Errorf("a missing document: status %d", got.status)
	}
	d.document = up
	d.wait(31 * time.Second)
	if got := d.ask("", d.query("/client.json")); got.status != http.StatusOK {
		t.Errorf("later: status %d\n%s", got.status, got.text)
	}
}

// A client that nobody has registered may ask only for those scopes about the user that such clients may have.
func TestUnregisteredIdentityScopes(t *testing.T) {
	t.Parallel()
	s := newOpenIDSite(t, keyring.RS256)
	s.addCodeApp()
	cookie := s.sessionCookie()
	for _, tt := range []struct {
		id      string
		allowed oauth.Scope
		scope   string
		asks    bool
	}{
		{"dyn-all", oauth.Scope{"items:read", "openid", "email"}, "openid email items:read", true},
		{"dyn-openid", oauth.Scope{"items:read", "openid"}, "openid items:read", true},
		{"dyn-no-email", oauth.Scope{"items:read", "openid"}, "openid email", false},
		{"dyn-no-openid", oauth.Scope{"items:read"}, "openid items:read", false},
	} {
		s.must(s.data.AddUnregistered(t.Context(), client.Client{
			ID: tt.id, Name: "Agent", Source: client.SourceRegistration, Scope: tt.allowed,
			Grants: []oauth.GrantType{oauth.GrantAuthorizationCode}, RedirectURIs: []string{"http://localhost/cb"},
			CreatedAt: s.clock(), LastUsedAt: s.clock(),
		}))
		query := codeRequest("client_id", tt.id, "redirect_uri", "http://localhost/cb", "scope", tt.scope)
		got := s.serve(withCookie(httptest.NewRequest(http.MethodGet, "/authorize?"+query.Encode(), nil), cookie))
		refused := strings.Contains(got.header.Get("Location"), "error=invalid_scope")
		if refused == tt.asks || (got.status == http.StatusOK) != tt.asks {
			t.Errorf("%s: status %d, Location %s\n%s", tt.id, got.status, got.header.Get("Location"), got.text)
		}
	}
}

// The policy is off by default. Turning it off ends the access of the clients that it let in.
func TestDocumentPolicy(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		policy []string
		id     string
		ok     bool
	}{
		{nil, "https://app.example/c", false},
		{[]string{"off"}, "https://app.example/c", false},
		{[]string{"all"}, "https://app.example/c", true},
		{[]string{"app.example"}, "https://app.example/c", true},
		{[]string{"app.example"}, "https://APP.example/c", true},
		{[]string{"app.example"}, "https://app.example:8443/c", true},
		{[]string{"app.example"}, "https://a.app.example/c", false},
		{[]string{"app.example"}, "https://app.example.evil.test/c", false},
		{[]string{"*.app.example"}, "https://a.app.example/c", true},
		{[]string{"*.app.example"}, "https://app.example/c", false},
		{[]string{"*.app.example"}, "https://evilapp.example/c", false},
	} {
		policy, err := clientmeta.ParsePolicy(tt.policy)
		if err != nil {
			t.Fatal(err)
		}
		documents := clientmeta.NewDocuments(policy, outbound.New(outbound.Config{}), slog.New(slog.DiscardHandler))
		if got := documents.Check(tt.id) == nil; got != tt.ok {
			t.Errorf("%v, %s: accepted %v, want %v", tt.policy, tt.id, got, tt.ok)
		}
	}
	for _, bad := range [][]string{{"off", "all"}, {"App.example"}, {"https://app.example"}, {"*"}, {"localhost"}, {""}, {"127.0.0.1"}} {
		if _, err := clientmeta.ParsePolicy(bad); err == nil {
			t.Errorf("%v: no error", bad)
		}
	}
	s := newSite(t)
	c := client.Client{ID: "https://app.example/c", Name: "x", Source: client.SourceDocument, CreatedAt: s.clock(), LastUsedAt: s.clock()}
	s.must(s.data.AddUnregistered(t.Context(), c))
	got := s.serve(pageForm("/token", url.Values{
		"grant_type": {"refresh_token"}, "refresh_token": {"x"}, "client_id": {c.ID},
	}))
	if got.member("error") != "invalid_client" {
		t.Errorf("the policy is off: %s", got.text)
	}
}

// member returns a text member of a JSON response. It is empty if it is missing.
func (a answer) member(name string) string {
	var m map[string]any
	_ = json.Unmarshal([]byte(a.text), &m) // a page has none
	text, _ := m[name].(string)
	return text
}
