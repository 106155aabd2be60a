package store

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"

	"golang.org/x/text/cases"
	"golang.org/x/text/language"
	"golang.org/x/text/unicode/norm"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/record"
)

// maxSearched is how many rows one call of SearchUsers looks at. Those of users whom an earlier page has shown count
// too: a million users whose username and email address both begin with the prefix must not make a call slow.
const maxSearched = 2000

// maxSearch is the length of the longest prefix that a user can have, in bytes: that of an email address.
const maxSearch = 254

// searchFields are the fields that SearchUsers looks at, by their columns, in order.
var searchFields = []struct {
	column string
	of     func(account.User) string
}{
	{"username", func(u account.User) string { return u.Username }},
	{"email", func(u account.User) string { return u.Email }},
	{"name", func(u account.User) string { return u.Name }},
}

// SearchUsers returns a page of the users whose username, email address or name begins with a prefix: first those whose
// username does, then the others by email address, then those by name, in alphabetical order. Letter case does not
// matter: see spellingsOf. An empty prefix finds all users.
//
// A page has at most limit users. The next one begins after the cursor next, which is empty after the last page. A page
// may have fewer users than limit, or none, although there is a next one. SearchUsers returns record.ErrCursor for a
// cursor that it has not returned for this prefix.
func (s *Store) SearchUsers(
	ctx context.Context,
	prefix, after string,
	limit int,
) (users []account.User, next string, err error) {
	u := newUserSearch(prefix)
	at, err := u.parse(after)
	if err != nil {
		return nil, "", err
	}
	searched := 0
	for at.Range < len(u.ranges) {
		rows, err := s.searchRange(ctx, u.ranges[at.Range], at, limit-len(users)+1)
		if err != nil {
			return nil, "", err
		}
		for _, row := range rows {
			if len(users) == limit || searched == maxSearched {
				return users, at.String(), nil
			}
			at.Key, at.ID = u.ranges[at.Range].key(row), row.ID
			searched++
			if u.firstRange(row) == at.Range {
				users = append(users, row)
			}
		}
		if len(rows) == 0 {
			at = userCursor{Range: at.Range + 1}
		}
	}
	return users, "", nil
}

// searchRange returns up to limit users of a range that come after the cursor, in the order of keys and ids. It may
// return fewer although there are more, but none only if there are none.
func (s *Store) searchRange(ctx context.Context, r userRange, after userCursor, limit int) ([]account.User, error) {
	query := "SELECT " + userColumns + " FROM users WHERE lower(" + r.column + ") "
	from, compare := r.prefix, ">= $1"
	if after.ID != "" {
		// Each engine has its own way to compare pairs by an index, so this takes two statements.
		same, err := list(ctx, s.read, "search users", scanUser, query+"= $1 AND id > $2 ORDER BY id LIMIT $3",
			after.Key, after.ID, limit)
		if err != nil || len(same) > 0 {
			return same, err
		}
		from, compare = after.Key, "> $1"
	}
	order := " ORDER BY lower(" + r.column + "), id LIMIT "
	if r.end == "" {
		return list(ctx, s.read, "search users", scanUser, query+compare+order+"$2", from, limit)
	}
	return list(ctx, s.read, "search users", scanUser,
		query+compare+" AND lower("+r.column+") < $2"+order+"$3", from, r.end, limit)
}

// userSearch is what a search looks at: one range of an index after the other.
type userSearch struct{ ranges []userRange }

// userRange holds the users of whom a field begins with a prefix.
type userRange struct {
	column      string
	of          func(account.User) string
	prefix, end string // end comes after all that begin with the prefix; empty if nothing does
}

// newUserSearch returns the ranges of a search. It has no ranges if no user can have the prefix.
func newUserSearch(prefix string) userSearch {
	if prefix == "" {
		return userSearch{[]userRange{{column: searchFields[0].column, of: searchFields[0].of}}}
	}
	if !record.IsText(prefix) || len(prefix) > maxSearch {
		return userSearch{}
	}
	var u userSearch
	for _, field := range searchFields {
		for _, p := range spellingsOf(prefix) {
			u.ranges = append(u.ranges, userRange{field.column, field.of, p, afterPrefix(p)})
		}
	}
	return u
}

// spellingsOf returns the prefixes, as lower of the engines returns them, that a typed one means. Both engines fold the
// letters A to Z alone, so that there is more than one if it has other letters with a case: in lower case, in upper
// case, and with capitals at the beginning of words.
func spellingsOf(typed string) (prefixes []string) {
	typed = norm.NFC.String(typed)
	title := cases.Title(language.Und)
	for _, p := range []string{typed, strings.ToLower(typed), strings.ToUpper(typed), title.String(typed)} {
		if p = account.FoldASCII(p); !slices.Contains(prefixes, p) {
			prefixes = append(prefixes, p)
		}
	}
	return prefixes
}

// key returns what the user is sorted by within the range.
func (r userRange) key(u account.User) string { return account.FoldASCII(r.of(u)) }

// firstRange returns the first range that a user is in. The user is shown there.
func (u userSearch) firstRange(user account.User) int {
	return slices.IndexFunc(u.ranges, func(r userRange) bool { return strings.HasPrefix(r.key(user), r.prefix) })
}

// userCursor is a place in a search: after a user in a range, or at its beginning if ID is empty.
type userCursor struct {
	Range int    `json:"r"`
	Key   string `json:"k"`
	ID    string `json:"i"`
}

// String returns the cursor as callers keep it.
func (c userCursor) String() string {
	text, err := json.Marshal(c)
	if err != nil {
		panic(err) // not for a number and two texts
	}
	return base64.RawURLEncoding.EncodeToString(text)
}

// parse is the inverse of String. The empty cursor is the beginning.
func (u userSearch) parse(text string) (c userCursor, err error) {
	if text == "" {
		return userCursor{}, nil
	}
	content, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || json.Unmarshal(content, &c) != nil || strings.ContainsRune(c.Key+c.ID, 0) ||
		c.Range < 0 || c.Range >= max(len(u.ranges), 1) {
		return userCursor{}, record.ErrCursor
	}
	if len(u.ranges) > 0 && c.ID != "" && !strings.HasPrefix(c.Key, u.ranges[c.Range].prefix) {
		return userCursor{}, record.ErrCursor
	}
	return c, nil
}
