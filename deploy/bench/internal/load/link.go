package load

import (
	"bytes"
	"fmt"
)

// link is the place in a request of a value that each answer has the next of. Of two
// links of a chain the later one is known only when the earlier one was answered: a
// refresh token, for one, is good once.
type link struct {
	name   string
	value  []byte // in the request: what is written here is sent next
	member []byte // what comes before the value in an answer
}

// newLink finds the parameter of this name in the form of the request.
func newLink(request []byte, name string) (*link, error) {
	_, form, _ := bytes.Cut(request, headEnd)
	for parameter := range bytes.SplitSeq(form, []byte("&")) {
		value, found := bytes.CutPrefix(parameter, []byte(name+"="))
		if found && len(value) > 0 {
			return &link{name: name, value: value, member: []byte(`"` + name + `":"`)}, nil
		}
	}
	return nil, fmt.Errorf("a request has no parameter %s", name)
}

// follow puts the value that the answer has into the request. It must be as long as
// the one before, and need no escape in a form: the rest of the request stays.
func (l *link) follow(answer []byte) error {
	_, rest, found := bytes.Cut(answer, l.member)
	value, _, ended := bytes.Cut(rest, []byte(`"`))
	switch {
	case !found || !ended:
		return fmt.Errorf("the answer has no %s to go on with", l.name)
	case len(value) != len(l.value):
		return fmt.Errorf("%s has %d bytes in the answer and %d in the request", l.name, len(value), len(l.value))
	case bytes.ContainsFunc(value, needsEscape):
		return fmt.Errorf("%s has characters in the answer that a form must escape", l.name)
	}
	copy(l.value, value)
	return nil
}

// needsEscape reports whether a character is not one that every form may hold as it
// is (RFC 3986 §2.3).
func needsEscape(c rune) bool {
	switch {
	case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		return false
	}
	return c != '-' && c != '.' && c != '_' && c != '~'
}
