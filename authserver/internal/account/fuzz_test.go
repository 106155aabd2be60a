package account_test

import (
	netmail "net/mail"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
)

// An email address that a person has typed is stored in a form that stays the same, can stand in a header of a mail and
// means one mailbox there (RFC 5321 section 4.1.2).
func FuzzPrepareOwnEmail(f *testing.F) {
	for _, text := range []string{
		"ada@example.com", " Ada@EXAMPLE.com ", "ada+tag@mail.example", `"a b"@example.com`, "a@b@c", "ada@[127.0.0.1]",
		"ada@example.com\r\nBcc: eve@example.com", "ada@example.com,eve@example.com", "<ada@example.com>", "@", "ada@",
		"ada@exam\u0440le.com", "ada@-example.com", "ada@example..com", "ada.@example.com", "a(comment)@example.com",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		email, err := account.PrepareOwnEmail(text)
		if err != nil {
			return
		}
		again, err := account.PrepareOwnEmail(email)
		if err != nil || again != email {
			t.Errorf("%q is stored as %q, and that as %q: %v", text, email, again, err)
		}
		list, err := netmail.ParseAddressList(email)
		if err != nil || len(list) != 1 || list[0].Address != email {
			t.Errorf("%q in a header means %v: %v", email, list, err)
		}
		if strings.ContainsFunc(email, func(r rune) bool { return r <= ' ' || r >= 0x7f }) || len(email) > 254 {
			t.Errorf("%q was accepted", email)
		}
		if folded := account.FoldEmail(email); folded != account.FoldEmail(folded) || folded != account.FoldEmail(text) {
			t.Errorf("%q: folded %q", text, folded)
		}
	})
}

// A username that a person chooses is stored in a form that stays the same, and nothing in it is invisible (RFC 8265
// section 3.4). What the person types finds it.
func FuzzPrepareUsername(f *testing.F) {
	for _, text := range []string{
		"john.doe", " john.doe ", "Jürgen", "Ju\u0308rgen", "ｊｏｈｎ", "j\u043ehn", "john  doe", "john\u200bdoe", "a\x00b",
		"\u202ejohn", "ﬁsh", "Ω", "\u0391dam", "אבג", "usr_1", "john@example.com", "\xff", "",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		name, err := account.PrepareUsername(text)
		if err != nil {
			return
		}
		again, err := account.PrepareUsername(name)
		if err != nil || again != name {
			t.Errorf("%q is stored as %q, and that as %q: %v", text, name, again, err)
		}
		if !utf8.ValidString(name) || !norm.NFC.IsNormalString(name) || strings.TrimSpace(name) != name || name == "" ||
			strings.ContainsFunc(name, func(r rune) bool { return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co) }) {
			t.Errorf("%q is stored as %q", text, name)
		}
		if account.NameKey(text) != account.NameKey(name) || account.Skeleton(name) == "" {
			t.Errorf("%q: the key %q differs from %q", text, account.NameKey(text), account.NameKey(name))
		}
	})
}
