package items_test

import (
	"errors"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/hallpass-auth/hallpass/resourceserver/internal/items"
)

// tagList matches a field of entity tags (RFC 9110 sections 5.6.1 and 8.8.3), as a grammar instead of as a parser.
var (
	tag     = `(?:W/)?"[^\x00-\x20\x7f"]*"[ \t]*`
	tagList = regexp.MustCompile(`^[ \t,]*` + tag + `(?:,[ \t,]*(?:` + tag + `|$))*$`)
	oneTag  = regexp.MustCompile(`(W/)?"([^"]*)"`)
)

// If-Match and If-None-Match are read as the grammar of RFC 9110 section 13.1 says. Weak tags never match If-Match, and
// If-None-Match is false if any tag matches.
func FuzzParseTags(f *testing.F) {
	for _, field := range []string{
		`"abc"`, `W/"abc"`, `"a", "abc"`, `"a",W/"abc"`, `*`, ` * `, `"*"`, `*, "abc"`, `"abc`, `abc`, `w/"abc"`,
		`"a b"`, `, ,"abc",,`,
		`""`, `"a""abc"`, "\"\xff\"", `"abc" x`, "", ",", "\"abc\"\t", `W/ "abc"`,
	} {
		f.Add(field)
	}
	f.Fuzz(func(t *testing.T, field string) {
		const current = "abc"
		all := strings.Trim(field, " \t,") == "*"
		var strong, weak bool
		for _, found := range oneTag.FindAllStringSubmatch(field, -1) {
			strong = strong || found[1] == "" && found[2] == current
			weak = weak || found[2] == current
		}
		tags, err := items.ParseTags([]string{field})
		if valid := all || tagList.MatchString(strings.TrimRight(field, " \t,")); valid != (err == nil) {
			t.Fatalf("%q: %v, and the grammar says %v", field, err, valid)
		}
		if err != nil {
			if !errors.Is(err, items.ErrTags) {
				t.Errorf("%q: %v is not ErrTags", field, err)
			}
			return
		}
		c := items.Condition{IfMatch: tags, IfNoneMatch: tags}
		if c.Matches(current) != (all || strong) || c.NoneMatches(current) != (!all && !weak) {
			t.Errorf("%q: If-Match %v, If-None-Match %v", field, c.Matches(current), c.NoneMatches(current))
		}
		if c.Matches("") || !c.NoneMatches("") {
			t.Errorf("%q: matches an item that is not written", field)
		}
		// Several lines are one field (section 5.2).
		lines := strings.Split(field, ",")
		split, err := items.ParseTags(lines)
		if slices.ContainsFunc(lines, func(s string) bool { return strings.Count(s, `"`)%2 != 0 }) {
			return
		}
		joined := items.Condition{IfMatch: split, IfNoneMatch: split}
		if err != nil || joined.Matches(current) != c.Matches(current) ||
			joined.NoneMatches(current) != c.NoneMatches(current) {
			t.Errorf("%q: as several lines: %v", field, err)
		}
	})
}
