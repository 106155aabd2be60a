package api_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/hallpass-auth/hallpass/resourceserver/internal/api"
	"github.com/hallpass-auth/hallpass/shared/bearer"
	"github.com/hallpass-auth/hallpass/shared/bearertest"
)

// newHandler returns the API that trusts the issuer. change may change its configuration.
func newHandler(t testing.TB, issuer *bearertest.Issuer, change func(*api.Config)) http.Handler {
	t.Helper()
	guard, err := bearer.Open(t.Context(), bearer.Config{
		Issuer:             bearertest.IssuerURL,
		Audience:           bearertest.Audience,
		Keys:               issuer.Ring(),
		ScopeIncludes:      api.ScopeIncludes,
		AllowMissingStatus: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	cfg := api.Config{Guard: guard, Version: "1.2.3", Docs: true}
	if change != nil {
		change(&cfg)
	}
	handler, err := api.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return handler
}

// server is the API on a real listener, and the issuer of its tokens.
type server struct {
	*httptest.Server
	issuer *bearertest.Issuer
}

func start(t testing.TB, change func(*api.Config)) *server {
	t.Helper()
	issuer := bearertest.New(t)
	s := &server{Server: httptest.NewServer(newHandler(t, issuer, change)), issuer: issuer}
	t.Cleanup(s.Close)
	return s
}

// response is a response whose body has been read.
type response struct {
	*http.Response
	body string
}

// problem is a problem document.
type problem struct {
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
	Errors []struct {
		Field   string `json:"field"`
		Message string `json:"message"`
	} `json:"errors"`
}

// problem returns the body, which must be a problem document (RFC 9457) with the response's status and
// without unknown members.
func (a response) problem(t testing.TB) problem {
	t.Helper()
	if got := a.Header.Get("Content-Type"); got != "application/problem+json" {
		t.Errorf("Content-Type %q", got)
	}
	var p problem
	decoder := json.NewDecoder(strings.NewReader(a.body))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&p); err != nil {
		t.Fatalf("%v in %s", err, a.body)
	}
	if p.Status != a.StatusCode || p.Title != http.StatusText(a.StatusCode) {
		t.Errorf("problem of status %d, %q in a response of status %d", p.Status, p.Title, a.StatusCode)
	}
	return p
}

// do sends a request for the target, an escaped path with or without a query. Its header fields are given
// as name, value, name, value. It follows no redirect.
func (s *server) do(t testing.TB, method, target string, header ...string) response {
	t.Helper()
	req, err := http.NewRequest(method, s.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.URL.RawPath, req.URL.RawQuery, _ = strings.Cut(target, "?")
	if req.URL.Path, err = url.PathUnescape(req.URL.RawPath); err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Add(header[i], header[i+1])
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response{resp, string(body)}
}

// get sends a GET with a token that has all scopes.
func (s *server) get(t testing.TB, path string) response {
	t.Helper()
	return s.do(t, http.MethodGet, path, "Authorization", "Bearer "+s.issuer.Token("profile", "items:read"))
}
