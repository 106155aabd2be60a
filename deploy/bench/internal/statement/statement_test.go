package statement_test

import (
	"database/sql"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-auth/hallpass/deploy/bench/internal/statement"
	"github.com/hallpass-auth/hallpass/shared/postgrestest"
)

// postgres is the one server of all tests; each has a database of its own.
var postgres = sync.OnceValues(postgrestest.Shared)

func TestMain(m *testing.M) {
	code := m.Run()
	if server, err := postgres(); err == nil {
		if err := server.Close(); err != nil {
			panic(err)
		}
	}
	os.Exit(code)
}

// store is the folder of the authorization server's SQL.
const store = "../../../../authserver/internal/store"

// engine is a way to make a database, as its driver and its own URL say it.
type engine struct {
	driver       string
	serial, text string // what the migrations leave to the engine
	make         func(t *testing.T) (url, dsn string)
}

var engines = map[string]engine{
	"SQLite": {"sqlite", "INTEGER PRIMARY KEY AUTOINCREMENT", "TEXT", func(t *testing.T) (string, string) {
		path := filepath.Join(t.TempDir(), "odd name?.db")
		return "sqlite:" + path, "file:" + strings.NewReplacer(" ", "%20", "?", "%3F").Replace(path)
	}},
	"PostgreSQL": {"pgx", "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY", `TEXT COLLATE "C"`, func(t *testing.T) (string, string) {
		url := postgrestest.Database(t, postgres)
		return url, url
	}},
}

// inEachEngine runs the test on the schema of the server, with one client, one user, and
// three grants.
func inEachEngine(t *testing.T, test func(t *testing.T, url string, db *sql.DB)) {
	for name, e := range engines {
		t.Run(name, func(t *testing.T) {
			url, dsn := e.make(t)
			db, err := sql.Open(e.driver, dsn)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = db.Close() })
			for _, text := range append(migrations(t, e), rows...) {
				if _, err := db.ExecContext(t.Context(), text); err != nil {
					t.Fatalf("%v in\n%s", err, text)
				}
			}
			test(t, url, db)
		})
	}
}

// migrations are the server's own, in the words of the engine.
func migrations(t *testing.T, e engine) []string {
	t.Helper()
	files, err := filepath.Glob(store + "/migrations/*.sql")
	if err != nil || len(files) == 0 {
		t.Fatalf("no migrations: %v", err)
	}
	var texts []string
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		texts = append(texts, strings.NewReplacer("{{serial}}", e.serial, "{{text}}", e.text).Replace(string(text)))
	}
	return texts
}

var rows = []string{
	"INSERT INTO users (id, username, name, password_hash, created_at) VALUES ('usr_1', 'john.doe', 'John Doe', 'hash', 1)",
	"INSERT INTO clients (id, name, secret_digest, grant_types, scope, first_party, introspects, created_at) VALUES ('app', 'App', 'digest', 'client_credentials', 'a b', 0, 1, 1)",
	grantRow("'password', 'app', 'usr_1'"), grantRow("'password', 'app', 'usr_1'"),
	grantRow("'client_credentials', 'app', NULL"),
}

func grantRow(of string) string {
	return "INSERT INTO grants (type, client_id, user_id, scope, created_at, expires_at, refresh_family, refresh_digest, refresh_trail, refresh_ends_at, refresh_expires_at) " +
		"VALUES (" + of + ", 'a b', 1, 99999999999, 'family', 'first', '[{}]', 99999999999, 99999999999)"
}

// refreshState is what a grant's row says of its refresh tokens: the digest, and what
// is beside it.
func refreshState(t *testing.T, db *sql.DB, grant int64) (digest, trail string, expires int64) {
	t.Helper()
	err := db.QueryRowContext(t.Context(), "SELECT refresh_digest, refresh_trail, refresh_expires_at FROM grants WHERE number = $1", grant).
		Scan(&digest, &trail, &expires)
	if err != nil {
		t.Fatal(err)
	}
	return digest, trail, expires
}

// The statements are those of the server, letter by letter, or the comparison is none.
func TestStatementsAreTheServers(t *testing.T) {
	files, err := filepath.Glob(store + "/testdata/statements/*.sql")
	if err != nil || len(files) == 0 {
		t.Fatalf("no statements are kept: %v", err)
	}
	kept, err := os.ReadFile(files[len(files)-1])
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for text := range strings.SplitSeq(string(kept), ";\n") {
		known[text] = true
	}
	for _, text := range statement.All {
		if !known[text] {
			t.Errorf("the server does not run\n%s", text)
		}
	}
}

// A refresh changes the digest of each grant of the plan and of no other, again and
// again, and leaves what is beside it as the server would.
func TestRefresh(t *testing.T) {
	inEachEngine(t, func(t *testing.T, url string, db *sql.DB) {
		plan := statement.Plan{Database: url, Operation: statement.Refresh, Client: "app", Grants: []int64{1, 2}, Duration: 50 * time.Millisecond}
		rate, err := statement.Run(t.Context(), plan)
		if err != nil {
			t.Fatal(err)
		}
		if rate <= 0 {
			t.Errorf("%v operations a second", rate)
		}
		for _, grant := range plan.Grants {
			digest, trail, expires := refreshState(t, db, grant)
			soon := time.Now().Add(time.Hour).Unix()
			if len(digest) != 43 || trail != "[{}]" || expires < soon || expires == 99999999999 {
				t.Errorf("grant %d: digest %q, trail %q, good until %d", grant, digest, trail, expires)
			}
		}
		if digest, _, _ := refreshState(t, db, 3); digest != "first" {
			t.Errorf("a grant that is not in the plan has the digest %q", digest)
		}
	})
}

// Looking up changes nothing.
func TestLookups(t *testing.T) {
	inEachEngine(t, func(t *testing.T, url string, db *sql.DB) {
		for _, operation := range []statement.Operation{statement.Service, statement.Introspect} {
			plan := statement.Plan{Database: url, Operation: operation, Client: "app", Grants: []int64{1, 2}, Duration: 20 * time.Millisecond}
			if rate, err := statement.Run(t.Context(), plan); err != nil || rate <= 0 {
				t.Errorf("%s: %v a second, %v", operation, rate, err)
			}
		}
		for _, grant := range []int64{1, 2, 3} {
			if digest, _, _ := refreshState(t, db, grant); digest != "first" {
				t.Errorf("grant %d has the digest %q", grant, digest)
			}
		}
	})
}

// What the statements do not find is an error: nothing is measured that does nothing.
func TestMissingRows(t *testing.T) {
	inEachEngine(t, func(t *testing.T, url string, db *sql.DB) {
		if _, err := db.ExecContext(t.Context(), "UPDATE grants SET revoked_at = 1 WHERE number <> 1"); err != nil {
			t.Fatal(err)
		}
		for _, tt := range []struct {
			operation statement.Operation
			client    string
			grant     int64
			want      string
		}{
			{statement.Refresh, "app", 17, sql.ErrNoRows.Error()},
			{statement.Refresh, "app", 2, "changed 0 rows"},
			{statement.Service, "nobody", 1, sql.ErrNoRows.Error()},
			{statement.Service, "app", 1, sql.ErrNoRows.Error()},
			{statement.Introspect, "nobody", 1, sql.ErrNoRows.Error()},
			{statement.Introspect, "app", 17, sql.ErrNoRows.Error()},
			{statement.Introspect, "app", 3, sql.ErrNoRows.Error()},
			{"dance", "app", 1, `"dance"`},
		} {
			plan := statement.Plan{Database: url, Operation: tt.operation, Client: tt.client, Grants: []int64{tt.grant}, Duration: time.Second}
			if _, err := statement.Run(t.Context(), plan); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%+v: error %v", tt, err)
			}
		}
	})
}

// A database that is not there is an error, and is not made.
func TestMissingDatabase(t *testing.T) {
	dir := t.TempDir()
	plan := statement.Plan{Database: "sqlite:" + filepath.Join(dir, "none.db"), Operation: statement.Service, Client: "app", Grants: []int64{1}}
	if _, err := statement.Run(t.Context(), plan); err == nil {
		t.Error("no error")
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(0, len(entries)); diff != "" {
		t.Errorf("files were made: %v", entries)
	}
}
