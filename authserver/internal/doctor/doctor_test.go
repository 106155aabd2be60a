package doctor_test

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hallpass-auth/hallpass/shared/keyring"

	"github.com/hallpass-auth/hallpass/authserver/internal/doctor"
)

// Servers that are set up well get no failure and no warning.
func TestAllIsWell(t *testing.T) {
	t.Parallel()
	s := start(t, options{})
	s.doctor.Origin = appOrigin
	s.doctor.Replicas = []string{s.auth.URL + "/"}
	s.doctor.App = &doctor.App{ClientID: "spa", RedirectURI: appOrigin + "/callback"}
	found := s.examine()
	for range 10 { // on a busy machine, the API's first status list may come late
		if found["access token"].Verdict == doctor.OK && found["revocation"].Verdict == doctor.OK {
			break
		}
		found = s.examine()
	}
	for check, f := range found {
		if f.Verdict != doctor.OK && check != "tls" {
			t.Errorf("%s: %s: %s", check, f.Verdict, f.Found)
		}
	}
	if len(found) != 22 {
		t.Errorf("%d findings, want 22", len(found))
	}
	expect(t, found, "tls", doctor.Skipped, "on this machine")
	expect(t, found, "id token", doctor.OK, "ES256")
	expect(t, found, "revocation", doctor.OK, " ms after the revocation")
}

func TestOpenIDConnectOff(t *testing.T) {
	t.Parallel()
	found := start(t, options{noOpenID: true}).examine()
	expect(t, found, "id token", doctor.Skipped, "off: openid needs a key that signs ID tokens, and HALLPASS_KEYS_FILE")
	expect(t, found, "refresh", doctor.OK, "")
}

// Each fault of the servers is named, with what to change.
func TestFaultsOfTheServers(t *testing.T) {
	t.Parallel()
	other, err := keyring.Generate(keyring.HS256, time.Now(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name    string
		options options
		change  func(*doctor.Config)
		check   string
		verdict doctor.Verdict
		text    string
	}{
		{"issuer of the API", options{apiIssuer: "https://other.example"}, nil,
			"api metadata", doctor.Failed, "the API accepts tokens of https://other.example"},
		{"issuer of the API, with a token", options{apiIssuer: "https://other.example"}, nil,
			"access token", doctor.Failed, "HALLPASS_ISSUER"},
		{"audience of the API", options{apiAudience: "http://127.0.0.1:1"}, nil,
			"api metadata", doctor.Failed, "HALLPASS_AUDIENCE"},
		{"keys of the API", options{apiKeys: other}, nil, "access token", doctor.Failed, "it does not have the key"},
		{"clock of the API", options{frontOf: dated(-time.Minute)}, nil,
			"clocks", doctor.Failed, "ahead of that of the API; 5s are tolerated"},
		{"clock of this machine", options{},
			func(c *doctor.Config) { c.Now = func() time.Time { return time.Now().Add(-30 * time.Second) } },
			"clocks", doctor.Warning, "s ahead of that of this machine"},
		{"requests of 20 seconds", options{}, func(c *doctor.Config) { c.Now = everySecondReading(20 * time.Second) },
			"clocks", doctor.OK, "both agree with this machine"},
		{"origin", options{noOrigins: true}, func(c *doctor.Config) { c.Origin = appOrigin },
			"cors", doctor.Failed, "Add https://app.example to HALLPASS_ALLOWED_ORIGINS of the authorization server"},
		{"revocation", options{noStatus: true}, func(c *doctor.Config) { c.RevocationTimeout = 300 * time.Millisecond },
			"revocation", doctor.Failed, "HALLPASS_STATUS_LISTS_URL"},
		{"proxy", options{proxy: via}, nil, "proxy", doctor.Warning, "HALLPASS_TRUSTED_PROXIES"},
		{"no proxy", options{}, func(c *doctor.Config) { c.TrustedProxies = []string{"10.0.0.0/8"} },
			"proxy", doctor.Warning, "Remove HALLPASS_TRUSTED_PROXIES"},
		{"trusted proxy", options{proxy: via}, func(c *doctor.Config) { c.TrustedProxies = []string{"10.0.0.0/8"} },
			"proxy", doctor.OK, "10.0.0.0/8 is trusted"},
		{"open API", options{open: true}, nil, "api", doctor.Failed, "with status 200, not 401"},
		{"path of the API", options{}, func(c *doctor.Config) { c.APIPath = "/other" },
			"api", doctor.Failed, "--api-path"},
		{"metadata", options{proxy: answering("/.well-known/oauth-authorization-server", "hello")}, nil,
			"metadata", doctor.Failed, "is not the JSON that it should be"},
		{"issuer", options{proxy: answering("/.well-known/oauth-authorization-server", `{"issuer":"https://a.example"}`)}, nil,
			"metadata", doctor.Failed, "is https://a.example"},
		{"discovery", options{proxy: answering("/.well-known/openid-configuration", "{}")}, nil,
			"metadata", doctor.Failed, "differ"},
		{"keys that are not published", options{proxy: answering("/jwks.json", `{"keys":[]}`)}, nil,
			"id token", doctor.Failed, "the published keys cannot be read"},
		{"API that is not registered", options{},
			func(c *doctor.Config) { c.Audience, c.API = "https://other.example", c.Audience },
			"database", doctor.Failed, "https://other.example is not registered"},
		{"no database", options{},
			func(c *doctor.Config) { c.Store, c.StoreErr = nil, errors.New("no such file") },
			"database", doctor.Failed, "no such file"},
		{"no keys", options{}, func(c *doctor.Config) { c.Keys = nil }, "keys", doctor.Skipped, "HALLPASS_KEYS_FILE"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := start(t, tt.options)
			if tt.change != nil {
				tt.change(&s.doctor)
			}
			expect(t, s.examine(), tt.check, tt.verdict, tt.text)
		})
	}
}

// everySecondReading returns a clock whose every second reading is d ahead. The doctor reads it before and after each
// request, so requests seem to take d.
func everySecondReading(d time.Duration) func() time.Time {
	var readings atomic.Int64
	return func() time.Time {
		if readings.Add(1)%2 == 0 {
			return time.Now().Add(d)
		}
		return time.Now()
	}
}

func TestServersThatDoNotRun(t *testing.T) {
	t.Parallel()
	s := start(t, options{})
	s.auth.Close()
	s.api.Close()
	found := s.examine()
	expect(t, found, "metadata", doctor.Failed, "nothing listens there")
	expect(t, found, "metadata", doctor.Failed, "Start the authorization server")
	expect(t, found, "api", doctor.Failed, "Start the API")
	expect(t, found, "login", doctor.Skipped, "")
}

// A replica with other settings, and one that does not run.
func TestReplicas(t *testing.T) {
	t.Parallel()
	s, stopped := start(t, options{}), httptest.NewServer(nil)
	stopped.Close()
	s.doctor.Replicas = []string{start(t, options{}).auth.URL, stopped.URL}
	found := s.examine()
	expect(t, found, "replicas", doctor.Failed, "its metadata differs from that of the issuer")
	expect(t, found, "replicas", doctor.Failed, stopped.URL+": nothing listens there")
}

// The servers use another database than the command.
func TestOtherDatabase(t *testing.T) {
	t.Parallel()
	s, other := start(t, options{}), start(t, options{})
	s.must(other.data.DeleteClient(t.Context(), "script", time.Now()))
	_, err := other.data.SetDefaultAPI(t.Context(), s.doctor.Audience, time.Now())
	s.must(err)
	s.doctor.Store = other.data
	expect(t, s.examine(), "database", doctor.Failed, "does not know a client that was just registered")
}

// Passwords, secrets and tokens are not sent to a server that the settings do not name.
func TestForeignServer(t *testing.T) {
	t.Parallel()
	var requests atomic.Int64
	foreign := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		requests.Add(1)
		_, _ = io.WriteString(w, `<form method="post" action="/login">`)
	}))
	t.Cleanup(foreign.Close)

	s := start(t, options{proxy: answering("/.well-known/oauth-authorization-server",
		`{"issuer":"https://a.example","authorization_endpoint":"`+foreign.URL+`/authorize"}`)})
	found := s.examine()
	expect(t, found, "database", doctor.Skipped, "metadata cannot be used")
	expect(t, found, "login", doctor.Skipped, "")

	s = start(t, options{proxy: func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/authorize" {
				http.Redirect(w, r, foreign.URL+"/login", http.StatusSeeOther)
				return
			}
			next.ServeHTTP(w, r)
		})
	}})
	expect(t, s.examine(), "login", doctor.Failed, "leads to another server, "+foreign.URL)
	if n := requests.Load(); n != 0 {
		t.Errorf("the foreign server got %d requests", n)
	}

	s = start(t, options{frontOf: func(next http.Handler) http.Handler {
		next = answering("/.well-known/oauth-protected-resource", `{"resource":"http://other.example"}`)(next)
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Authorization") != "" {
				t.Error("another API got the access token")
			}
			next.ServeHTTP(w, r)
		})
	}})
	found = s.examine()
	expect(t, found, "access token", doctor.Skipped, "the API calls itself http://other.example")
	expect(t, found, "revocation", doctor.Skipped, "the API calls itself http://other.example")
}

// Certificates are checked, with their end.
func TestCertificates(t *testing.T) {
	t.Parallel()
	strict := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Strict-Transport-Security", "max-age=31536000")
			next.ServeHTTP(w, r)
		})
	}
	s := start(t, options{tls: true, proxy: strict})
	expect(t, s.examine(), "metadata", doctor.Failed, "from an authority that this machine does not trust")
	s.doctor.RootCAs = x509.NewCertPool()
	s.doctor.RootCAs.AddCert(s.auth.Certificate())
	found := s.examine()
	expect(t, found, "tls", doctor.OK, "valid for 14 days")
	expect(t, found, "login", doctor.OK, "")
	expect(t, found, "proxy", doctor.Warning, "HALLPASS_TRUSTED_PROXIES is not set")
	end := s.auth.Certificate().NotAfter
	s.doctor.Now = func() time.Time { return end.Add(-time.Hour) }
	expect(t, s.examine(), "tls", doctor.Warning, "expires on 20")
	s.doctor.Now = func() time.Time { return end.Add(time.Hour) }
	found = s.examine()
	expect(t, found, "tls", doctor.Failed, "Renew the certificate")
	expect(t, found, "metadata", doctor.Failed, "its certificate is valid from")

	s = start(t, options{tls: true})
	s.doctor.RootCAs = x509.NewCertPool()
	s.doctor.RootCAs.AddCert(s.auth.Certificate())
	expect(t, s.examine(), "tls", doctor.Warning, "no Strict-Transport-Security")
}

// Each fault of an app is named in the words of the error pages and the log.
func TestFaultsOfAnApp(t *testing.T) {
	t.Parallel()
	s := start(t, options{})
	tests := []struct {
		name    string
		app     doctor.App
		origin  string
		check   string
		verdict doctor.Verdict
		text    string
	}{
		{"unknown client", doctor.App{ClientID: "nobody"}, "",
			"client", doctor.Failed, "The app that sent you here is not registered."},
		{"names of the others", doctor.App{ClientID: "nobody"}, "",
			"client", doctor.Failed, "Registered are: backend, script, spa."},
		{"document", doctor.App{ClientID: "https://client.example/app.json"}, "",
			"client", doctor.Skipped, "only registered clients are explained"},
		{"redirect", doctor.App{ClientID: "spa", RedirectURI: appOrigin + "/cb"}, "",
			"client redirect", doctor.Failed, "spa wants to send you to an address that is not registered for it."},
		{"nearest redirect", doctor.App{ClientID: "spa", RedirectURI: appOrigin + "/cb"}, "", "client redirect",
			doctor.Failed, `https://app.example/callback, and its path is "/callback" where that of the request is "/cb"`},
		{"DPoP", doctor.App{ClientID: "script"}, "", "client", doctor.OK, "must have a DPoP proof (RFC 9449)"},
		{"grant", doctor.App{ClientID: "script"}, "", "client redirect", doctor.Skipped, "uses no redirect"},
		{"scope", doctor.App{ClientID: "spa", Request: url.Values{"scope": {"profile admin"}}}, "",
			"client request", doctor.Failed, "invalid_scope: this client may not ask for the scope admin"},
		{"resource", doctor.App{ClientID: "spa", Request: url.Values{"resource": {"https://other.example"}}}, "",
			"client request", doctor.Failed, "invalid_target: resource names no API that is registered here"},
		{"PKCE", doctor.App{ClientID: "spa", Complete: true, Request: url.Values{"response_type": {"code"}}}, "",
			"client request", doctor.Failed, "missing: code_challenge (PKCE is required, RFC 7636)"},
		{"response type", doctor.App{ClientID: "spa", Complete: true, Request: url.Values{"scope": {"profile"}}}, "",
			"client request", doctor.Failed, "missing: response_type"},
		{"public with a secret", doctor.App{ClientID: "spa", Secret: "x"}, "",
			"client secret", doctor.Failed, "public client sent a secret"},
		{"confidential without", doctor.App{ClientID: "backend"}, "",
			"client secret", doctor.Warning, "missing secret"},
		{"confidential page", doctor.App{ClientID: "backend"}, appOrigin,
			"client secret", doctor.Failed, "--public"},
		{"wrong secret", doctor.App{ClientID: "backend", Secret: "x"}, "",
			"client secret", doctor.Failed, "wrong secret"},
		{"right secret", doctor.App{ClientID: "backend", Secret: s.secret}, "",
			"client secret", doctor.OK, "right"},
	}
	for _, tt := range tests { // not in parallel: they count the clients
		t.Run(tt.name, func(t *testing.T) {
			s.doctor.App, s.doctor.Origin = &tt.app, tt.origin
			expect(t, s.examine(), tt.check, tt.verdict, tt.text)
		})
	}
}

// An API that requires DPoP is no fault. What needs a bearer token there is left out.
func TestAPIThatRequiresDPoP(t *testing.T) {
	t.Parallel()
	found := start(t, options{requireDPoP: true}).examine()
	for _, check := range []string{"api", "api metadata", "login", "introspection", "refresh"} {
		expect(t, found, check, doctor.OK, "")
	}
	for _, check := range []string{"access token", "revocation"} {
		expect(t, found, check, doctor.Skipped, "the API requires DPoP")
	}
}

// Ctrl-C ends the checks, and what was registered is deleted.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	s := start(t, options{})
	ctx, cancel := context.WithCancelCause(t.Context())
	stopped := errors.New("stopped")
	var last string
	err := doctor.Run(ctx, s.doctor, func(f doctor.Finding) {
		if last = f.Check; f.Check == "login" {
			cancel(stopped)
		}
	})
	if !errors.Is(err, stopped) || last != "login" {
		t.Errorf("Run = %v after %s, want the cause after login", err, last)
	}
	s.expectNothingLeft()
}
