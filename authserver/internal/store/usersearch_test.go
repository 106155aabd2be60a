package store_test

import (
	"database/sql"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hallpass-auth/hallpass/shared/database/databasetest"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
	"github.com/hallpass-auth/hallpass/authserver/internal/store/storetest"
)

// Every statement of a search is answered in the order of an index, on both engines, so that it takes as long among a
// million users as among a thousand.
func TestSearchUsesIndexes(t *testing.T) {
	t.Parallel()
	for engine, open := range map[string]func(testing.TB) (*store.Store, string, string){
		"SQLite": func(t testing.TB) (*store.Store, string, string) {
			path := storetest.SQLite(t)
			s, err := store.Open(t.Context(), "sqlite:"+path, databasetest.Pool)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = s.Close() })
			return s, "sqlite", path
		},
		"PostgreSQL": func(t testing.TB) (*store.Store, string, string) {
			url := migratedPostgres(t)
			return openPostgres(t, url), "pgx", url
		},
	} {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			s, driver, url := open(t)
			addSearched(t, s, 5000)
			db, err := sql.Open(driver, url)
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			db.SetMaxOpenConns(1)
			before := []string{"ANALYZE"}
			if driver == "pgx" { // with few users, PostgreSQL likes to sort what a bitmap finds
				before = append(before, "SET enable_bitmapscan = off")
			}
			for _, statement := range before {
				if _, err := db.ExecContext(t.Context(), statement); err != nil {
					t.Fatal(err)
				}
			}
			common := map[string]string{"username": "user 02001", "email": "user 02001@example.com", "name": "same"}
			indexes := map[string]string{
				"username": "users_by_folded_username", "email": "users_by_email", "name": "users_by_folded_name",
			}
			for column := range common {
				for _, where := range []string{
					" >= 'user 01' AND lower(" + column + ") < 'user 02' ORDER BY lower(" + column + "), id",
					" > 'user 01' ORDER BY lower(" + column + "), id",
					" = '" + common[column] + "' AND id > 'usr_02000' ORDER BY id",
				} {
					query := "SELECT * FROM users WHERE lower(" + column + ")" + where + " LIMIT 50"
					plan := explain(t, db, driver, query)
					sorts := strings.Contains(plan, "TEMP B-TREE FOR ORDER") ||
						strings.Contains(strings.ReplaceAll(plan, "Incremental Sort", ""), "Sort  (")
					if column == "email" && strings.HasPrefix(where, " =") {
						sorts = false // the few users with one address
					}
					if !strings.Contains(plan, indexes[column]) || sorts {
						t.Errorf("%s\nis not answered in the order of the index:\n%s", query, plan)
					}
				}
			}
		})
	}
}

// addSearched adds users. A fiftieth of them have the same name.
func addSearched(t *testing.T, s *store.Store, count int) {
	t.Helper()
	for i := range count {
		name := fmt.Sprintf("User %05d", i)
		u := account.User{
			ID: fmt.Sprintf("%s%05d", account.IDPrefix, i), Username: name, Email: name + "@example.com", Name: name,
			CreatedAt: time.Unix(1, 0),
		}
		if i%50 == 0 {
			u.Name = "Same"
		}
		if err := s.CreateUser(t.Context(), u); err != nil {
			t.Fatal(err)
		}
	}
}

// explain returns the plan of a query.
func explain(t *testing.T, db *sql.DB, driver, query string) string {
	t.Helper()
	prefix, columns := "EXPLAIN ", 1
	if driver == "sqlite" {
		prefix, columns = "EXPLAIN QUERY PLAN ", 4
	}
	rows, err := db.QueryContext(t.Context(), prefix+query)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var plan []string
	for rows.Next() {
		values := make([]any, columns)
		for i := range values {
			values[i] = new(any)
		}
		if err := rows.Scan(values...); err != nil {
			t.Fatal(err)
		}
		plan = append(plan, fmt.Sprint(*values[columns-1].(*any))) //nolint:forcetypeassert // made above
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return strings.Join(plan, "\n")
}
