package store

import (
	"context"
	"fmt"
	"time"
)

// SetBusyTimeout makes the one writing connection to SQLite wait only so long for a
// lock, so that a test of a locked database need not wait for five seconds.
func (s *Store) SetBusyTimeout(ctx context.Context, d time.Duration) error {
	_, err := s.write.ExecContext(ctx, fmt.Sprintf("PRAGMA busy_timeout = %d", d.Milliseconds()))
	return err
}
