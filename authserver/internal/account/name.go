package account

import (
	"context"
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/secure/precis"
	"golang.org/x/text/unicode/norm"
	"golang.org/x/text/width"

	"github.com/hallpass-auth/hallpass/authserver/internal/catalog"
	"github.com/hallpass-auth/hallpass/authserver/internal/record"
)

// prepareUsername returns the username of a new user as it is stored: without spaces around it,
// in NFC, with fullwidth letters as ordinary ones, and with its letter case. It follows the
// profile UsernameCasePreserved of RFC 8265 section 3.4: parts of letters, digits and printable
// ASCII, with single spaces between them (section 3.5). That excludes invisible characters,
// variation selectors, ligatures, symbols and emoji. Scripts of which letters look alike must
// not be mixed. It has no @, since people also log in with their email address. The error is
// ErrBadName.
func prepareUsername(text string) (string, error) {
	name := strings.TrimSpace(text)
	if err := checkName("username", name); err != nil {
		return "", err
	}
	prepared, err := prepareParts(name)
	if err != nil {
		return "", err
	}
	if strings.Contains(prepared, "@") {
		return "", refuse(ErrBadName, catalog.Say("The username has an @, which only email addresses can have."))
	}
	if prepared == "." || prepared == ".." { // paths of the admin API cannot have them (RFC 3986 section 5.2.4)
		return "", refuse(ErrBadName,
			catalog.Say("The username has a character that usernames cannot have, or text in two directions."))
	}
	if mixesScripts(prepared) {
		return "", refuse(ErrBadName,
			catalog.Say("The username mixes Latin, Greek, Cyrillic or Armenian letters, which look alike."))
	}
	return prepared, checkName("username", prepared)
}

// prepareParts prepares each part between single spaces.
func prepareParts(name string) (string, error) {
	parts := strings.Split(name, " ")
	for i, part := range parts {
		if part == "" {
			return "", refuse(ErrBadName, catalog.Say("The username has two spaces in a row."))
		}
		prepared, err := precis.UsernameCasePreserved.String(part)
		if err != nil {
			return "", refuse(ErrBadName,
				catalog.Say("The username has a character that usernames cannot have, or text in two directions."))
		}
		parts[i] = prepared
	}
	return strings.Join(parts, " "), nil
}

// alike are the scripts with letters that look like those of another one.
var alike = []*unicode.RangeTable{unicode.Latin, unicode.Greek, unicode.Cyrillic, unicode.Armenian}

// mixesScripts reports whether a name has letters of two scripts that look alike.
func mixesScripts(name string) bool {
	scripts := 0
	for _, script := range alike {
		if strings.ContainsFunc(name, func(r rune) bool { return unicode.Is(script, r) }) {
			scripts++
		}
	}
	return scripts > 1
}

// spellings returns the usernames that a person may mean who typed text, in order of
// preference: what was typed without the spaces around it that a keyboard may add, the same as
// prepareUsername stores it, and the same in NFD, which previous versions could store.
func spellings(text string) []string {
	typed := strings.TrimSpace(text)
	prepared, err := prepareParts(typed)
	if err != nil {
		prepared = norm.NFC.String(typed)
	}
	names := []string{typed}
	for _, name := range []string{prepared, norm.NFD.String(prepared)} {
		if name != names[len(names)-1] {
			names = append(names, name)
		}
	}
	return names
}

// Find returns the user with the username that a person typed. Spaces around it, the composition of
// accents and fullwidth letters do not matter; letter case does. byUsername is UserByUsername of a
// store, and the error is the store's: record.ErrNotFound if there is no such user.
func Find(
	ctx context.Context,
	text string,
	byUsername func(ctx context.Context, username string) (User, error),
) (User, error) {
	err := record.ErrNotFound
	for _, name := range spellings(text) {
		var user User
		if user, err = byUsername(ctx, name); !errors.Is(err, record.ErrNotFound) {
			return user, err
		}
	}
	return User{}, err
}

// NameKey returns the same text for all texts by which Find finds one user, and for all texts that FoldEmail makes
// equal.
func NameKey(text string) string {
	names := spellings(text)
	return FoldEmail(names[len(names)-1])
}

// Skeleton returns what a username looks like: two names with one skeleton can be mistaken for
// each other. It ignores letter case, width, what compatibility normalization (NFKC) removes,
// invisible characters and variation selectors. Letters of other scripts, and digits, that look
// like a Latin letter count as that letter. It covers less than Unicode TR 39, whose table of
// confusable characters golang.org/x/text does not have.
func Skeleton(username string) string {
	text := cases.Fold().String(norm.NFKD.String(width.Fold.String(username)))
	text = strings.Map(func(r rune) rune {
		switch {
		case unicode.In(r, unicode.Cf, unicode.Cc, unicode.Variation_Selector, unicode.Other_Default_Ignorable_Code_Point):
			return -1
		case lookalikes[r] != 0:
			return lookalikes[r]
		}
		return r
	}, text)
	return norm.NFKC.String(text)
}

// lookalikes are letters, after case folding, that look like a Latin one in lower or upper case.
var lookalikes = func() map[rune]rune {
	m := map[rune]rune{}
	for _, pair := range []struct{ letters, like string }{
		{"аеорсухіјѕԁԛԝһкмтӏвнзьг", "aeopcyxijsdqwhkmtlbh3br"}, // Cyrillic
		{"αοριντυχκβημζγ", "aopivtuxkbhmzy"},                   // Greek
		{"օսհոցզ", "ouhngq"},                                   // Armenian
		{"01ıɑɡ", "oliag"},
	} {
		like := []rune(pair.like)
		for i, r := range []rune(pair.letters) {
			m[r] = like[i]
		}
	}
	return m
}()

// PreparePassword returns a password as it is hashed: in NFC and with every kind of space as
// an ASCII one (RFC 8265 section 4.2.2), so that it does not matter which keyboard typed it. It
// refuses nothing, and returns text that is not valid UTF-8 unchanged.
func PreparePassword(password string) string {
	if !utf8.ValidString(password) {
		return password
	}
	return norm.NFC.String(strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Zs, r) {
			return ' '
		}
		return r
	}, password))
}
