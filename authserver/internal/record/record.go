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
	// ErrCursor means that a cursor is not one that was returned for the same search.
	ErrCursor = errors.New("cursor not usable")
)

// Fault is what is wrong with a name.
type Fault int

// The faults of names.
const (
	Empty Fault = iota + 1
	TooLong
	NotUTF8
	OuterSpace
	Unprintable
)

// NameError is the error for a name that CheckName refuses.
type NameError struct {
	// What is what the name is, such as "username".
	What string
	// Fault is what is wrong with it.
	Fault Fault
	// MaxBytes is the maximum length.
	MaxBytes int
}

// Error says what is wrong.
func (n *NameError) Error() string {
	text := "the " + n.What
	switch n.Fault {
	case Empty:
		return text + " is empty"
	case TooLong:
		return fmt.Sprintf("%s is longer than %d bytes", text, n.MaxBytes)
	case NotUTF8:
		return text + " is not valid UTF-8"
	case OuterSpace:
		return text + " begins or ends with a space"
	case Unprintable:
	}
	return text + " has a character that cannot be printed"
}

// CheckName checks a name or another short text that is typed by a person and shown on one line.
// It must be valid UTF-8 of 1 to maxBytes bytes without unprintable characters, and must not begin
// or end with a space. The error is a *NameError, which uses what, such as "username", for the name.
func CheckName(what, name string, maxBytes int) error {
	n := &NameError{What: what, MaxBytes: maxBytes}
	switch {
	case name == "":
		n.Fault = Empty
	case len(name) > maxBytes:
		n.Fault = TooLong
	case !utf8.ValidString(name):
		n.Fault = NotUTF8
	case strings.TrimSpace(name) != name:
		n.Fault = OuterSpace
	case strings.ContainsFunc(name, isInvisible):
		n.Fault = Unprintable
	default:
		return nil
	}
	return n
}

// IsText reports whether every database can store and compare a text: it is valid UTF-8 without NUL.
func IsText(text string) bool { return utf8.ValidString(text) && !strings.ContainsRune(text, 0) }

// isInvisible reports whether a character cannot be printed, or is a letter or mark that is
// printed as nothing, such as the Hangul filler U+3164.
func isInvisible(r rune) bool {
	return !unicode.IsPrint(r) || unicode.Is(unicode.Other_Default_Ignorable_Code_Point, r)
}
