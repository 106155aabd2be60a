package label_test

import (
	"strings"
	"testing"

	"github.com/hallpass-auth/hallpass/authserver/internal/label"
)

func TestCheckAccepts(t *testing.T) {
	for _, text := range []string{"x", "John Doe", "a  b", "o'brien", `"q"`, "josé", "日本語", "😀", "100%", "<b>", strings.Repeat("x", 16), strings.Repeat("é", 8)} {
		if err := label.Check("name", text, 16); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestCheckRefuses(t *testing.T) {
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
		{"\u202eb", "the name has a character that cannot be printed"},
		{"\ufeffa", "the name has a character that cannot be printed"},
		{"a\x7f", "the name has a character that cannot be printed"},
	} {
		if err := label.Check("name", tt.text, 16); err == nil || err.Error() != tt.says {
			t.Errorf("%+q: %v, want: %s", tt.text, err, tt.says)
		}
	}
}

// A label that is accepted stays one line of a table, and is what it was when its ends
// are trimmed, as people and programs do.
func FuzzCheck(f *testing.F) {
	for _, text := range []string{"", "John Doe", " a", "a\u0085", "a\nb", "\xff", "\u2029"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if label.Check("name", text, 64) != nil {
			return
		}
		if text == "" || len(text) > 64 || strings.TrimSpace(text) != text || len(strings.Fields(text)) != len(strings.FieldsFunc(text, func(r rune) bool { return r == ' ' })) {
			t.Errorf("%+q is accepted", text)
		}
	})
}
