package humaapi

import (
	"errors"
	"log/slog"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/hallpass-auth/hallpass/shared/problem"
)

// Problem is the body of every error: a problem document and, for invalid input, a list of the invalid fields. It does
// not contain the input, which may hold a secret.
type Problem struct {
	problem.Document
	Errors []FieldError `json:"errors,omitempty" nullable:"false" doc:"What is wrong, one entry for each field"`

	cause error // for the log
}

// FieldError says what is wrong with one field of the request.
type FieldError struct {
	Field   string `json:"field" doc:"Location and name of the field"`
	Message string `json:"message" doc:"What is wrong with it"`
}

// huma gets its error type from these global variables.
func init() {
	huma.NewError = newProblem
	huma.NewErrorWithContext = newProblemFor
}

// NewProblem returns a problem with an HTTP status and a detail for the developer of the client. The cause, unless nil,
// is only for the log: see LogFailures.
func NewProblem(status int, detail string, cause error) *Problem {
	return &Problem{Document: problem.New(status, detail), cause: cause}
}

// InvalidField returns a problem with one field of the request, such as body.title.
func InvalidField(field, message string) *Problem {
	return describe(http.StatusUnprocessableEntity, "validation failed",
		&huma.ErrorDetail{Location: field, Message: message})
}

// newProblem returns the error of huma.Error404NotFound and similar functions.
func newProblem(status int, detail string, errs ...error) huma.StatusError {
	return withFields(status, detail, errs)
}

// newProblemFor returns the error with which huma itself responds: to invalid input, or when an operation returns an
// error that is not from huma. The text of the latter is only for the log.
func newProblemFor(_ huma.Context, status int, detail string, errs ...error) huma.StatusError {
	if status >= http.StatusInternalServerError {
		return NewProblem(status, http.StatusText(status), errors.Join(errs...))
	}
	return describe(status, detail, errs...)
}

// describe returns a problem whose detail also says what is wrong with each field.
func describe(status int, detail string, errs ...error) *Problem {
	p := withFields(status, detail, errs)
	texts := make([]string, len(p.Errors))
	for i, f := range p.Errors {
		texts[i] = strings.TrimSpace(f.Field + " " + f.Message)
	}
	if len(texts) > 0 {
		p.Detail += ": " + strings.Join(texts, "; ")
	}
	return p
}

// withFields returns a problem with the fields that the errors are about.
func withFields(status int, detail string, errs []error) *Problem {
	p := NewProblem(status, detail, nil)
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

// Error returns the detail.
func (p *Problem) Error() string { return p.Detail }

// GetStatus returns the HTTP status, for huma.
func (p *Problem) GetStatus() int { return p.Status }

// ContentType returns the media type of a problem document, for huma.
func (p *Problem) ContentType(string) string { return problem.ContentType }

// LogFailures returns a transformer that logs the cause of each problem that has one. It changes nothing.
func LogFailures(log *slog.Logger) huma.Transformer {
	return func(ctx huma.Context, _ string, v any) (any, error) {
		if p, ok := v.(*Problem); ok && p.cause != nil {
			log.ErrorContext(ctx.Context(), "request failed", "error", p.cause)
		}
		return v, nil
	}
}
