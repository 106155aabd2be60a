package publicdoc_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/hallpass-auth/hallpass/shared/publicdoc"
)

func serve(method string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "/", nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	publicdoc.Handler("application/json", []byte(`{"a":1}`)).ServeHTTP(w, r)
	return w
}

// A script of every origin may read the document, with any header, and without cookies (Fetch, section CORS
// protocol).
func TestEveryOriginReads(t *testing.T) {
	for _, origin := range []string{"https://app.example", "http://localhost:5173", "null", "moz-extension://x"} {
		if got := serve(http.MethodGet, "Origin", origin); got.Code != http.StatusOK || got.Body.String() != `{"a":1}` ||
			got.Header().Get("Access-Control-Allow-Origin") != "*" ||
			got.Header().Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("%s: status %d, header %v", origin, got.Code, got.Header())
		}
		const asked = "authorization,mcp-protocol-version,x-anything"
		got := serve(http.MethodOptions, "Origin", origin, "Access-Control-Request-Method", "GET",
			"Access-Control-Request-Headers", asked).Header()
		if got.Get("Access-Control-Allow-Origin") != "*" || got.Get("Access-Control-Allow-Headers") != asked ||
			!strings.Contains(got.Get("Access-Control-Allow-Methods"), "GET") {
			t.Errorf("%s: preflight %v", origin, got)
		}
	}
	if got := serve(http.MethodOptions, "Origin", "https://app.example", "Access-Control-Request-Method", "DELETE"); got.Header().Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("preflight of DELETE: %v", got.Header())
	}
}

// Other methods are a 405 with Allow (RFC 9110 section 15.5.6).
func TestMethods(t *testing.T) {
	for method, want := range map[string]int{"GET": 200, "HEAD": 200, "POST": 405, "OPTIONS": 405, "PROPFIND": 405} {
		got := serve(method)
		if got.Code != want || (got.Header().Get("Allow") == "GET, HEAD") != (want == 405) {
			t.Errorf("%s: status %d, Allow %q", method, got.Code, got.Header().Get("Allow"))
		}
	}
}
