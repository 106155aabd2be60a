package account_test

import (
	"errors"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/crypto/bcrypt"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
)

// NIST SP 800-63B section 5.1.1.2: at least 8 characters, no composition rules, a
// blocklist, no truncation.
func TestCheckPassword(t *testing.T) {
	t.Parallel()
	tests := []struct {
		password string
		says     string // empty: accepted
	}{
		{"securepassword", ""},
		{"anothersecurepass", ""},
		{"ninechars", ""},                         // no digits, capitals or symbols required
		{"hk4 tz9x", ""},                          // 8 characters
		{"        a", ""},                         // spaces are characters
		{"пароль99", ""},                          // 8 characters, 14 bytes
		{"😀😃😄😁😆😅😂🤣", ""},                          // 8 characters, 32 bytes
		{"wxqzwxqz", ""},                          // only two repetitions
		{"password9876", ""},                      // a listed password is a prefix of it
		{strings.Repeat("aB3$", 17) + "end!", ""}, // 72 bytes
		{"", "8 characters"},
		{"sevench", "8 characters"},
		{"😀😃😄😁😆😅😂", "8 characters"}, // 28 bytes
		{strings.Repeat("aB3$", 17) + "end!x", "only the first 72 of these characters fit"},
		{strings.Repeat("é1", 25), "only the first 48 of these characters fit"}, // 50 characters
		{strings.Repeat("x", 5000) + "y", "only the first 72 of these characters fit (72 bytes)"},
		{"password1", "easy to guess"},
		{"PassWord1", "easy to guess"},
		{"CONTRASEÑA", "easy to guess"},
		{"aaaaaaaa", "easy to guess"},
		{"abcabcabc", "easy to guess"},
		{"ABABABAB", "easy to guess"},
		{"john.doe.smith", "username"},
		{"John.Doe.SMITH", "username"},
		{"securepass\x00word", "UTF-8"},
		{"securepass\xffword", "UTF-8"},
	}
	for _, tt := range tests {
		err := account.CheckPassword("john.doe.smith", tt.password, account.MinPassword)
		if tt.says == "" {
			if err != nil {
				t.Errorf("%q: %v", tt.password, err)
			}
			continue
		}
		if !errors.Is(err, account.ErrWeakPassword) || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%q: got error %v, want one with %q", tt.password, err, tt.says)
		} else if tt.password != "" && strings.Contains(err.Error(), tt.password) {
			t.Errorf("the error %q contains the password", err)
		}
	}
}

// The most common passwords are refused, and hardly any others.
func TestCommonPasswords(t *testing.T) {
	t.Parallel()
	ours, err := os.ReadFile("common_passwords.txt")
	if err != nil {
		t.Fatal(err)
	}
	words := slices.Collect(strings.Lines(string(ours)))[1:] // the first line is a comment
	if len(words) < 10 {
		t.Errorf("only %d words", len(words))
	}
	for _, word := range append(words, "football1", "iloveyou2", "1q2w3e4r5t", "princess12", "starwars1", "qwertyuiop") {
		word = strings.TrimSuffix(word, "\n")
		if word != strings.ToLower(word) || utf8.RuneCountInString(word) < account.MinPassword {
			t.Errorf("%q has no effect", word)
		}
		if account.CheckPassword("", word, 8) == nil || account.CheckPassword("", strings.ToUpper(word), 8) == nil {
			t.Errorf("%q is common but accepted", word)
		}
	}
	refused := 0
	for i := range 100_000 {
		if account.CheckPassword("", "a password of nobody "+strconv.Itoa(i), account.MinPassword) != nil {
			refused++
		}
	}
	if refused > 10 { // 2 on average, and always the same number
		t.Errorf("%d of 100,000 uncommon passwords were refused", refused)
	}
}

// A password that CheckPassword accepts can be hashed, and its last character counts.
func FuzzAcceptedPasswordsCanBeUsed(f *testing.F) {
	for _, s := range []string{
		"", "securepassword", "пароль99", strings.Repeat("x", 71) + "y", strings.Repeat("x", 73),
		"a\x00bcdefgh", "\xff", "aaaaaaaaa",
	} {
		f.Add("john.doe", s)
	}
	hasher := newHasher(f, bcrypt.MinCost)
	f.Fuzz(func(t *testing.T, username, password string) {
		err := account.CheckPassword(username, password, account.MinPassword)
		if err != nil {
			if !errors.Is(err, account.ErrWeakPassword) {
				t.Fatalf("%q: %v", password, err)
			}
			return
		}
		hash, err := hasher.Hash(password)
		if err != nil {
			t.Fatalf("%q is accepted but cannot be hashed: %v", password, err)
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

// Hash refuses more than 72 bytes, and all 72 count (OWASP).
func TestHashLengthLimit(t *testing.T) {
	t.Parallel()
	h := newHasher(t, bcrypt.MinCost)
	longest := strings.Repeat("x", 71) + "y"
	hash, err := h.Hash(longest)
	if err != nil {
		t.Fatal(err)
	}
	if cost, err := bcrypt.Cost([]byte(hash)); err != nil || cost != bcrypt.MinCost {
		t.Errorf("hash %s: cost %d, %v, want %d", hash, cost, err, bcrypt.MinCost)
	}
	if bcrypt.CompareHashAndPassword([]byte(hash), []byte(strings.Repeat("x", 72))) == nil {
		t.Error("byte 72 does not count")
	}
	if hash, err := h.Hash(longest + "z"); !errors.Is(err, account.ErrWeakPassword) || hash != "" {
		t.Errorf("73 bytes: %q, %v", hash, err)
	} else if !strings.Contains(err.Error(), "72") || strings.Contains(err.Error(), "xxx") {
		t.Errorf("the error %q must give the limit but not the password", err)
	}
	again, err := h.Hash(longest)
	if err != nil || again == hash {
		t.Errorf("hashing again gave %s, %v, want a different hash", again, err)
	}
}

func TestNewHasherRejectsCosts(t *testing.T) {
	t.Parallel()
	for _, cost := range []int{-1, 0, bcrypt.MinCost - 1, bcrypt.MaxCost + 1} {
		if h, err := account.NewHasher(cost); err == nil || h != nil {
			t.Errorf("cost %d: got %v, %v, want an error", cost, h, err)
		}
	}
	if account.MinCost < 10 || account.DefaultCost < account.MinCost || account.MaxCost < account.DefaultCost {
		t.Errorf("costs range from %d to %d, default %d", account.MinCost, account.MaxCost, account.DefaultCost)
	}
}
