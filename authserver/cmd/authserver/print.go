package main

import (
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"
	"time"
)

// printJSON writes v as indented JSON.
func printJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// printTable writes rows of cells under a head, in columns.
func printTable(w io.Writer, head []any, rows [][]any) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, row := range append([][]any{head}, rows...) {
		for i, cell := range row {
			if i > 0 {
				fmt.Fprint(t, "\t")
			}
			fmt.Fprint(t, cell)
		}
		fmt.Fprintln(t)
	}
	return t.Flush()
}

// printList writes items as JSON, in which none are [], or as a table with a row for each.
func printList[T any](w io.Writer, asJSON bool, items []T, head []any, row func(T) []any) error {
	if asJSON {
		return printJSON(w, append([]T{}, items...))
	}
	var rows [][]any
	for _, item := range items {
		rows = append(rows, row(item))
	}
	return printTable(w, head, rows)
}

// each returns what show makes of each item.
func each[T, S any](items []T, show func(T) S) (shown []S) {
	for _, item := range items {
		shown = append(shown, show(item))
	}
	return shown
}

// when is a time as a table shows it.
func when(t *time.Time) string {
	if t == nil {
		return "-"
	}
	return t.Format(time.RFC3339)
}

// optional is nil for the zero time, which JSON then leaves out.
func optional(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
