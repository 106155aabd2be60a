package store

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/hallpass-auth/hallpass/authserver/internal/record"
)

// pageSQL returns the end of a query for the page, starting with the condition on the key, and all arguments of the
// query: the first ones, then those of the page. If the key has an index, a page of a large table takes no longer than
// one of a small table.
func pageSQL(p record.Page, key string, first ...any) (text string, args []any) {
	var b strings.Builder
	args = first
	with := func(format string, arg any) {
		args = append(args, arg)
		fmt.Fprintf(&b, format, key, len(args))
	}
	if p.After >= p.Prefix { // also without either: every key comes after the empty text
		with("%s > $%d", p.After)
	} else {
		with("%s >= $%d", p.Prefix)
	}
	if end := afterPrefix(p.Prefix); end != "" {
		with(" AND %s < $%d", end)
	}
	b.WriteString(" ORDER BY " + key)
	if p.Limit > 0 {
		args = append(args, p.Limit)
		fmt.Fprintf(&b, " LIMIT $%d", len(args))
	}
	return b.String(), args
}

// afterPrefix returns the first text, in the order of bytes, that comes after all that begin with the prefix. It is
// empty if no text does.
func afterPrefix(prefix string) string {
	for prefix != "" {
		last, size := utf8.DecodeLastRuneInString(prefix)
		prefix = prefix[:len(prefix)-size]
		switch {
		case last == '\ud7ff':
			return prefix + "\ue000" // what lies between them is not text
		case last < utf8.MaxRune:
			return prefix + string(last+1)
		}
	}
	return ""
}

// placeholder returns the number of the last argument of a query.
func placeholder(args []any) string { return strconv.Itoa(len(args)) }
