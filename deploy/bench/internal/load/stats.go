package load

import (
	"cmp"
	"math"
	"slices"
)

// Percentile returns the value that p percent of the values do not exceed (nearest
// rank), of values in ascending order. Without values it is zero; p is between 0
// and 100.
func Percentile[T any](ascending []T, p float64) T {
	var zero T
	if len(ascending) == 0 {
		return zero
	}
	rank := int(math.Ceil(p / 100 * float64(len(ascending))))
	return ascending[min(max(rank, 1), len(ascending))-1]
}

// Spread is the middle and the ends of some values.
type Spread[T cmp.Ordered] struct {
	Median, Min, Max T
}

// SpreadOf returns the spread of the values, in any order. Without values it is
// zero. Of an even number of values the median is the lower of the middle two.
func SpreadOf[T cmp.Ordered](values []T) Spread[T] {
	if len(values) == 0 {
		return Spread[T]{}
	}
	sorted := slices.Sorted(slices.Values(values))
	return Spread[T]{Median: Percentile(sorted, 50), Min: sorted[0], Max: sorted[len(sorted)-1]}
}
