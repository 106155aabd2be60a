package account_test

import (
	"errors"
	"os"
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/crypto/bcrypt"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
)

// CHECKLIST 67: 8 characters at least, no composition rules, a blocklist, no
// truncation.
func TestCheckPassword(t *testing.T) {
	tests := []struct {
		password string
		says     string // empty: accepted
	}{
		{"securepassword", ""},
		{"anothersecurepass", ""},
		{"ninechars", ""},                         // neither digits nor capitals nor signs are asked for
		{"hk4 tz9x", ""},                          // 8 characters
		{"        a", ""},                         // spaces are characters
		{"пароль99", ""},                          // 8 characters, 14 bytes
		{"😀😃😄😁😆😅😂🤣", ""},                          // 8 characters, 32 bytes
		{"abcdabcd", ""},                          // twice is not again and again
		{"password9876", ""},                      // not on the list, though one begins like it
		{strings.Repeat("aB3$", 17) + "end!", ""}, // 72 bytes
		{"", "8 characters"},
		{"sevench", "8 characters"},
		{"😀😃😄😁😆😅😂", "8 characters"}, // 28 bytes
		{strings.Repeat("aB3$", 17) + "end!x", "73 bytes"},
		{strings.Repeat("é1", 25), "75 bytes"}, // 50 characters
		{strings.Repeat("x", 5000) + "y", "5001 bytes"},
		{"password1", "guessed"},
		{"PassWord1", "guessed"},
		{"CONTRASEÑA", "guessed"},
		{"aaaaaaaa", "guessed"},
		{"abcabcabc", "guessed"},
		{"ABABABAB", "guessed"},
		{"john.doe.smith", "username"},
		{"John.Doe.SMITH", "username"},
		{"securepass\x00word", "UTF-8"},
		{"securepass\xffword", "UTF-8"},
	}
	for _, tt := range tests {
		err := account.CheckPassword("john.doe.smith", tt.password)
		if tt.says == "" {
			if err != nil {
				t.Errorf("%q: %v", tt.password, err)
			}
			continue
		}
		if !errors.Is(err, account.ErrWeakPassword) || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%q: the error is %v, want one that says %q", tt.password, err, tt.says)
		} else if tt.password != "" && strings.Contains(err.Error(), tt.password) {
			t.Errorf("the error %q holds the password", err)
		}
	}
}

// Every line of the blocklist is one that could stop somebody: in lower case, long
// enough for the other rules, and there once.
func TestBlocklistIsAlive(t *testing.T) {
	text, err := os.ReadFile("blocklist.txt")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		word := strings.TrimSuffix(line, "\n")
		if strings.HasPrefix(word, "#") {
			continue
		}
		if word != strings.ToLower(strings.TrimSpace(word)) || utf8.RuneCountInString(word) < 8 || seen[word] {
			t.Errorf("%q stops nobody that another line or rule does not", word)
		}
		seen[word] = true
		if account.CheckPassword("", word) == nil {
			t.Errorf("%q is on the list and accepted", word)
		}
	}
	if len(seen) < 100 {
		t.Errorf("the list has %d words", len(seen))
	}
}

// What CheckPassword accepts can be hashed, and the hash tells it from every
// password that differs in its last character.
func FuzzAcceptedPasswordsCanBeUsed(f *testing.F) {
	for _, s := range []string{"", "securepassword", "пароль99", strings.Repeat("x", 71) + "y", strings.Repeat("x", 73), "a\x00bcdefgh", "\xff", "aaaaaaaaa"} {
		f.Add("john.doe", s)
	}
	hasher := newHasher(f, bcrypt.MinCost)
	f.Fuzz(func(t *testing.T, username, password string) {
		err := account.CheckPassword(username, password)
		if err != nil {
			if !errors.Is(err, account.ErrWeakPassword) {
				t.Fatalf("%q: %v", password, err)
			}
			return
		}
		hash, err := hasher.Hash(password)
		if err != nil {
			t.Fatalf("%q was accepted, and cannot be hashed: %v", password, err)
		}
		if err := bcrypt.CompareHashAndPassword([]byte(hash), []byte(password)); err != nil {
			t.Fatalf("%q does not match its hash: %v", password, err)
		}
		_, size := utf8.DecodeLastRuneInString(password)
		if bcrypt.CompareHashAndPassword([]byte(hash), []byte(password[:len(password)-size])) == nil {
			t.Fatalf("the last character of %q does not count", password)
		}
	})
}

func newHasher(t testing.TB, cost int) *account.Hasher {
	t.Helper()
	h, err := account.NewHasher(cost)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// CHECKLIST 69: more than 72 bytes are refused, and 72 all count.
func TestHashAtTheBoundary(t *testing.T) {
	h := newHasher(t, bcrypt.MinCost)
	longest := strings.Repeat("x", 71) + "y"
	hash, err := h.Hash(longest)
	if err != nil {
		t.Fatal(err)
	}
	if cost, err := bcrypt.Cost([]byte(hash)); err != nil || cost != bcrypt.MinCost {
		t.Errorf("the hash %s has cost %d, %v", hash, cost, err)
	}
	if bcrypt.CompareHashAndPassword([]byte(hash), []byte(strings.Repeat("x", 72))) == nil {
		t.Error("byte 72 does not count")
	}
	if hash, err := h.Hash(longest + "z"); !errors.Is(err, account.ErrWeakPassword) || hash != "" {
		t.Errorf("73 bytes: %q, %v", hash, err)
	} else if !strings.Contains(err.Error(), "72") || strings.Contains(err.Error(), "xxx") {
		t.Errorf("the error %q should say the limit, and not the password", err)
	}
	again, err := h.Hash(longest)
	if err != nil || again == hash {
		t.Errorf("the same password has the same hash twice, or %v", err)
	}
}

func TestNewHasherRefusesCosts(t *testing.T) {
	for _, cost := range []int{-1, 0, bcrypt.MinCost - 1, bcrypt.MaxCost + 1} {
		if h, err := account.NewHasher(cost); err == nil || h != nil {
			t.Errorf("cost %d: %v, %v", cost, h, err)
		}
	}
	if account.MinCost < 10 || account.DefaultCost < account.MinCost || account.MaxCost < account.DefaultCost {
		t.Errorf("costs from %d to %d, by default %d", account.MinCost, account.MaxCost, account.DefaultCost)
	}
}
