package server

import "testing"

// With a quota, password checks leave half a CPU of it to other requests.
func TestDefaultWorkers(t *testing.T) {
	for _, tt := range []struct {
		cpus    int
		quota   float64
		limited bool
		want    int
	}{
		{cpus: 1, want: 1}, {cpus: 8, want: 8}, {cpus: 5000, want: maxWorkers},
		{8, 0.25, true, 1}, {8, 1, true, 1}, {8, 2, true, 1}, {8, 2.5, true, 2}, {8, 4, true, 3}, {2, 16, true, 2},
	} {
		if got := defaultWorkers(tt.cpus, tt.quota, tt.limited); got != tt.want {
			t.Errorf("%d CPUs with the quota %v (%v): %d workers, want %d", tt.cpus, tt.quota, tt.limited, got, tt.want)
		}
	}
}
