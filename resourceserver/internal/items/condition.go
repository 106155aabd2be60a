package items

import (
	"errors"
	"slices"
	"strings"
)

// ErrTags means that a field of a conditional request is not a list of entity tags.
var ErrTags = errors.New(`must be * or a list of entity tags, such as "abc"`)

// Condition is what a conditional request demands of the current state of an item (RFC 9110 section 13.1). An
// item that is not written has no current state. A nil field demands nothing.
type Condition struct {
	IfMatch     *Tags
	IfNoneMatch *Tags
}

// Tags is the value of If-Match or If-None-Match.
type Tags struct {
	any    bool     // *
	strong []string // opaque tags, without the quotes
	weak   []string
}

// holds reports whether a write may go on, given the current state of the item, or nil if it is not written.
func (c Condition) holds(current *Item) bool {
	tag := ""
	if current != nil {
		tag = current.Tag
	}
	return c.Matches(tag) && c.NoneMatches(tag)
}

// Matches reports whether If-Match holds, given the current tag of the item, or "" if it is not written. It
// compares strongly: weak tags never match (section 13.1.1).
func (c Condition) Matches(tag string) bool {
	tags := c.IfMatch
	return tags == nil || tag != "" && (tags.any || slices.Contains(tags.strong, tag))
}

// NoneMatches reports whether If-None-Match holds, given the current tag like Matches. It compares weakly
// (section 13.1.2).
func (c Condition) NoneMatches(tag string) bool {
	tags := c.IfNoneMatch
	return tags == nil || tag == "" ||
		!tags.any && !slices.Contains(tags.strong, tag) && !slices.Contains(tags.weak, tag)
}

// ParseTags parses the lines of one field. It returns nil if there are none, and ErrTags if they are malformed.
func ParseTags(lines []string) (*Tags, error) {
	if len(lines) == 0 {
		return nil, nil //nolint:nilnil // no field, no demand
	}
	rest := strings.Trim(strings.Join(lines, ","), " \t,")
	if rest == "*" {
		return &Tags{any: true}, nil
	}
	list := &Tags{}
	for {
		weak := strings.HasPrefix(rest, "W/")
		opaque, after, ok := cutTag(strings.TrimPrefix(rest, "W/"))
		if !ok {
			return nil, ErrTags
		}
		if weak {
			list.weak = append(list.weak, opaque)
		} else {
			list.strong = append(list.strong, opaque)
		}
		if rest = strings.TrimLeft(after, " \t"); rest == "" {
			return list, nil
		}
		if rest[0] != ',' {
			return nil, ErrTags
		}
		rest = strings.TrimLeft(rest, " \t,")
	}
}

// cutTag cuts the opaque tag off that text begins with (section 8.8.3).
func cutTag(text string) (opaque, after string, ok bool) {
	if text, ok = strings.CutPrefix(text, `"`); !ok {
		return "", "", false
	}
	opaque, after, ok = strings.Cut(text, `"`)
	return opaque, after, ok && !strings.ContainsFunc(opaque, func(r rune) bool { return r <= ' ' || r == 0x7f })
}
