package api

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"

	"github.com/hallpass-auth/hallpass/shared/bearer"
	"github.com/hallpass-auth/hallpass/shared/bearertest"
)

// The routes that these tests add to the API.

type note struct {
	Text string `json:"text" maxLength:"10"`
}

type noteInput struct {
	NoteID int64 `path:"note_id"`
}

type newNoteInput struct{ Body note }

type noteOutput struct {
	Location string `header:"Location"`
	Body     note
}

var addedRoutes = []route{
	{http.MethodPost, "/notes", byUser("profile"), "Create a note",
		handle(func(_ context.Context, in *newNoteInput) (*noteOutput, error) {
			return &noteOutput{Location: "/notes/1", Body: in.Body}, nil
		}, func(op *huma.Operation) { op.DefaultStatus, op.Security = http.StatusCreated, nil })},
	{http.MethodGet, "/notes/{note_id}", byUser("profile"), "Show a note",
		handle(func(_ context.Context, in *noteInput) (*noteOutput, error) {
			switch in.NoteID {
			case 404:
				return nil, huma.Error404NotFound("There is no such note")
			case 409:
				return nil, errors.Join(errors.New("hidden"), huma.Error409Conflict("There is one"))
			case 429:
				return nil, huma.ErrorWithHeaders(huma.Error429TooManyRequests("Later"), http.Header{"Retry-After": {"7"}})
			}
			return nil, errors.New("the disk is full of passwords")
		})},
	{http.MethodDelete, "/notes/{note_id}", byUser("profile"), "Delete a note",
		handle(func(context.Context, *noteInput) (*struct{}, error) { return nil, nil })},
	{http.MethodGet, "/weather", byAnyone, "Show the weather",
		handle(func(ctx context.Context, _ *struct{}) (*noteOutput, error) {
			if _, ok := bearer.FromContext(ctx); ok {
				return nil, errors.New("claims in an open route")
			}
			return &noteOutput{Body: note{Text: "<fine>"}}, nil
		})},
}

// extend returns the API with the added routes, which logs to log, and a valid token.
func extend(t *testing.T, log io.Writer) (handler http.Handler, token string) {
	t.Helper()
	issuer := bearertest.New(t)
	cfg := Config{Guard: issuer.Guard(), Docs: true, Log: slog.New(slog.NewTextHandler(log, nil))}
	handler, err := newHandler(cfg, append(routes(&itemHandlers{}), addedRoutes...))
	if err != nil {
		t.Fatal(err)
	}
	return handler, issuer.Token("profile")
}

// send sends a request with the token and a JSON body.
func send(handler http.Handler, method, path, body, token string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	return w
}

func TestAddedRoutes(t *testing.T) {
	handler, token := extend(t, io.Discard)
	for _, tt := range []struct {
		name, method, path, body string
		status                   int
		want                     string
		header                   map[string]string
	}{
		{name: "create", method: "POST", path: "/notes", body: `{"text":"hi"}`, status: 201, want: `{"text":"hi"}`, header: map[string]string{"Location": "/notes/1"}},
		{name: "too long", method: "POST", path: "/notes", body: `{"text":"secret secret"}`, status: 422, want: `"field":"body.text"`},
		{name: "unknown field", method: "POST", path: "/notes", body: `{"text":"hi","secret":1}`, status: 422, want: `"field":"body.secret"`},
		{name: "not JSON", method: "POST", path: "/notes", body: `{"text":`, status: 400, want: `"field":"body"`},
		{name: "no body", method: "POST", path: "/notes", status: 400, want: `"detail":"request body is required"`},
		{name: "too large", method: "POST", path: "/notes", body: strings.Repeat(" ", 1<<20), status: 413, want: `"status":413`},
		{name: "missing note", method: "GET", path: "/notes/404", status: 404, want: `{"title":"Not Found","status":404,"detail":"There is no such note"}`},
		{name: "wrapped error", method: "GET", path: "/notes/409", status: 409, want: `{"title":"Conflict","status":409,"detail":"There is one"}`},
		{name: "error with headers", method: "GET", path: "/notes/429", status: 429, want: `"detail":"Later"`, header: map[string]string{"Retry-After": "7"}},
		{name: "delete", method: "DELETE", path: "/notes/1", status: 204},
		{name: "other method", method: "PUT", path: "/notes/1", status: 405, header: map[string]string{"Allow": "GET, HEAD, DELETE"}},
		{name: "other method of a list", method: "GET", path: "/notes", status: 405, header: map[string]string{"Allow": "POST"}},
		{name: "open", method: "GET", path: "/weather", status: 200, want: `{"text":"<fine>"}`},
	} {
		w := send(handler, tt.method, tt.path, tt.body, token)
		if w.Code != tt.status || !strings.Contains(w.Body.String(), tt.want) {
			t.Errorf("%s: status %d, body %s", tt.name, w.Code, w.Body)
		}
		for name, want := range tt.header {
			if got := w.Header().Get(name); got != want {
				t.Errorf("%s: %s: %q, want %q", tt.name, name, got, want)
			}
		}
		if strings.Contains(w.Body.String(), "secret secret") {
			t.Errorf("%s: the input is in the body %s", tt.name, w.Body)
		}
		if tt.status >= 400 && w.Header().Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: Content-Type %q", tt.name, w.Header().Get("Content-Type"))
		}
	}
}

// An option of handle can change neither the access of a route nor what the document says about it.
func TestOptionsCannotOpenARoute(t *testing.T) {
	handler, _ := extend(t, io.Discard)
	if w := send(handler, http.MethodPost, "/notes", `{"text":"hi"}`, ""); w.Code != http.StatusUnauthorized {
		t.Errorf("without a token: status %d", w.Code)
	}
	document := send(handler, http.MethodGet, "/openapi.json", "", "").Body.String()
	for path, want := range map[string]int{"/notes": 1, "/weather": 0} {
		_, operation, _ := strings.Cut(document, `"`+path+`":{`)
		operation, _, _ = strings.Cut(operation, `"tags"`)
		if strings.Count(operation, `"security":[{"oauth2"`) != want {
			t.Errorf("%s: the document says %s", path, operation)
		}
	}
}

// The error of a handler goes to the log, and nothing of it to the client.
func TestHandlerErrorsAreLogged(t *testing.T) {
	var log bytes.Buffer
	handler, token := extend(t, &log)
	w := send(handler, http.MethodGet, "/notes/1", "", token)
	want := `{"title":"Internal Server Error","status":500,"detail":"Internal Server Error"}`
	if w.Code != http.StatusInternalServerError || w.Body.String() != want {
		t.Errorf("status %d, body %s", w.Code, w.Body)
	}
	if strings.Count(log.String(), "the disk is full") != 1 || strings.Contains(log.String(), token) {
		t.Errorf("log %q", log.String())
	}
}

// A line without access, or with an undescribed scope, is an error of New.
func TestIncompleteRoutes(t *testing.T) {
	add := handle(func(context.Context, *struct{}) (*noteOutput, error) { return nil, nil })
	for name, who := range map[string]access{
		"zero value":       {},
		"user, no scope":   byUser(),
		"client, no scope": byClient(),
		"open and scoped":  {open: true, scopes: []string{"profile"}},
		"unknown scope":    byUser("profile", "notes:delete"),
	} {
		_, err := newHandler(Config{Guard: bearertest.New(t).Guard()}, []route{{http.MethodGet, "/notes", who, "", add}})
		if err == nil || !strings.Contains(err.Error(), "GET /notes") {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

func TestNewNeedsAGuard(t *testing.T) {
	if _, err := New(Config{}); err == nil || !strings.Contains(err.Error(), "Guard") {
		t.Errorf("error %v", err)
	}
}
