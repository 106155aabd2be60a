package sparselog_test

import (
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-auth/hallpass/shared/internal/sparselog"
)

func TestReasons(t *testing.T) {
	reasons, reason, now := sparselog.New(slog.LevelWarn, "more_before"), errors.New("why"), time.Now()
	for _, tt := range []struct {
		after time.Duration
		more  int // at level warn; -1 for level debug
	}{
		{0, 0},
		{0, -1},
		{sparselog.Interval - 1, -1},
		{sparselog.Interval, 2},
		{sparselog.Interval + 1, -1},
		{2 * sparselog.Interval, 1},
		{4 * sparselog.Interval, 0},
	} {
		level, attributes := reasons.Next(reason, now.Add(tt.after))
		wantLevel, want := slog.LevelWarn, []any{"reason", reason, "more_before", tt.more}
		if tt.more < 0 {
			wantLevel, want = slog.LevelDebug, want[:2]
		}
		if level != wantLevel {
			t.Errorf("after %v: %v, want %v", tt.after, level, wantLevel)
		}
		same := cmp.Comparer(func(a, b error) bool { return errors.Is(a, b) })
		if diff := cmp.Diff(want, attributes, same); diff != "" {
			t.Errorf("after %v: attributes (-want +got):\n%s", tt.after, diff)
		}
	}
}
