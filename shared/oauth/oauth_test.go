package oauth_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-auth/hallpass/shared/oauth"
)

func TestParseScope(t *testing.T) {
	tests := []struct {
		in   string
		want oauth.Scope
		err  error
	}{
		{in: "", want: nil},
		{in: "  ", want: nil},
		{in: "a", want: oauth.Scope{"a"}},
		{in: "a b a", want: oauth.Scope{"a", "b"}},
		{in: " a  b ", want: oauth.Scope{"a", "b"}},
		{in: "items:read https://x.test/s", want: oauth.Scope{"items:read", "https://x.test/s"}},
		{in: "a\tb", err: oauth.ErrInvalidScope},
		{in: `a"b`, err: oauth.ErrInvalidScope},
		{in: `a\b`, err: oauth.ErrInvalidScope},
		{in: "a\x00", err: oauth.ErrInvalidScope},
		{in: "é", err: oauth.ErrInvalidScope},
		{in: strings.Repeat("x", 1025), err: oauth.ErrInvalidScope},
	}
	for _, tt := range tests {
		got, err := oauth.ParseScope(tt.in)
		if !errors.Is(err, tt.err) {
			t.Errorf("ParseScope(%q): error %v, want %v", tt.in, err, tt.err)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("ParseScope(%q) (-want +got):\n%s", tt.in, diff)
		}
	}
}

// A parsed scope has the same tokens after String and ParseScope, and each follows the grammar of RFC
// 6749 section 3.3.
func FuzzParseScope(f *testing.F) {
	for _, s := range []string{"", "a", "a b", " a  a", "é", `"`, "\\", "\x7f"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		scope, err := oauth.ParseScope(in)
		if err != nil {
			if scope != nil {
				t.Fatalf("ParseScope(%q) gave %q beside an error", in, scope)
			}
			return
		}
		again, err := oauth.ParseScope(scope.String())
		if err != nil || !cmp.Equal(scope, again) {
			t.Fatalf("ParseScope(%q) = %q, and String parses to %q, %v", in, scope, again, err)
		}
		if token, missing := scope.Missing(strings.Fields(in)...); missing {
			t.Fatalf("ParseScope(%q) lost %q", in, token)
		}
	})
}

// An error_description has only %x20-21 / %x23-5B / %x5D-7E (RFC 6749 section 5.2).
func TestDescriptionText(t *testing.T) {
	var all strings.Builder
	for r := rune(0); r < 0x200; r++ {
		all.WriteRune(r)
	}
	for _, r := range oauth.ErrInvalidRequest.Describe(all.String()).Description {
		if r < 0x20 || r > 0x7E || r == '"' || r == '\\' {
			t.Errorf("%q is not allowed in an error_description", r)
		}
	}
}

func TestErrorsMatchByCode(t *testing.T) {
	err := fmt.Errorf("login: %w", oauth.ErrInvalidGrant.Describe("Incorrect username or password"))
	if !errors.Is(err, oauth.ErrInvalidGrant) {
		t.Errorf("%v is not ErrInvalidGrant", err)
	}
	if errors.Is(err, oauth.ErrInvalidClient) {
		t.Errorf("%v is ErrInvalidClient", err)
	}
	if errors.Is(err, errors.New("invalid_grant")) {
		t.Errorf("%v matches an error of another type", err)
	}
}
