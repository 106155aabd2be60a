package database_test

import (
	"context"
	"sync"
	"testing"

	"github.com/hallpass-auth/hallpass/shared/database"
	"github.com/hallpass-auth/hallpass/shared/database/databasetest"
)

// Two transactions that lock two rows in opposite orders both succeed: PostgreSQL ends one of them, which runs again.
func TestDeadlock(t *testing.T) {
	t.Parallel()
	db := open(t, databasetest.URL(t, database.PostgreSQL), schema)
	for _, word := range []string{"a", "b"} {
		if _, err := db.Exec(t.Context(), "insert", insert, word); err != nil {
			t.Fatal(err)
		}
	}
	var locked, done sync.WaitGroup // locked: both have their first row
	locked.Add(2)
	tries := make([]int, 2)
	for i, order := range [][]string{{"a", "b"}, {"b", "a"}} {
		done.Go(func() {
			err := db.InTx(t.Context(), "use", func(ctx context.Context, tx database.Tx) error {
				tries[i]++
				for place, word := range order {
					const use = "UPDATE words SET uses = uses + 1 WHERE word = $1"
					if _, err := database.Changed(ctx, tx, "use", use, word); err != nil {
						return err
					}
					if place == 0 && tries[i] == 1 {
						locked.Done()
						locked.Wait()
					}
				}
				return nil
			})
			if err != nil {
				t.Errorf("%v: %v", order, err)
			}
		})
	}
	done.Wait()
	var uses int
	err := db.Read.ScanRow(t.Context(), "SELECT SUM(uses) FROM words", nil, &uses)
	if err != nil || uses != 4 || tries[0]+tries[1] < 3 {
		t.Errorf("%d uses, want 4 (%v); tries %v, want 3 or more", uses, err, tries)
	}
}
