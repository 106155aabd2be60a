package main

import (
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
)

// row is a line of the table. A row that has only what is a heading.
type row struct{ what, ours, floor, ratio, goal string }

// table formats the rows as a Markdown table with aligned columns.
func table(rows []row) string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 1, ' ', 0)
	head := []row{{"", "Hallpass", "floor", "ratio", "goal"}, {"---", "---", "---", "---", "---"}}
	for _, r := range append(head, rows...) {
		fmt.Fprintf(w, "| %s\t| %s\t| %s\t| %s\t| %s\t|\n", r.what, r.ours, r.floor, r.ratio, r.goal)
	}
	_ = w.Flush() // to memory: cannot fail
	return b.String()
}

// goal judges a row by the median of Hallpass and the median ratio. The zero value is no goal.
type goal struct {
	text    string
	reached func(ours, ratio float64) bool
}

// atLeast is a goal for the ratio.
func atLeast(minimum float64) goal {
	return goal{fmt.Sprintf("%.2f or more", minimum), func(_, ratio float64) bool { return ratio >= minimum }}
}

// atMost is a goal for the ratio.
func atMost(maximum float64) goal {
	return goal{fmt.Sprintf("%.2f or less", maximum), func(_, ratio float64) bool { return ratio <= maximum }}
}

// under is a goal for the figure of Hallpass.
func under(maximum float64, unit string) goal {
	return goal{fmt.Sprintf("under %g %s", maximum, unit), func(ours, _ float64) bool { return ours < maximum }}
}

// and is reached if both goals are.
func (g goal) and(other goal) goal {
	return goal{g.text + ", " + other.text, func(ours, ratio float64) bool {
		return g.reached(ours, ratio) && other.reached(ours, ratio)
	}}
}

// verdict says whether the goal was reached.
func (g goal) verdict(ours, ratio float64) string {
	switch {
	case g.reached == nil:
		return ""
	case g.reached(ours, ratio):
		return g.text + ": REACHED"
	}
	return g.text + ": MISSED"
}

// only returns a row with the median of a series that has no floor.
func only(name, format string, our []float64, g goal) row {
	return row{what: name, ours: fmt.Sprintf(format, median(our)), goal: g.verdict(median(our), 0)}
}

// compare returns a row with the medians of two series and the ratios of their rounds: a
// disturbance of the machine affects both in a round.
func compare(name, format string, our, floor []float64, g goal) row {
	all := ratios(our, floor)
	return row{
		what:  name,
		ours:  fmt.Sprintf(format, median(our)),
		floor: fmt.Sprintf(format, median(floor)),
		ratio: fmt.Sprintf("%.2f (%.2f to %.2f)", median(all), slices.Min(all), slices.Max(all)),
		goal:  g.verdict(median(our), median(all)),
	}
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
