package main

import (
	"strings"
	"testing"
)

// A cell of a table cannot write to the terminal, or begin a row.
func TestTableCells(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	if err := printTable(&out, []any{"REASON", "COUNT"}, [][]any{{"x\x1b[2J\r\nfake\trow \u202e\x9b é", 5}}); err != nil {
		t.Fatal(err)
	}
	const want = "REASON                    COUNT\nx�[2J��fake�row �� é  5\n"
	if got := out.String(); strings.Join(strings.Fields(got), " ") != strings.Join(strings.Fields(want), " ") ||
		strings.Count(got, "\n") != 2 {
		t.Errorf("got %q, want %q", got, want)
	}
}
