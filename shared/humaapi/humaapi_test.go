package humaapi_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humamux"
	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-auth/hallpass/shared/humaapi"
)

// input is what the operation of the tests takes.
type input struct {
	Size int    `query:"size" minimum:"1"`
	Name string `query:"name" maxLength:"3"`
}

// fixture is an API with one operation, /things, and its docs page.
type fixture struct {
	handler http.Handler
	log     bytes.Buffer
	openAPI *huma.OpenAPI
}

// newFixture returns the API. The operation responds with the error.
func newFixture(t *testing.T, failure error) *fixture {
	t.Helper()
	f := &fixture{}
	router := humaapi.NewRouter()
	api := humamux.New(router, huma.Config{
		OpenAPI: humaapi.NewOpenAPI(humaapi.Description{
			Title: "Things", Version: "1", Security: &huma.SecurityScheme{Type: "oauth2"},
			Example: humaapi.FieldError{Field: "query.size", Message: "expected number >= 1"},
		}),
		Formats:      map[string]huma.Format{"application/json": huma.DefaultJSONFormat, "json": huma.DefaultJSONFormat},
		Transformers: []huma.Transformer{humaapi.LogFailures(slog.New(slog.NewTextHandler(&f.log, nil)))},
	})
	huma.Register(api, huma.Operation{Method: http.MethodGet, Path: "/things", OperationID: "things"},
		func(context.Context, *input) (*struct{}, error) { return nil, failure })
	f.openAPI = api.OpenAPI()
	document, err := json.Marshal(f.openAPI)
	if err != nil {
		t.Fatal(err)
	}
	humaapi.Docs{
		Title: "Things", Path: "/docs", DocumentPath: "/openapi.json", Document: document, Origin: "https://login.example",
	}.Serve(router)
	f.handler = humaapi.HeadAsGet(router)
	return f
}

// do sends a request.
func (f *fixture) do(method, target string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	f.handler.ServeHTTP(w, httptest.NewRequest(method, target, nil))
	return w
}

// A problem names the invalid fields, in its list and in its detail.
func TestInvalidInput(t *testing.T) {
	got := newFixture(t, nil).do(http.MethodGet, "/things?size=0&name=long")
	if got.Code != http.StatusUnprocessableEntity || got.Header().Get("Content-Type") != "application/problem+json" {
		t.Errorf("status %d, Content-Type %q", got.Code, got.Header().Get("Content-Type"))
	}
	want := `{"title":"Unprocessable Entity","status":422,"detail":"validation failed: query.size expected number >= 1; ` +
		`query.name expected length <= 3","errors":[{"field":"query.size","message":"expected number >= 1"},` +
		`{"field":"query.name","message":"expected length <= 3"}]}`
	if diff := cmp.Diff(decode(t, want), decode(t, got.Body.String())); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// decode returns JSON as values.
func decode(t *testing.T, text string) (v any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// The cause of a failure is in the log, not in the response.
func TestCauseIsOnlyLogged(t *testing.T) {
	cause := errors.New("disk on fire")
	for name, failure := range map[string]error{
		"of huma": cause,
		"of ours": humaapi.NewProblem(http.StatusServiceUnavailable, "Not now", cause),
	} {
		f := newFixture(t, failure)
		got := f.do(http.MethodGet, "/things?size=1")
		if got.Code < http.StatusInternalServerError || strings.Contains(got.Body.String(), "fire") {
			t.Errorf("%s: status %d: %s", name, got.Code, got.Body)
		}
		if !strings.Contains(f.log.String(), "disk on fire") {
			t.Errorf("%s: the log is %q", name, &f.log)
		}
	}
}

// The document has the example of its API.
func TestExample(t *testing.T) {
	f := newFixture(t, nil)
	schema := f.openAPI.Components.Schemas.Map()["FieldError"]
	if got := schema.Properties["field"].Examples; !slices.Equal(got, []any{"query.size"}) {
		t.Errorf("examples %v", got)
	}
}

// Other methods get 405 with those that the path has, and other paths 404. HEAD comes with GET.
func TestRouter(t *testing.T) {
	f := newFixture(t, nil)
	for _, tt := range []struct {
		method, path string
		status       int
		allow        string
	}{
		{http.MethodHead, "/docs", http.StatusOK, ""},
		{http.MethodPost, "/things", http.StatusMethodNotAllowed, "GET, HEAD"},
		{http.MethodGet, "//things", http.StatusNotFound, ""},
		{http.MethodGet, "/docs/x", http.StatusNotFound, ""},
	} {
		got := f.do(tt.method, tt.path)
		if got.Code != tt.status || got.Header().Get("Allow") != tt.allow {
			t.Errorf("%s %s: status %d, Allow %q", tt.method, tt.path, got.Code, got.Header().Get("Allow"))
		}
	}
}

// The page may send requests to its own server and to the origin only, and runs no script but its own.
func TestDocsPolicy(t *testing.T) {
	got := newFixture(t, nil).do(http.MethodGet, "/docs")
	policy := strings.Split(got.Header().Get("Content-Security-Policy"), "; ")
	for _, want := range []string{"default-src 'none'", "connect-src 'self' https://login.example"} {
		if !slices.Contains(policy, want) {
			t.Errorf("%s is not in %q", want, policy)
		}
	}
	if !slices.ContainsFunc(policy, func(s string) bool { return strings.HasPrefix(s, "script-src 'self' 'sha256-") }) {
		t.Errorf("no hash of a script in %q", policy)
	}
}
