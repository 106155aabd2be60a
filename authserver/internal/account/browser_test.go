package account_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
)

// browsers signs browsers at a time that the test changes.
func browsers(key string) (l *account.Login, now *time.Time) {
	now = new(time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC))
	return &account.Login{NameKey: []byte(key), Now: func() time.Time { return *now }}, now
}

func userOf(i int) account.User { return account.User{ID: fmt.Sprint("usr_", i), PasswordVersion: 7} }

// A browser knows the last five users for 90 days, and no cookie that it did not get.
func TestBrowser(t *testing.T) {
	t.Parallel()
	l, now := browsers("key")
	other, _ := browsers("other key")
	var b account.Browser
	for i := range 7 {
		b = account.ParseBrowser(l.WithLogin(b, userOf(i), fmt.Sprint("id", i)).String())
	}
	b = l.WithLogin(b, userOf(3), "new")
	for i := range 7 {
		if got := l.Knows(b, userOf(i)); got != slices.Contains([]int{3, 4, 5, 6, 2}, i) {
			t.Errorf("user %d is known: %v", i, got)
		}
	}
	parts := strings.Split(b.String(), ".")
	if len(b.String()) > 200 || parts[0] != "id0" {
		t.Errorf("cookie %q", b)
	}
	for name, cookie := range map[string]string{
		"empty": "", "no id": "." + parts[1], "only an id": parts[0], "another id": "id1." + parts[1],
		"too many": b.String() + "." + parts[1], "too long an id": strings.Repeat("x", 65) + "." + parts[1],
		"another day": parts[0] + ".B" + parts[1][1:], "cut": b.String()[:40], "no base64url": parts[0] + "." + parts[1][:26] + "!",
	} {
		if l.Knows(account.ParseBrowser(cookie), userOf(3)) {
			t.Errorf("%s: known", name)
		}
	}
	if other.Knows(b, userOf(3)) {
		t.Error("a server with another key knows it")
	}
	changed := userOf(3)
	changed.PasswordVersion++
	if l.Knows(b, changed) {
		t.Error("known with another password")
	}
	start := *now
	for after, want := range map[time.Duration]bool{
		account.KnownFor: true, account.KnownFor + 48*time.Hour: false, -24 * time.Hour: true, -72 * time.Hour: false,
	} {
		*now = start.Add(after)
		if got := l.Knows(b, userOf(3)); got != want {
			t.Errorf("after %v: known %v", after, got)
		}
	}
}

// A user is known in no browser but those of a login.
func FuzzBrowser(f *testing.F) {
	l, _ := browsers("key")
	genuine := l.WithLogin(account.Browser{}, userOf(1), "id").String()
	for _, seed := range []string{
		genuine, "", ".", "id.", genuine + ".", genuine + genuine[2:], "id" + strings.Repeat(".", 9),
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, cookie string) {
		b := account.ParseBrowser(cookie)
		has := strings.HasPrefix(cookie, "id.") && slices.Contains(strings.Split(cookie, ".")[1:], genuine[3:])
		if l.Knows(b, userOf(1)) && !has {
			t.Errorf("%q is known", cookie)
		}
		if again := account.ParseBrowser(l.WithLogin(b, userOf(2), "x").String()); !l.Knows(again, userOf(2)) {
			t.Errorf("%q cannot be added to", cookie)
		}
	})
}
