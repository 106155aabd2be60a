package load_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-auth/hallpass/deploy/bench/internal/load"
)

// Percentiles are by nearest rank: always one of the values.
func TestPercentile(t *testing.T) {
	hundred := make([]int, 100)
	for i := range hundred {
		hundred[i] = i + 1
	}
	for _, tt := range []struct {
		values []int
		p      float64
		want   int
	}{
		{hundred, 0, 1}, {hundred, 1, 1}, {hundred, 50, 50}, {hundred, 99, 99}, {hundred, 99.5, 100}, {hundred, 100, 100},
		{[]int{15, 20, 35, 40, 50}, 5, 15}, {[]int{15, 20, 35, 40, 50}, 30, 20}, {[]int{15, 20, 35, 40, 50}, 40, 20},
		{[]int{15, 20, 35, 40, 50}, 50, 35}, {[]int{15, 20, 35, 40, 50}, 100, 50},
		{[]int{7}, 0, 7}, {[]int{7}, 99, 7}, {nil, 50, 0},
	} {
		if got := load.Percentile(tt.values, tt.p); got != tt.want {
			t.Errorf("Percentile(%d values, %v) = %d, not %d", len(tt.values), tt.p, got, tt.want)
		}
	}
}

func TestSpreadOf(t *testing.T) {
	for _, tt := range []struct {
		values []float64
		want   load.Spread[float64]
	}{
		{nil, load.Spread[float64]{}},
		{[]float64{3}, load.Spread[float64]{Median: 3, Min: 3, Max: 3}},
		{[]float64{5, 1, 3}, load.Spread[float64]{Median: 3, Min: 1, Max: 5}},
		{[]float64{4, 1, 3, 2}, load.Spread[float64]{Median: 2, Min: 1, Max: 4}},
	} {
		given := append([]float64(nil), tt.values...)
		if diff := cmp.Diff(tt.want, load.SpreadOf(tt.values)); diff != "" {
			t.Errorf("SpreadOf(%v) (-want +got):\n%s", tt.values, diff)
		}
		if diff := cmp.Diff(given, tt.values); diff != "" {
			t.Errorf("SpreadOf changed its argument:\n%s", diff)
		}
	}
}
