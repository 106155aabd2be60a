package api

import (
	"errors"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/hallpass-auth/hallpass/shared/problem"
)

// Problem is the body of every error: the document of package problem and, for invalid input, a list of
// the invalid fields. It does not contain the input, which may hold a secret.
type Problem struct {
	problem.Document
	Errors []FieldError `json:"errors,omitempty" nullable:"false" doc:"What is wrong, one entry for each field"`

	cause error // for the log
}

// FieldError says what is wrong with one field of the request.
type FieldError struct {
	Field   string `json:"field" doc:"Location and name of the field" example:"path.item_id"`
	Message string `json:"message" doc:"What is wrong with it" example:"invalid integer"`
}

// huma gets its error type from these global variables.
func init() {
	huma.NewError = newProblem
	huma.NewErrorWithContext = newProblemFor
}

// newProblem returns the error of huma.Error404NotFound and similar functions.
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

// newProblemFor returns the error with which huma itself responds: to invalid input, or when a handler
// returns an error that is not from huma. The text of the latter is only for the log.
func newProblemFor(_ huma.Context, status int, detail string, errs ...error) huma.StatusError {
	if status >= http.StatusInternalServerError {
		return &Problem{Document: problem.New(status, http.StatusText(status)), cause: errors.Join(errs...)}
	}
	p := newProblem(status, detail, errs...).(*Problem)
	p.Detail = strings.Join(append([]string{detail}, fieldTexts(p.Errors)...), ": ")
	return p
}

// fieldTexts returns one text about all the fields, or no text if there are no fields.
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

// GetStatus returns the HTTP status, for huma.
func (p *Problem) GetStatus() int { return p.Status }

// ContentType returns the media type of a problem document, for huma.
func (p *Problem) ContentType(string) string { return problem.ContentType }
