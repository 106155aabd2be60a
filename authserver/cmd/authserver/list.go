package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"unicode"

	"github.com/hallpass-auth/hallpass/authserver/internal/record"
)

// pageFlags are the flags of commands that print a list which may be long. It is sorted by its first column.
type pageFlags struct {
	JSON   bool   `help:"Print JSON."`
	After  string `placeholder:"KEY" help:"Begin after the entry with this text in the first column: the last one of the page before."`
	Prefix string `placeholder:"TEXT" help:"Only entries whose first column begins with this text; upper and lower case matter."`
	Limit  int    `placeholder:"N" help:"Print at most this many entries. By default all are printed."`
}

// Validate checks the flags.
func (f pageFlags) Validate() error {
	switch {
	case f.Limit < 0:
		return fmt.Errorf("--limit must not be negative, not %d", f.Limit)
	case !record.IsText(f.After):
		return errors.New("--after must be text in UTF-8")
	case !record.IsText(f.Prefix):
		return errors.New("--prefix must be text in UTF-8")
	}
	return nil
}

// pageSize is how many entries are read and printed at once. Memory does not grow with the list.
const pageSize = 1000

// printPages prints the entries that the flags select. It reads a page at a time, so an entry that is added or deleted
// meanwhile may be printed or not. The function show returns the key of an entry, by which the list is sorted, the
// entry as JSON, and as a row of a table.
func printPages[T any](
	f pageFlags,
	out listPrinter,
	read func(record.Page) ([]T, error),
	show func(T) (key string, shown any, row []any),
) error {
	page := record.Page{After: f.After, Prefix: f.Prefix}
	for left := f.Limit; ; left -= pageSize {
		page.Limit = pageSize
		if f.Limit > 0 && left < pageSize {
			page.Limit = left
		}
		entries, err := read(page)
		if err != nil {
			return err
		}
		for _, entry := range entries {
			key, shown, row := show(entry)
			if err := out.entry(shown, row); err != nil {
				return err
			}
			page.After = key
		}
		if len(entries) < page.Limit || page.Limit == left {
			return out.end()
		}
		if err := out.flush(); err != nil {
			return err
		}
	}
}

// listPrinter prints a list entry by entry.
type listPrinter interface {
	// entry prints an entry, given as JSON and as a row.
	entry(shown any, row []any) error
	// flush writes what was printed.
	flush() error
	// end ends the list and writes it.
	end() error
}

// newListPrinter returns a printer of a JSON array, or of a table with a header.
func newListPrinter(w io.Writer, asJSON bool, header []any) listPrinter {
	if asJSON {
		return &jsonPrinter{w: bufio.NewWriter(w)}
	}
	t := &tablePrinter{tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)}
	_ = t.entry(nil, header) // it is buffered: end returns the error
	return t
}

// tablePrinter prints a table. Its columns are aligned between two calls of flush.
type tablePrinter struct{ *tabwriter.Writer }

func (t *tablePrinter) entry(_ any, row []any) error {
	for i, cell := range row {
		if i > 0 {
			fmt.Fprint(t, "\t")
		}
		fmt.Fprint(t, strings.Map(printable, fmt.Sprint(cell)))
	}
	_, err := fmt.Fprintln(t)
	return err
}

// printable replaces what a terminal would obey, or what would break the row: others may have chosen a part of a cell,
// such as the names in the certificate of a webhook.
func printable(r rune) rune {
	if unicode.IsPrint(r) {
		return r
	}
	return unicode.ReplacementChar
}

func (t *tablePrinter) flush() error { return t.Flush() }

func (t *tablePrinter) end() error { return t.Flush() }

// jsonPrinter prints an indented array, as printJSON does.
type jsonPrinter struct {
	w       *bufio.Writer
	entries int
}

func (p *jsonPrinter) entry(shown any, _ []any) error {
	text, err := json.MarshalIndent(shown, "  ", "  ")
	if err != nil {
		return err
	}
	before := ",\n  "
	if p.entries++; p.entries == 1 {
		before = "[\n  "
	}
	_, err = p.w.WriteString(before + string(text))
	return err
}

func (p *jsonPrinter) flush() error { return p.w.Flush() }

func (p *jsonPrinter) end() error {
	text := "\n]\n"
	if p.entries == 0 {
		text = "[]\n"
	}
	_, _ = p.w.WriteString(text) // Flush returns the error
	return p.w.Flush()
}
