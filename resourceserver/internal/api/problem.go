package api

import (
	"errors"
	"log/slog"
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

// newProblemFor makes the errors that huma itself answers with: input that is not
// valid, and a handler's error that has no status of its own. What the latter says
// is for the log only.
func newProblemFor(ctx huma.Context, status int, detail string, errs ...error) huma.StatusError {
	if status >= http.StatusInternalServerError {
		slog.ErrorContext(ctx.Context(), "request failed", "error", errors.Join(errs...))
		return newProblem(status, http.StatusText(status))
	}
	p := newProblem(status, detail, errs...).(*Problem)
	p.Detail = strings.Join(append([]string{detail}, fieldTexts(p.Errors)...), ": ")
	return p
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
