package store_test

import (
	"errors"
	"testing"
	"time"

	"github.com/hallpass-auth/hallpass/authserver/internal/record"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
)

// A table that cannot be swept does not keep Sweep from the others.
func TestSweepGoesOn(t *testing.T) {
	for name, open := range map[string]func(testing.TB) *store.Store{
		"SQLite": freshSQLite,
		"PostgreSQL": func(t testing.TB) *store.Store { // one of its own, because the test breaks its schema
			s := openPostgres(t, postgresURL(t))
			if _, err := s.Migrate(t.Context()); err != nil {
				t.Fatal(err)
			}
			return s
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, now := open(t), time.Now()
			if err := s.UseAssertion(t.Context(), "a", now, now); err != nil {
				t.Fatal(err)
			}
			if err := s.Exec(t.Context(), "ALTER TABLE codes RENAME TO lost"); err != nil {
				t.Fatal(err)
			}
			if err := s.Sweep(t.Context(), now.Add(time.Hour)); !errors.Is(err, store.ErrUnavailable) {
				t.Errorf("Sweep: %v", err)
			}
			if n := s.Swept()["used_assertions"]; n != 1 {
				t.Errorf("%d rows of used_assertions, want 1", n)
			}
		})
	}
}

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
