package resource_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/resource"
)

// valid returns a valid API.
func valid() resource.API {
	return resource.API{Audience: "https://api.example", Name: "API", Scope: oauth.Scope{"items:read"}}
}

func TestValidAPIs(t *testing.T) {
	for _, audience := range []string{"https://api.example", "urn:example:api"} {
		a := valid()
		a.Audience = audience
		if err := a.Validate(); err != nil {
			t.Errorf("%s: %v", audience, err)
		}
	}
	for _, name := range []string{"x", "Jürgen's \"API\" 😀", strings.Repeat("é", 64)} {
		a := valid()
		a.Name = name
		if err := a.Validate(); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
}

// See oauth.ValidateAudience for the rule.
func TestInvalidAudiences(t *testing.T) {
	for _, audience := range []string{
		"", "api", "https://api.example#x", "https://user:geheim@api.example",
		"https://a.example/" + strings.Repeat("x", 255),
	} {
		a := valid()
		a.Audience = audience
		if err := a.Validate(); !errors.Is(err, resource.ErrBad) || !strings.Contains(err.Error(), "absolute URI") {
			t.Errorf("%q: error %v, want ErrBad about the URI", audience, err)
		}
	}
}

func TestInvalidAPIs(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(*resource.API)
		says   string
	}{
		"no name":                {func(a *resource.API) { a.Name = "" }, "name"},
		"long name":              {func(a *resource.API) { a.Name = strings.Repeat("x", 129) }, "128"},
		"name of spaces":         {func(a *resource.API) { a.Name = "   " }, "name begins or ends with a space"},
		"name with outer spaces": {func(a *resource.API) { a.Name = " a" }, "name begins or ends with a space"},
		"name not UTF-8":         {func(a *resource.API) { a.Name = "a\xff" }, "UTF-8"},
		"name with a line break": {func(a *resource.API) { a.Name = "a\nb" }, "printed"},
		"name with an escape":    {func(a *resource.API) { a.Name = "a\x1b[31mb" }, "printed"},
		"no scope":               {func(a *resource.API) { a.Scope = nil }, "scope"},
	} {
		a := valid()
		tt.change(&a)
		if err := a.Validate(); !errors.Is(err, resource.ErrBad) || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: error %v, want ErrBad with %q in it", name, err, tt.says)
		}
	}
}
