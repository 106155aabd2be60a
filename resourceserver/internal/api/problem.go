package api

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/hallpass-auth/hallpass/shared/problem"
)

// Problem is the body of every error: the problem document of package problem, and
// for input that is not valid a list of what is wrong with it. The input itself is
// not in it: it may hold a secret.
type Problem struct {
	problem.Document
	Errors []FieldError `json:"errors,omitempty" nullable:"false" doc:"What is wrong, one entry for each field"`
}

// FieldError says what is wrong with one field of the request.
type FieldError struct {
	Field   string `json:"field" doc:"Where the field is and how it is called" example:"path.item_id"`
	Message string `json:"message" doc:"What is wrong with it" example:"invalid integer"`
}

// huma has one error type for a program, and these are its documented hooks to set
// it.
func init() {
	huma.NewError = newProblem
	huma.NewErrorWithContext = newProblemFor
}

// newProblem makes the error that huma.Error404NotFound and its kin return.
func newProblem(status int, detail string, errs ...error) huma.StatusError {
	p := &Problem{Document: problem.New(status, detail)}
	for _, err := range errs {
		if err == nil {
			continue
		}
		field := FieldError{Message: err.Error()}
		var located huma.ErrorDetailer
		if errors.As(err, &located) {
			d := located.ErrorDetail()
			field = FieldError{Field: d.Location, Message: d.Message}
		}
		p.Errors = append(p.Errors, field)
	}
	return p
}

// newProblemFor makes the errors that huma itself finds in a request.
func newProblemFor(ctx huma.Context, status int, detail string, errs ...error) huma.StatusError {
	if status >= http.StatusInternalServerError {
		return internalError(ctx.Context(), errors.Join(errs...))
	}
	p := newProblem(status, detail, errs...).(*Problem)
	p.Detail = strings.Join(append([]string{detail}, fieldTexts(p.Errors)...), ": ")
	return p
}

// internalError is the answer to what nobody foresaw. What err says is for the log
// only.
func internalError(ctx context.Context, err error) huma.StatusError {
	slog.ErrorContext(ctx, "request failed", "error", err)
	return newProblem(http.StatusInternalServerError, http.StatusText(http.StatusInternalServerError))
}

// statusError returns the error to answer with for one that a handler returned, and
// nil for nil.
func statusError(ctx context.Context, err error) error {
	var known huma.StatusError
	if err == nil || errors.As(err, &known) {
		return err
	}
	return internalError(ctx, err)
}

// writeError answers with the error of a handler, and the headers that it may have.
func writeError(ctx context.Context, w http.ResponseWriter, err error) {
	err = statusError(ctx, err)
	var withHeaders huma.HeadersError
	if errors.As(err, &withHeaders) {
		maps.Copy(w.Header(), withHeaders.GetHeaders())
	}
	var answer huma.StatusError
	errors.As(err, &answer)
	if err := writeJSON(w, answer.GetStatus(), answer); err != nil {
		problem.Write(w, http.StatusInternalServerError, http.StatusText(http.StatusInternalServerError))
	}
}

// fieldTexts says what is wrong in one text, or in none when nothing is.
func fieldTexts(fields []FieldError) []string {
	if len(fields) == 0 {
		return nil
	}
	texts := make([]string, len(fields))
	for i, f := range fields {
		texts[i] = strings.TrimSpace(f.Field + " " + f.Message)
	}
	return []string{strings.Join(texts, "; ")}
}

// Error returns the detail.
func (p *Problem) Error() string { return p.Detail }

// GetStatus returns the HTTP status; huma asks for it.
func (p *Problem) GetStatus() int { return p.Status }

// ContentType returns the media type of a problem document; huma asks for it.
func (p *Problem) ContentType(string) string { return problem.ContentType }
