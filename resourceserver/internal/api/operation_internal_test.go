package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"

	"github.com/hallpass-auth/hallpass/shared/bearertest"
	"github.com/hallpass-auth/hallpass/shared/token"
)

// What a team adds: a line for each operation, and a handler.

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

var grown = []route{
	{http.MethodPost, "/notes", byUser("profile"), "Write a note",
		handle(func(_ context.Context, _ *token.Claims, in *newNoteInput) (*noteOutput, error) {
			return &noteOutput{Location: "/notes/1", Body: in.Body}, nil
		}, func(op *huma.Operation) {
			op.DefaultStatus, op.Security, op.Path = http.StatusCreated, nil, "/elsewhere"
		})},
	{http.MethodGet, "/notes/{note_id}", byUser("profile"), "Read a note",
		handle(func(_ context.Context, _ *token.Claims, in *noteInput) (*noteOutput, error) {
			if in.NoteID == 404 {
				return nil, huma.Error404NotFound("There is no such note")
			}
			return nil, errors.New("the disk is full of passwords")
		})},
	{http.MethodDelete, "/notes/{note_id}", byUser("profile"), "Burn a note",
		handle(func(context.Context, *token.Claims, *noteInput) (*struct{}, error) { return nil, nil })},
	{http.MethodGet, "/weather", byAnyone, "Show the weather",
		handle(func(_ context.Context, caller *token.Claims, _ *struct{}) (*noteOutput, error) {
			if caller != nil {
				return nil, errors.New("a caller in an open route")
			}
			return &noteOutput{Body: note{Text: "<fine>"}}, nil
		})},
}

// grow returns the API with the routes added, its OpenAPI document, and a good
// token.
func grow(t *testing.T, added []route) (*router, *huma.OpenAPI, string) {
	t.Helper()
	issuer := bearertest.New(t)
	rt := newRouter()
	description, err := register(rt, Config{Verifier: issuer.Verifier()}, append(append([]route{}, routes...), added...))
	if err != nil {
		t.Fatal(err)
	}
	return rt, description, issuer.Token("profile")
}

func TestAddedRoutes(t *testing.T) {
	rt, description, token := grow(t, grown)
	for _, tt := range []struct {
		name, method, path, body string
		status                   int
		want                     string
		location, allow          string
	}{
		{name: "create", method: "POST", path: "/notes", body: `{"text":"hi"}`, status: 201, want: `{"text":"hi"}`, location: "/notes/1"},
		{name: "too long", method: "POST", path: "/notes", body: `{"text":"secret secret"}`, status: 422, want: `"field":"body.text"`},
		{name: "unknown field", method: "POST", path: "/notes", body: `{"text":"hi","secret":1}`, status: 422, want: `"field":"body.secret"`},
		{name: "not JSON", method: "POST", path: "/notes", body: `{"text":`, status: 400, want: `"field":"body"`},
		{name: "no body", method: "POST", path: "/notes", status: 400, want: `"detail":"request body is required"`},
		{name: "too large", method: "POST", path: "/notes", body: strings.Repeat(" ", 1<<20), status: 413, want: `"status":413`},
		{name: "not there", method: "GET", path: "/notes/404", status: 404, want: `{"title":"Not Found","status":404,"detail":"There is no such note"}`},
		{name: "delete", method: "DELETE", path: "/notes/1", status: 204},
		{name: "other method", method: "PUT", path: "/notes/1", status: 405, allow: "GET, HEAD, DELETE"},
		{name: "other method of a list", method: "GET", path: "/notes", status: 405, allow: "POST"},
		{name: "open", method: "GET", path: "/weather", status: 200, want: `{"text":"<fine>"}`},
	} {
		r := httptest.NewRequest(tt.method, tt.path, strings.NewReader(tt.body))
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Authorization", "Bearer "+token)
		w := httptest.NewRecorder()
		rt.ServeHTTP(w, r)
		if w.Code != tt.status || !strings.Contains(w.Body.String(), tt.want) || w.Header().Get("Location") != tt.location || w.Header().Get("Allow") != tt.allow {
			t.Errorf("%s: status %d, header %v, body %s", tt.name, w.Code, w.Header(), w.Body)
		}
		if strings.Contains(w.Body.String(), "secret secret") {
			t.Errorf("%s: the input is in the body %s", tt.name, w.Body)
		}
		if tt.status >= 400 && w.Header().Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: Content-Type %q", tt.name, w.Header().Get("Content-Type"))
		}
	}
	if description.Paths["/notes"].Post.Responses["201"] == nil || description.Paths["/notes"].Post.Security == nil || description.Paths["/weather"].Get.Security != nil {
		t.Error("the document does not say what the lines say")
	}
}

// What a handler's error says goes to the log, with nothing of it in the answer.
func TestHandlerErrorsStayInside(t *testing.T) {
	var log bytes.Buffer
	before := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(&log, nil)))
	defer slog.SetDefault(before)

	rt, _, token := grow(t, grown)
	r := httptest.NewRequest(http.MethodGet, "/notes/1", nil)
	r.Header.Set("Authorization", "Bearer "+token)
	w := httptest.NewRecorder()
	rt.ServeHTTP(w, r)
	if want := `{"title":"Internal Server Error","status":500,"detail":"Internal Server Error"}`; w.Code != http.StatusInternalServerError || w.Body.String() != want {
		t.Errorf("status %d, body %s", w.Code, w.Body)
	}
	if !strings.Contains(log.String(), "the disk is full") || strings.Contains(log.String(), token) {
		t.Errorf("log %q", log.String())
	}
}

// A line that does not say who may call, or names a scope that nobody can read
// about, stops the program at its start.
func TestIncompleteRoutes(t *testing.T) {
	add := handle(func(context.Context, *token.Claims, *struct{}) (*noteOutput, error) { return nil, nil })
	for name, who := range map[string]access{
		"nothing said":     {},
		"user, no scope":   byUser(),
		"client, no scope": byClient(),
		"open and scoped":  {open: true, scopes: []string{"profile"}},
		"unknown scope":    byUser("profile", "notes:burn"),
	} {
		_, err := register(newRouter(), Config{Verifier: bearertest.New(t).Verifier()}, []route{{http.MethodGet, "/notes", who, "", add}})
		if err == nil || !strings.Contains(err.Error(), "GET /notes") {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

func TestNewNeedsAVerifier(t *testing.T) {
	if _, err := New(Config{}); err == nil || !strings.Contains(err.Error(), "Verifier") {
		t.Errorf("error %v", err)
	}
}

// A value that has no JSON form is an error to huma, and the next answer is whole.
func TestMarshalAfterAnError(t *testing.T) {
	if err := (&operations{}).Marshal(io.Discard, jsonType, map[string]any{"a": func() {}}); err == nil {
		t.Error("a function has a JSON form")
	}
	var b bytes.Buffer
	if err := (&operations{}).Marshal(&b, jsonType, note{Text: "<&>"}); err != nil || b.String() != `{"text":"<&>"}` {
		t.Errorf("error %v, body %q", err, b.String())
	}
	if !json.Valid(b.Bytes()) {
		t.Error("not JSON")
	}
}
