package api

import (
	"errors"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/hallpass-auth/hallpass/resourceserver/internal/items"
	"github.com/hallpass-auth/hallpass/shared/database"
	"github.com/hallpass-auth/hallpass/shared/humaapi"
)

// Details of problems with items.
const (
	detailUnavailable = "Items are not available right now"
	detailChanged     = "The item has changed or does not exist: read it again"
)

// How long a client should wait, in seconds.
const (
	databaseRetryAfter = "5"    // for the database to come back
	keysRetryAfter     = "3600" // for idempotency keys to expire
)

// asProblem returns the response to an error of package items, or the error itself.
func asProblem(err error) error {
	var field *items.FieldError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &field):
		return humaapi.InvalidField("body."+field.Field, field.Message)
	case errors.Is(err, items.ErrNotFound):
		return huma.Error404NotFound(http.StatusText(http.StatusNotFound))
	case errors.Is(err, items.ErrCondition):
		return huma.Error412PreconditionFailed(detailChanged)
	case errors.Is(err, items.ErrTooMany):
		return huma.Error409Conflict(sentence(items.ErrTooMany))
	case errors.Is(err, items.ErrKeyReused):
		return humaapi.InvalidField("header.Idempotency-Key", "was used before with another request")
	case errors.Is(err, items.ErrTooManyKeys):
		return huma.ErrorWithHeaders(huma.Error429TooManyRequests(sentence(items.ErrTooManyKeys)),
			http.Header{"Retry-After": {keysRetryAfter}})
	case errors.Is(err, database.ErrUnavailable):
		unavailable := humaapi.NewProblem(http.StatusServiceUnavailable, detailUnavailable, err)
		return huma.ErrorWithHeaders(unavailable, http.Header{"Retry-After": {databaseRetryAfter}})
	}
	return err
}

// sentence returns the text of an error as a sentence for clients.
func sentence(err error) string {
	text := err.Error()
	return strings.ToUpper(text[:1]) + text[1:]
}
