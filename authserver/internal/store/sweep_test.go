package store_test

import (
	"errors"
	"testing"
	"time"

	"github.com/hallpass-auth/hallpass/authserver/internal/record"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
)

// Expired rows are counted when they are deleted, by table. Rows that are not expired are not.
func TestSwept(t *testing.T) {
	for name, open := range map[string]func(testing.TB) *store.Store{
		"SQLite":     freshSQLite,
		"PostgreSQL": freshPostgres,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, now := open(t), time.Now()
			for i, digest := range []string{"a", "b", "c"} {
				at := now.Add(time.Duration(i) * time.Hour)
				if err := s.UseAssertion(t.Context(), digest, at.Add(time.Minute), at); err != nil {
					t.Fatal(err)
				}
			}
			err := s.UseAssertion(t.Context(), "c", now, now)
			if !errors.Is(err, record.ErrExists) {
				t.Errorf("used again: %v", err)
			}
			for table, rows := range s.Swept() {
				if want := map[string]int64{"used_assertions": 2}[table]; rows != want {
					t.Errorf("%d rows of %s, want %d", rows, table, want)
				}
			}
			if _, ok := s.Swept()["grants"]; !ok {
				t.Error("no count of a table that had no expired rows")
			}
			want := map[string]int{"SQLite": 2, "PostgreSQL": 1}[name]
			if got := len(s.Pools()); got != want {
				t.Errorf("%d pools, want %d", got, want)
			}
		})
	}
}
