// Package record has what all stored records have in common: the errors for a missing and a
// duplicate one, and the rule for names.
package record

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Errors of the store. Their text follows the kind of record, as in "user not found".
var (
	// ErrNotFound means that there is no such record.
	ErrNotFound = errors.New("not found")
	// ErrExists means that there is already a record with the same name or id.
	ErrExists = errors.New("already exists")
)

// CheckName checks a name or another short text that is typed by a person and shown on one line.
// It must be valid UTF-8 of 1 to maxBytes bytes without unprintable characters, and must not begin
// or end with a space. The error says what is wrong and uses what, such as "username", for the name.
func CheckName(what, name string, maxBytes int) error {
	switch {
	case name == "":
		return fmt.Errorf("the %s is empty", what)
	case len(name) > maxBytes:
		return fmt.Errorf("the %s is longer than %d bytes", what, maxBytes)
	case !utf8.ValidString(name):
		return fmt.Errorf("the %s is not valid UTF-8", what)
	case strings.TrimSpace(name) != name:
		return fmt.Errorf("the %s begins or ends with a space", what)
	case strings.ContainsFunc(name, isInvisible):
		return fmt.Errorf("the %s has a character that cannot be printed", what)
	}
	return nil
}

// isInvisible reports whether a character cannot be printed, or is a letter or mark that is
// printed as nothing, such as the Hangul filler U+3164.
func isInvisible(r rune) bool {
	return !unicode.IsPrint(r) || unicode.Is(unicode.Other_Default_Ignorable_Code_Point, r)
}
