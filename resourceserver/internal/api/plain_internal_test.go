package api

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-auth/hallpass/shared/bearertest"
	"github.com/hallpass-auth/hallpass/shared/token"
)

// An operation without input is not served by huma. Nobody can tell by its answers:
// each outcome of a handler looks as it does when huma serves it.
func TestPlainAnswersAsHuma(t *testing.T) {
	if !isPlain[struct{}, noteOut]() || isPlain[someInput, noteOut]() {
		t.Fatal("the two ways are not compared")
	}
	for name, outcome := range map[string]struct {
		out *noteOut
		err error
	}{
		"body":               {out: &noteOut{Body: note{Text: "<a> & é"}}},
		"nothing":            {},
		"error of huma":      {err: huma.Error404NotFound("There is no such note")},
		"error with headers": {err: huma.ErrorWithHeaders(huma.Error429TooManyRequests("Later"), http.Header{"Retry-After": {"7"}})},
		"error with fields":  {err: huma.Error422UnprocessableEntity("Not so", &huma.ErrorDetail{Location: "body.text", Message: "wrong", Value: "secret"})},
		"wrapped error":      {err: errors.Join(errors.New("hidden"), huma.Error409Conflict("There is one"))},
		"other error":        {err: errors.New("hidden")},
	} {
		got := answerOf(t, handle(func(_ context.Context, _ *token.Claims, _ *struct{}) (*noteOut, error) {
			return outcome.out, outcome.err
		}))
		want := answerOf(t, handle(func(_ context.Context, _ *token.Claims, _ *someInput) (*noteOut, error) {
			return outcome.out, outcome.err
		}))
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-huma +plain):\n%s", name, diff)
		}
	}
}

type noteOut struct{ Body note }

type someInput struct {
	X string `query:"x"`
}

// answer is what can be told apart from outside.
type answer struct {
	Status int
	Header http.Header
	Body   string
}

// answerOf returns the answer of a route that add makes.
func answerOf(t *testing.T, add func(*operations, huma.Operation) serve) answer {
	t.Helper()
	rt := newRouter()
	cfg := Config{Verifier: bearertest.New(t).Verifier()}
	if _, err := register(rt, cfg, []route{{http.MethodGet, "/note", byAnyone, "Read the note", add}}); err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	rt.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/note", nil))
	return answer{w.Code, w.Header(), w.Body.String()}
}

// What is served by huma although it is without input: an operation with a
// middleware of huma's, and outputs with more than a body.
func TestNotPlain(t *testing.T) {
	got := answerOf(t, handle(func(context.Context, *token.Claims, *struct{}) (*noteOut, error) { return &noteOut{}, nil },
		func(op *huma.Operation) {
			op.Middlewares = huma.Middlewares{func(ctx huma.Context, next func(huma.Context)) {
				ctx.SetHeader("X-Middleware", "ran")
				next(ctx)
			}}
		}))
	if got.Header.Get("X-Middleware") != "ran" {
		t.Errorf("the middleware did not run: %+v", got)
	}
	if isPlain[struct{}, noteOutput]() || isPlain[struct{}, struct{ Body []byte }]() || isPlain[struct{}, struct{}]() || isPlain[struct{}, struct{ Location string }]() {
		t.Error("an output is taken for a body alone")
	}
}

// A body that has no JSON form is an error, not half an answer.
func TestPlainBodyWithoutJSON(t *testing.T) {
	type unspeakable struct{ Body struct{ F badJSON } }
	got := answerOf(t, handle(func(context.Context, *token.Claims, *struct{}) (*unspeakable, error) { return &unspeakable{}, nil }))
	if got.Status != http.StatusInternalServerError || got.Body != `{"title":"Internal Server Error","status":500,"detail":"Internal Server Error"}` {
		t.Errorf("%+v", got)
	}
}

type badJSON struct{}

func (badJSON) MarshalJSON() ([]byte, error) { return nil, errors.New("hidden") }
