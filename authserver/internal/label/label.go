// Package label is about the short texts that people know things by: names, and what a
// scope lets an app do.
//
// It exists so that one rule says what such a text may be, whatever it is of. Each is
// typed once, stored, and read in a line of a page or of a table.
package label

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Check refuses a text that could not be typed, stored or shown again: it must be valid
// UTF-8 of 1 to maxBytes bytes that can be printed, without a space at either end. The
// error says what is wrong, and calls the text what the caller does: "username".
func Check(what, text string, maxBytes int) error {
	switch {
	case text == "":
		return fmt.Errorf("the %s is empty", what)
	case len(text) > maxBytes:
		return fmt.Errorf("the %s is longer than %d bytes", what, maxBytes)
	case !utf8.ValidString(text):
		return fmt.Errorf("the %s is not valid UTF-8", what)
	case strings.TrimSpace(text) != text:
		return fmt.Errorf("the %s begins or ends with a space", what)
	case strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }):
		return fmt.Errorf("the %s has a character that cannot be printed", what)
	}
	return nil
}
