package console

import (
	"fmt"
	"time"
)

// hour counts the logins of an hour.
type hour struct {
	begins         time.Time
	logins, failed int64
}

// Measures of the picture. Heights are in CSS pixels; widths are a part of the screen's, so that the texts in the
// picture have the size of other texts on every screen.
const (
	chartTop    = 24.0  // of the highest bar
	chartHeight = 150.0 // of the highest bar
)

// chart is a picture of the last day, and a table with the same numbers.
type chart struct {
	Label string // for people who do not see it
	Most  int64  // what the line at the top stands for
	Top   float64
	Half  float64
	Base  float64
	Bars  []bar
	Hours []tick
	Table *table
}

// bar is a number of logins in an hour.
type bar struct {
	X, Width string // in percent
	Y        float64
	Height   float64
	Bad      bool   // of failed logins
	Title    string // for the pointer
}

// tick is the time below a bar.
type tick struct {
	X    string // in percent
	Text string
	Main bool // also shown on a narrow screen
}

// newChart returns a picture of hours, which are in order.
func newChart(hours []hour) *chart {
	t := &table{
		Caption: "Logins and failed logins by hour (UTC), newest first", Columns: []string{"Hour", "Logins", "Failed"},
	}
	c := &chart{Most: 4, Top: chartTop, Half: chartTop + chartHeight/2, Base: chartTop + chartHeight, Table: t}
	var logins, failed int64
	for _, h := range hours {
		c.Most = max(c.Most, h.logins, h.failed)
		logins, failed = logins+h.logins, failed+h.failed
	}
	c.Most = roundUp(c.Most)
	c.Label = "Logins of the last 24 hours by hour: " + count(logins, "login") + " and " + count(failed, "failed login") +
		". The table below has the numbers."
	slot := 100 / float64(max(len(hours), 1))
	for i, h := range hours {
		left, begins := float64(i)*slot, h.begins.UTC()
		c.add(left+slot*.14, slot*.34, h.logins, false, begins)
		c.add(left+slot*.52, slot*.34, h.failed, true, begins)
		if begins.Hour()%3 == 0 {
			c.Hours = append(c.Hours, tick{percent(left + slot/2), begins.Format("15:04"), begins.Hour()%6 == 0})
		}
		t.Rows = append([][]cell{{at(begins), number(h.logins), number(h.failed)}}, t.Rows...)
	}
	return c
}

// add adds the bar of a number of logins; none for none.
func (c *chart) add(left, width float64, n int64, bad bool, begins time.Time) {
	if n == 0 {
		return
	}
	height := max(float64(n)/float64(c.Most)*chartHeight, 2)
	what := count(n, "login")
	if bad {
		what = count(n, "failed login")
	}
	c.Bars = append(c.Bars, bar{
		X: percent(left), Width: percent(width), Y: c.Base - height, Height: height, Bad: bad,
		Title: begins.Format("15:04") + ": " + what,
	})
}

func percent(f float64) string { return fmt.Sprintf("%.2f%%", f) }

// roundUp returns the next number of the form 1, 2, 4, 6 or 8 times a power of ten.
func roundUp(n int64) int64 {
	for unit := int64(1); ; unit *= 10 {
		for _, step := range []int64{1, 2, 4, 6, 8} {
			if step*unit >= n {
				return step * unit
			}
		}
	}
}
