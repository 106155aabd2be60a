package main

import (
	"context"
	"fmt"
)

// sample is what a round measures. Figures that a subject does not have are zero.
type sample [4]float64

// The figures of a sample.
const (
	perSecond = iota
	cpu       // of the server, µs a request
	p50       // latency, µs
	p99
)

// figures says how to show the figures of a sample.
var figures = [...]struct{ name, format string }{
	perSecond: {"requests a second", "%.0f"},
	cpu:       {"server CPU for a request", "%.1f µs"},
	p50:       {"latency, median", "%.0f µs"},
	p99:       {"latency, 99th percentile", "%.0f µs"},
}

// subject is something to measure: a server under a load, or work in this process.
type subject struct {
	name    string
	measure func(ctx context.Context) (sample, error)
}

// results are the samples of each subject, by round.
type results map[string][]sample

// measure measures the subjects for a number of rounds. In each round they take turns, and
// another one begins.
func (r results) measure(ctx context.Context, rounds int, subjects ...subject) error {
	for round := range rounds {
		for i := range subjects {
			s := subjects[(i+round)%len(subjects)]
			one, err := s.measure(ctx)
			if err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
			r[s.name] = append(r[s.name], one)
		}
	}
	return nil
}

// warm measures the subjects once and drops the samples, then measures.
func (r results) warm(ctx context.Context, rounds int, subjects ...subject) error {
	if err := (results{}).measure(ctx, 1, subjects...); err != nil {
		return err
	}
	return r.measure(ctx, rounds, subjects...)
}

// column returns one figure of a subject.
func (r results) column(name string, figure int) (values []float64) {
	for _, s := range r[name] {
		values = append(values, s[figure])
	}
	return values
}

// compare returns the row of one figure of two subjects. The name is the figure's if empty.
func (r results) compare(name string, figure int, our, floor string, g goal) row {
	if name == "" {
		name = figures[figure].name
	}
	return compare(name, figures[figure].format, r.column(our, figure), r.column(floor, figure), g)
}

// compareAll returns a row for each figure of two subjects. The goals are those of the first
// figures.
func (r results) compareAll(our, floor string, goals ...goal) (rows []row) {
	for i := range figures {
		var g goal
		if i < len(goals) {
			g = goals[i]
		}
		rows = append(rows, r.compare("", i, our, floor, g))
	}
	return rows
}
