package main

import (
	"encoding/json"
	"io"
	"time"
)

// printJSON writes v as indented JSON.
func printJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// printTable writes a table with a header row.
func printTable(w io.Writer, header []any, rows [][]any) error {
	t := newListPrinter(w, false, header)
	for _, row := range rows {
		if err := t.entry(nil, row); err != nil {
			return err
		}
	}
	return t.end()
}

// printList writes items as a JSON array, or as a table with a row for each item.
func printList[T any](w io.Writer, asJSON bool, items []T, header []any, row func(T) []any) error {
	if asJSON {
		return printJSON(w, append([]T{}, items...))
	}
	var rows [][]any
	for _, item := range items {
		rows = append(rows, row(item))
	}
	return printTable(w, header, rows)
}

// each returns the result of show for each item.
func each[T, S any](items []T, show func(T) S) (shown []S) {
	for _, item := range items {
		shown = append(shown, show(item))
	}
	return shown
}

// formatTime returns a time for a table; "-" for nil.
func formatTime(t *time.Time) string {
	if t == nil {
		return "-"
	}
	return t.Format(time.RFC3339)
}

// optional returns a pointer to the time, or nil for the zero time, which omitempty then omits.
func optional(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
