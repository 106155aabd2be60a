package main

import (
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
)

// row is a line of the table: what is measured, the figures of Hallpass and of the floor,
// their ratio, the goal. A row that has only the first cell is a heading.
type row [5]string

// The cells of a row.
const (
	what = iota
	ours
	floor
	ratio
	goal
)

// table formats the rows as a Markdown table with aligned columns.
func table(rows []row) string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 1, ' ', 0)
	rows = append([]row{{"", "Hallpass", "floor", "ratio", "goal"}, {"---", "---", "---", "---", "---"}}, rows...)
	for _, r := range rows {
		fmt.Fprintf(w, "| %s\t|\n", strings.Join(r[:], "\t| "))
	}
	_ = w.Flush() // to memory: cannot fail
	return b.String()
}

// verdict says whether a goal was reached.
func verdict(goal string, reached bool) string {
	if reached {
		return goal + ": REACHED"
	}
	return goal + ": MISSED"
}

// compare returns a row with the medians of two series and the ratios of their rounds: a
// disturbance of the machine affects both servers in a round. The goal is a median ratio of
// at least minimum; 0 means no goal.
func compare(name, format string, our, floor []float64, minimum float64) row {
	all := ratios(our, floor)
	r := row{name, fmt.Sprintf(format, median(our)), fmt.Sprintf(format, median(floor)),
		fmt.Sprintf("%.2f (%.2f to %.2f)", median(all), slices.Min(all), slices.Max(all))}
	if minimum > 0 {
		r[goal] = verdict(fmt.Sprintf("%.2f or more", minimum), median(all) >= minimum)
	}
	return r
}

func ratios(our, floor []float64) (all []float64) {
	for i := range our {
		all = append(all, our[i]/floor[i])
	}
	return all
}

// median returns the median of values, of which there is at least one.
func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return (sorted[(len(sorted)-1)/2] + sorted[len(sorted)/2]) / 2
}

// column returns one figure of the samples.
func column(samples []sample, figure int) (values []float64) {
	for _, s := range samples {
		values = append(values, s[figure])
	}
	return values
}

// compareFigure compares one figure of samples.
func compareFigure(name string, figure int, our, floor []sample, minimum float64) row {
	return compare(name, figures[figure].format, column(our, figure), column(floor, figure), minimum)
}

// compareAll returns a heading and a row for each figure of the samples. minimum is the
// goal for the requests a second.
func compareAll(heading string, our, floor []sample, minimum float64) []row {
	rows := []row{{what: heading}}
	for i, f := range figures {
		rows = append(rows, compareFigure(f.name, i, our, floor, minimum))
		minimum = 0
	}
	return rows
}
