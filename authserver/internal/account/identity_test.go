package account_test

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
)

func TestPrepareEmail(t *testing.T) {
	for text, want := range map[string]string{
		"ada@example.com":                         "ada@example.com",
		" Ada+x@Example.com ":                     "Ada+x@Example.com",
		"jo\u0308rg@example.com":                  "j\u00f6rg@example.com",
		strings.Repeat("a", 242) + "@example.com": strings.Repeat("a", 242) + "@example.com",
	} {
		if got, err := account.PrepareEmail(text); err != nil || got != want {
			t.Errorf("%q: %q, %v, want %q", text, got, err, want)
		}
	}
	for _, text := range []string{
		"", " ", "ada", "@", "ada@", "@example.com", "a@b@c", "a b@example.com", "a@example .com", "a@example.com\nbcc: x",
		"a\x00@example.com", "a\xff@example.com", "\u202ea@example.com", strings.Repeat("a", 243) + "@example.com",
	} {
		if got, err := account.PrepareEmail(text); !errors.Is(err, account.ErrBadIdentity) {
			t.Errorf("%q: %q, %v, want ErrBadIdentity", text, got, err)
		}
	}
}

func TestPrepareGroups(t *testing.T) {
	got, err := account.PrepareGroups([]string{"staff", "admins:eu", "staff", "https://x.example/g"})
	if want := []string{"admins:eu", "https://x.example/g", "staff"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, %v, want %v", got, err, want)
	}
	if got, err := account.PrepareGroups(nil); got != nil || err != nil {
		t.Errorf("no groups: %v, %v", got, err)
	}
	var many []string
	for i := range 51 {
		many = append(many, strconv.Itoa(i))
	}
	for _, names := range [][]string{
		{""}, {"a b"}, {" a"}, {`a"`}, {`a\`}, {"é"}, {"a\n"}, {strings.Repeat("g", 65)}, many,
	} {
		if got, err := account.PrepareGroups(names); !errors.Is(err, account.ErrBadIdentity) {
			t.Errorf("%q: %v, %v, want ErrBadIdentity", names, got, err)
		}
	}
}
