package items

import (
	"errors"
	"slices"
	"strings"
)

// ErrTags means that a field of a conditional request is not a list of entity tags.
var ErrTags = errors.New(`must be * or a list of entity tags, such as "abc"`)

// Condition is what a conditional request demands of the current state of an item (RFC 9110 section 13.1). An
// item that is not written has no current state, and the zero value demands nothing.
type Condition struct {
	match, noneMatch *tags
}

// tags is the value of If-Match or If-None-Match.
type tags struct {
	any    bool     // *
	strong []string // opaque tags, without the quotes
	weak   []string
}

// NewCondition parses the lines of the fields If-Match and If-None-Match. No lines demand nothing. It returns
// ErrTags for malformed ones.
func NewCondition(ifMatch, ifNoneMatch []string) (Condition, error) {
	match, err := parseTags(ifMatch)
	if err != nil {
		return Condition{}, err
	}
	noneMatch, err := parseTags(ifNoneMatch)
	return Condition{match, noneMatch}, err
}

// holds reports whether a write may go on, given the current tag of the item, or "" if it is not written.
func (c Condition) holds(tag string) bool { return c.Matches(tag) && c.NoneMatches(tag) }

// Matches reports whether If-Match holds. It compares strongly: weak tags never match (section 13.1.1).
func (c Condition) Matches(tag string) bool {
	return c.match == nil || tag != "" && (c.match.any || slices.Contains(c.match.strong, tag))
}

// NoneMatches reports whether If-None-Match holds. It compares weakly (section 13.1.2).
func (c Condition) NoneMatches(tag string) bool {
	n := c.noneMatch
	return n == nil || tag == "" || !n.any && !slices.Contains(n.strong, tag) && !slices.Contains(n.weak, tag)
}

// parseTags parses the lines of one field. It returns nil if there are none.
func parseTags(lines []string) (*tags, error) {
	if len(lines) == 0 {
		return nil, nil //nolint:nilnil // no field, no demand
	}
	rest := strings.Trim(strings.Join(lines, ","), " \t,")
	if rest == "*" {
		return &tags{any: true}, nil
	}
	list := &tags{}
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
