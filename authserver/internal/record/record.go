// Package record has what users, clients, APIs and scope descriptions have in common: the rule
// for their names.
package record

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
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
	case strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }):
		return fmt.Errorf("the %s has a character that cannot be printed", what)
	}
	return nil
}
