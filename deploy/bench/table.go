package main

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/hallpass-auth/hallpass/deploy/bench/internal/load"
)

// row is a line of the table. A row with nothing but a name is a heading.
type row struct {
	what  string
	ours  string
	floor string
	ratio string
	goal  string
}

func (r row) cells() []string { return []string{r.what, r.ours, r.floor, r.ratio, r.goal} }

// table lays the rows out as a table in Markdown that can be read as it is.
func table(rows []row) string {
	all := append([]row{{"", "Hallpass", "floor", "ratio", "goal"}}, rows...)
	widths := make([]int, len(row{}.cells()))
	for _, r := range all {
		for i, cell := range r.cells() {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	var b strings.Builder
	for i, r := range all {
		writeLine(&b, r.cells(), widths, " ")
		if i == 0 {
			writeLine(&b, make([]string, len(widths)), widths, "-")
		}
	}
	return b.String()
}

func writeLine(b *strings.Builder, cells []string, widths []int, fill string) {
	for i, cell := range cells {
		b.WriteString("| " + cell + strings.Repeat(fill, widths[i]-utf8.RuneCountInString(cell)) + " ")
	}
	b.WriteString("|\n")
}

// verdict says whether a goal was reached.
func verdict(goal string, reached bool) string {
	if reached {
		return goal + ": REACHED"
	}
	return goal + ": MISSED"
}

// ratioText shows the ratios of all rounds.
func ratioText(ratios load.Spread[float64]) string {
	return fmt.Sprintf("%.2f (%.2f to %.2f)", ratios.Median, ratios.Min, ratios.Max)
}

// mebibytes shows a size.
func mebibytes(bytes int64) string { return fmt.Sprintf("%.1f MiB", float64(bytes)/(1<<20)) }
