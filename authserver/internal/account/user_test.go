package account_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
)

func TestNew(t *testing.T) {
	t.Parallel()
	now := time.Now()
	names := []string{
		"j", "john.doe", "John Doe", "o'brien", `"q"`, "josé", "日本語", "100%", "<b>",
		strings.Repeat("é", 64),
	}
	ids := map[string]bool{}
	for _, name := range names {
		u, err := account.New(name, name, "hash", now)
		if err != nil {
			t.Errorf("%q: %v", name, err)
			continue
		}
		if u.Username != name || u.Name != name || u.PasswordHash != "hash" || !u.CreatedAt.Equal(now) || !u.Active() {
			t.Errorf("%q: got %+v", name, u)
		}
		if !strings.HasPrefix(u.ID, account.IDPrefix) || ids[u.ID] {
			t.Errorf("%q: got the id %s, want a new one with the prefix %s", name, u.ID, account.IDPrefix)
		}
		ids[u.ID] = true
	}
}

func TestNewTrimsUsername(t *testing.T) {
	t.Parallel()
	u, err := account.New(" jose\u0301 ", "José", "hash", time.Now())
	if err != nil || u.Username != "josé" {
		t.Errorf("got %q, %v", u.Username, err)
	}
	for _, name := range []string{" a", "a ", "a\u00a0", "\ta", "a\n"} {
		if _, err := account.New("a", name, "hash", time.Now()); !errors.Is(err, account.ErrBadName) {
			t.Errorf("name %q: got %v, want %v", name, err, account.ErrBadName)
		}
	}
}

func TestNewRejectsNames(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, says string }{
		{"", "empty"},
		{strings.Repeat("x", 129), "128 bytes"},
		{strings.Repeat("é", 65), "128 bytes"},
		{"a\xff", "UTF-8"},
		{"a\nb", "printed"}, {"a\x00b", "printed"}, {"a\x1b[31mb", "printed"}, {"a\u200bb", "printed"},
		{"a\u202eb", "printed"}, {"a\u00a0b", "printed"}, {"\ufeffa", "printed"}, {"a\x7f", "printed"},
	}
	for _, tt := range tests {
		for _, what := range []string{"username", "name"} {
			username, name := "good", tt.name
			if what == "username" {
				username, name = tt.name, "good"
			}
			u, err := account.New(username, name, "hash", time.Now())
			if !errors.Is(err, account.ErrBadName) || !strings.Contains(err.Error(), what) ||
				!strings.Contains(err.Error(), tt.says) || u.ID != "" {
				t.Errorf("%s %q: got %+v, %v, want an error with %q", what, tt.name, u, err, tt.says)
			}
		}
	}
}
