package adminapi

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/hallpass-auth/hallpass/shared/keyring"
	"github.com/hallpass-auth/hallpass/shared/oauth"
	"github.com/hallpass-auth/hallpass/shared/problem"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/admin"
	"github.com/hallpass-auth/hallpass/authserver/internal/client"
	"github.com/hallpass-auth/hallpass/authserver/internal/emailcheck"
	"github.com/hallpass-auth/hallpass/authserver/internal/keyfile"
	"github.com/hallpass-auth/hallpass/authserver/internal/record"
	"github.com/hallpass-auth/hallpass/authserver/internal/resource"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
	"github.com/hallpass-auth/hallpass/authserver/internal/webhook"
)

// Problem is the body of every error: a problem document (RFC 9457) and, for invalid input, a list of the invalid
// fields. It does not contain the input, which may hold a secret.
type Problem struct {
	problem.Document
	Errors []FieldError `json:"errors,omitempty" nullable:"false" doc:"What is wrong, one entry for each field"`

	cause error // for the log
}

// FieldError says what is wrong with one field of the request.
type FieldError struct {
	Field   string `json:"field" doc:"Location and name of the field" example:"body.email"`
	Message string `json:"message" doc:"What is wrong with it" example:"expected string"`
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

// newProblemFor returns the error with which huma itself responds: to invalid input, or when an operation returns an
// error that is not from huma. The text of the latter is only for the log.
func newProblemFor(_ huma.Context, status int, detail string, errs ...error) huma.StatusError {
	if status >= http.StatusInternalServerError {
		return &Problem{Document: problem.New(status, http.StatusText(status)), cause: errors.Join(errs...)}
	}
	p := newProblem(status, detail, errs...).(*Problem) //nolint:forcetypeassert // it is always one
	texts := []string{detail}
	for _, f := range p.Errors {
		texts = append(texts, strings.TrimSpace(f.Field+" "+f.Message))
	}
	p.Detail = strings.Join(texts, ": ")
	return p
}

// Error returns the detail.
func (p *Problem) Error() string { return p.Detail }

// GetStatus returns the HTTP status, for huma.
func (p *Problem) GetStatus() int { return p.Status }

// ContentType returns the media type of a problem document, for huma.
func (p *Problem) ContentType(string) string { return problem.ContentType }

// problems maps errors to their status. The text of an error is its detail, unless there is another one. The first
// entry that matches counts.
var problems = []struct {
	err    error
	status int
	detail string
}{
	{client.ErrBad, http.StatusUnprocessableEntity, ""}, // also one that names an API that is not found
	{record.ErrNotFound, http.StatusNotFound, ""},
	{record.ErrExists, http.StatusConflict, ""},
	{record.ErrCursor, http.StatusBadRequest, ErrCursor.Error()},
	{admin.ErrLastAdministrator, http.StatusConflict, "It is the last administrator. Make another one first."},
	{admin.ErrChanged, http.StatusPreconditionFailed, "It has changed since the ETag of If-Match. Read it again."},
	{admin.ErrNoMail, http.StatusUnprocessableEntity, ""},
	{admin.ErrNotInGroup, http.StatusUnprocessableEntity, ""},
	{account.ErrBadName, http.StatusUnprocessableEntity, ""},
	{account.ErrBadIdentity, http.StatusUnprocessableEntity, ""},
	{account.ErrWeakPassword, http.StatusUnprocessableEntity, ""},
	{account.ErrEmailTaken, http.StatusConflict, ""},
	{emailcheck.ErrNothingToVerify, http.StatusUnprocessableEntity, ""},
	{resource.ErrBad, http.StatusUnprocessableEntity, ""},
	{resource.ErrDefault, http.StatusConflict, ""},
	{admin.ErrAdminAPI, http.StatusConflict, ""},
	{admin.ErrLacksScope, http.StatusUnprocessableEntity, ""},
	{admin.ErrBadKeepOld, http.StatusUnprocessableEntity, ""},
	{admin.ErrNoKeysFile, http.StatusConflict, ""},
	{admin.ErrKeysElsewhere, http.StatusConflict, ""},
	{keyfile.ErrBusy, http.StatusConflict, ""},
	{keyring.ErrNoKey, http.StatusUnprocessableEntity, ""},
	{webhook.ErrBad, http.StatusUnprocessableEntity, ""},
	{webhook.ErrTooMany, http.StatusConflict, ""},
	{oauth.ErrInvalidScope, http.StatusUnprocessableEntity, ""},
	{store.ErrUnavailable, http.StatusServiceUnavailable, "The database cannot be reached right now."},
	{context.Canceled, http.StatusServiceUnavailable, "The request was canceled."},
	{context.DeadlineExceeded, http.StatusServiceUnavailable, "The request took too long."},
}

// asProblem returns the response to an error of an operation. An unknown one becomes a 500 with a fixed text; its cause
// is logged, like that of an unavailable database.
func asProblem(err error) error {
	var known huma.StatusError
	if errors.As(err, &known) {
		return err
	}
	var busy *account.OverloadedError
	if errors.As(err, &busy) {
		return &Problem{Document: problem.New(http.StatusServiceUnavailable, "Too many passwords are being checked.")}
	}
	for _, p := range problems {
		if !errors.Is(err, p.err) {
			continue
		}
		detail := p.detail
		if detail == "" {
			detail = err.Error()
		}
		response := &Problem{Document: problem.New(p.status, detail)}
		if errors.Is(err, store.ErrUnavailable) {
			response.cause = err
		}
		return response
	}
	const status = http.StatusInternalServerError
	return &Problem{Document: problem.New(status, http.StatusText(status)), cause: err}
}
