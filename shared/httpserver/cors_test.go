package httpserver_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-auth/hallpass/shared/httpserver"
)

// corsHeaders returns the headers that browsers evaluate.
func corsHeaders(h http.Header) map[string]string {
	found := map[string]string{}
	for _, name := range []string{
		"Access-Control-Allow-Origin", "Access-Control-Allow-Methods", "Access-Control-Allow-Headers",
		"Access-Control-Allow-Credentials", "Access-Control-Expose-Headers", "Access-Control-Max-Age",
	} {
		if v := h.Get(name); v != "" {
			found[name] = v
		}
	}
	return found
}

func TestCORS(t *testing.T) {
	const app, evil = "https://app.example", "https://evil.example"
	preflight := func(origin, method, headers string) http.Header {
		return http.Header{
			"Origin":                         {origin},
			"Access-Control-Request-Method":  {method},
			"Access-Control-Request-Headers": {headers},
		}
	}
	allowed := map[string]string{
		"Access-Control-Allow-Origin": app, "Access-Control-Allow-Methods": "GET",
		"Access-Control-Allow-Headers": "authorization", "Access-Control-Max-Age": "600",
	}
	readable := map[string]string{
		"Access-Control-Allow-Origin":   app,
		"Access-Control-Expose-Headers": "Etag, Location, Www-Authenticate, Retry-After, Dpop-Nonce, X-Request-Id",
	}
	tests := []struct {
		name    string
		origins []string
		method  string
		header  http.Header
		status  int
		want    map[string]string
	}{
		{"preflight", []string{app}, "OPTIONS", preflight(app, "GET", "authorization"), 204, allowed},
		{"preflight from another origin", []string{app}, "OPTIONS", preflight(evil, "GET", "authorization"), 204, nil},
		{"preflight, subdomain", []string{app}, "OPTIONS", preflight("https://x.app.example", "GET", "authorization"), 204, nil},
		{"preflight, other scheme", []string{app}, "OPTIONS", preflight("http://app.example", "GET", "authorization"), 204, nil},
		{"preflight, other method", []string{app}, "OPTIONS", preflight(app, "DELETE", "authorization"), 204, nil},
		{"preflight, other header", []string{app}, "OPTIONS", preflight(app, "GET", "x-secret"), 204, nil},
		{"request", []string{app}, "GET", http.Header{"Origin": {app}}, 200, readable},
		{"request from another origin", []string{app}, "GET", http.Header{"Origin": {evil}}, 200, nil},
		{"request without an origin", []string{app}, "GET", nil, 200, nil},
		{"plain OPTIONS", []string{app}, "OPTIONS", nil, 405, nil},
		{"preflight, no origins", nil, "OPTIONS", preflight(app, "GET", "authorization"), 405, nil},
		{"request, no origins", nil, "GET", http.Header{"Origin": {app}}, 200, nil},
	}
	mux := http.NewServeMux()
	mux.Handle("GET /", hello)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			rec := httptest.NewRecorder()
			r := httptest.NewRequest(tt.method, "/", nil)
			r.Header = tt.header.Clone()
			if r.Header == nil {
				r.Header = http.Header{}
			}
			httpserver.CORS(tt.origins, http.MethodGet)(mux).ServeHTTP(rec, r)
			if rec.Code != tt.status {
				t.Errorf("status %d, want %d", rec.Code, tt.status)
			}
			want := tt.want
			if want == nil {
				want = map[string]string{}
			}
			if diff := cmp.Diff(want, corsHeaders(rec.Header())); diff != "" {
				t.Errorf("headers (-want +got):\n%s", diff)
			}
			if tt.origins != nil && rec.Header().Get("Vary") == "" && tt.name != "plain OPTIONS" {
				t.Error("no Vary: a cache may serve one origin's response to another")
			}
		})
	}
}

// With "*", scripts of every page may call the server, without cookies.
func TestCORSForAll(t *testing.T) {
	rec, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("Origin", "https://anywhere.example")
	httpserver.CORS([]string{"*"}, http.MethodGet)(hello).ServeHTTP(rec, r)
	got := corsHeaders(rec.Header())
	if got["Access-Control-Allow-Origin"] != "*" || got["Access-Control-Allow-Credentials"] != "" {
		t.Errorf("headers %v", got)
	}
}
