package api

import (
	"errors"
	"testing"

	"github.com/danielgtaylor/huma/v2"

	"github.com/hallpass-auth/hallpass/resourceserver/internal/items"
)

// Limits are explained to clients in sentences.
func TestLimitsAsProblems(t *testing.T) {
	for _, tt := range []struct {
		err    error
		status int
		text   string
	}{
		{items.ErrTooMany, 409, "There are 10000 items already, and no more are allowed"},
		{items.ErrTooManyKeys, 429, "10000 idempotency keys were used within 24 hours"},
	} {
		var got huma.StatusError
		if err := asProblem(tt.err); !errors.As(err, &got) || got.GetStatus() != tt.status || got.Error() != tt.text {
			t.Errorf("%v: problem %q, want %d %q", tt.err, err, tt.status, tt.text)
		}
	}
}
