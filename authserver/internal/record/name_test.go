package record_test

import (
	"strings"
	"testing"

	"github.com/hallpass-auth/hallpass/authserver/internal/record"
)

func TestCheckNameAllowed(t *testing.T) {
	for _, text := range []string{
		"x", "John Doe", "a  b", "o'brien", `"q"`, "josé", "日本語", "😀", "100%", "<b>",
		strings.Repeat("x", 16), strings.Repeat("é", 8),
	} {
		if err := record.CheckName("name", text, 16); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestCheckNameErrors(t *testing.T) {
	for _, tt := range []struct{ text, says string }{
		{"", "the name is empty"},
		{strings.Repeat("x", 17), "the name is longer than 16 bytes"},
		{strings.Repeat("é", 9), "the name is longer than 16 bytes"},
		{"a\xff", "the name is not valid UTF-8"},
		{" ", "the name begins or ends with a space"},
		{"   ", "the name begins or ends with a space"},
		{" a", "the name begins or ends with a space"},
		{"a ", "the name begins or ends with a space"},
		{"a\u00a0", "the name begins or ends with a space"},
		{"\u2028a", "the name begins or ends with a space"},
		{"a\n", "the name begins or ends with a space"},
		{"a\nb", "the name has a character that cannot be printed"},
		{"a\tb", "the name has a character that cannot be printed"},
		{"a\x00b", "the name has a character that cannot be printed"},
		{"a\x1b[31mb", "the name has a character that cannot be printed"},
		{"a\u00a0b", "the name has a character that cannot be printed"},
		{"a\u200b", "the name has a character that cannot be printed"},
		{"a\u3164", "the name has a character that cannot be printed"},
		{"\u202eb", "the name has a character that cannot be printed"},
		{"\ufeffa", "the name has a character that cannot be printed"},
		{"a\x7f", "the name has a character that cannot be printed"},
	} {
		if err := record.CheckName("name", tt.text, 16); err == nil || err.Error() != tt.says {
			t.Errorf("%+q: got error %v, want %s", tt.text, err, tt.says)
		}
	}
}

// A valid name is one line and does not change when it is trimmed.
func FuzzCheckName(f *testing.F) {
	for _, text := range []string{"", "John Doe", " a", "a\u0085", "a\nb", "\xff", "\u2029"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if record.CheckName("name", text, 64) != nil {
			return
		}
		words := strings.FieldsFunc(text, func(r rune) bool { return r == ' ' })
		otherSpace := len(strings.Fields(text)) != len(words)
		if text == "" || len(text) > 64 || strings.TrimSpace(text) != text || otherSpace {
			t.Errorf("%+q is allowed", text)
		}
	})
}
