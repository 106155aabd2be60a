package resource_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/resource"
)

func TestValidateScopeDescription(t *testing.T) {
	const text = "See your items"
	for _, row := range []struct {
		scope, text string
		want        error
	}{
		{"items:read", text, nil},
		{"https://api.example/scope", "Jürgens „Dinge“ sehen 😀", nil},
		{"x", strings.Repeat("m", 128), nil},
		{"x", strings.Repeat("m", 129), resource.ErrBad},
		{"x", "", resource.ErrBad},
		{"x", "  ", resource.ErrBad},
		{"x", text + " ", resource.ErrBad},
		{"x", "two\nlines", resource.ErrBad},
		{"x", "\u202eesrever", resource.ErrBad},
		{"x", "not \xff UTF-8", resource.ErrBad},
		{"", text, resource.ErrBad},
		{"a b", text, resource.ErrBad},
		{" a", text, resource.ErrBad},
		{`a"b`, text, oauth.ErrInvalidScope},
		{"é", text, oauth.ErrInvalidScope},
	} {
		d := resource.ScopeDescription{Scope: row.scope, Text: row.text}
		if err := d.Validate(); !errors.Is(err, row.want) {
			t.Errorf("%+q: error %v, want %v", d, err, row.want)
		}
	}
}
