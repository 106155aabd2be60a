package store

import (
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// onConnection opens a database and takes the connection that writes.
func onConnection(t *testing.T) (*Store, *sql.Conn) {
	t.Helper()
	s, err := openSQLite(t.Context(), filepath.Join(t.TempDir(), "hallpass.db"), os.O_CREATE)
	if err != nil {
		t.Fatal(err)
	}
	c, err := s.write.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s, c
}

// keeps returns the statements that a connection keeps.
func keeps(t *testing.T, c *sql.Conn) (kept map[string]any) {
	t.Helper()
	kept = map[string]any{}
	err := c.Raw(func(driverConn any) error {
		for query, statement := range driverConn.(*preparingConn).prepared {
			kept[query] = statement
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return kept
}

const countTo = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $1) SELECT i FROM n"

// sum adds the numbers up to n, and on the way does something else.
func sum(t *testing.T, c *sql.Conn, n int, meanwhile func()) (total int) {
	t.Helper()
	rows, err := c.QueryContext(t.Context(), countTo, n)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var i int
		if err := rows.Scan(&i); err != nil {
			t.Fatal(err)
		}
		total += i
		meanwhile()
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return total
}

// A statement is compiled once, and one that is in use is nobody else's.
func TestStatementsAreKeptByConnections(t *testing.T) {
	_, c := onConnection(t)
	nothing := func() {}
	if got := sum(t, c, 4, nothing); got != 10 {
		t.Fatalf("got %d, want 10", got)
	}
	before := keeps(t, c)[countTo]
	if got := sum(t, c, 3, func() {
		if _, kept := keeps(t, c)[countTo]; kept {
			t.Error("a statement in use can be taken")
		}
	}); got != 6 {
		t.Errorf("got %d, want 6", got)
	}
	if after := keeps(t, c)[countTo]; before == nil || after != before {
		t.Errorf("compiled again: %v, then %v", before, after)
	}
	if got := sum(t, c, 3, func() {
		if inner := sum(t, c, 5, nothing); inner != 15 {
			t.Errorf("got %d while the same is running, want 15", inner)
		}
	}); got != 6 {
		t.Errorf("got %d around it, want 6", got)
	}
}

func TestKeptStatementsAreBounded(t *testing.T) {
	_, c := onConnection(t)
	for i := range 3 * maxPrepared {
		var got int
		if err := c.QueryRowContext(t.Context(), fmt.Sprintf("SELECT %d + $1", i), 1).Scan(&got); err != nil || got != i+1 {
			t.Fatalf("%d: got %d, %v", i, got, err)
		}
	}
	if n := len(keeps(t, c)); n != maxPrepared {
		t.Errorf("%d statements are kept, want %d", n, maxPrepared)
	}
}

// A statement that failed is as good as new, and one whose table another connection has
// changed knows the new one.
func TestKeptStatementsAfterAnErrorAndAChange(t *testing.T) {
	s, c := onConnection(t)
	run := func(query string, args ...any) error {
		_, err := c.ExecContext(t.Context(), query, args...)
		return err
	}
	if err := run("CREATE TABLE t (a INTEGER PRIMARY KEY)"); err != nil {
		t.Fatal(err)
	}
	const insert, read = "INSERT INTO t (a) VALUES ($1)", "SELECT * FROM t"
	for i, fails := range []bool{false, true, false, true} {
		if err := run(insert, i/2); (err != nil) != fails {
			t.Errorf("insert %d: %v", i, err)
		}
	}
	columns := func() int {
		rows, err := s.read.QueryContext(t.Context(), read)
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		names, err := rows.Columns()
		if err != nil || rows.Err() != nil {
			t.Fatal(err, rows.Err())
		}
		return len(names)
	}
	if n := columns(); n != 1 {
		t.Errorf("%d columns, want 1", n)
	}
	if err := run("ALTER TABLE t ADD COLUMN b TEXT"); err != nil {
		t.Fatal(err)
	}
	if n := columns(); n != 2 {
		t.Errorf("%d columns after one was added, want 2", n)
	}
}
