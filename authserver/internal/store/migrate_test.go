package store_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-auth/hallpass/authserver/internal/record"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
)

// beforeIntrospection fills a database of schema version 9.
var beforeIntrospection = []string{
	`INSERT INTO apis (audience, name, scope, any_scope, created_at) VALUES ('https://api.example', 'API', '', 1, 0)`,
	`INSERT INTO default_api (id, audience) VALUES (1, 'https://api.example')`,
	`INSERT INTO apis (audience, name, scope, created_at, deleted_at) VALUES ('https://gone.example', 'API', 'x', 0, 1)`,
	`INSERT INTO users (id, username, name, password_hash, created_at) VALUES ('usr_1', 'john', 'John', '', 0)`,
	`INSERT INTO clients (id, name, secret_digest, grant_types, scope, first_party, introspects, created_at)
		VALUES ('app', 'App', 'x', 'password', 'x', 0, 0, 0), ('gateway', 'App', 'x', 'password', 'x', 0, 1, 0)`,
	`INSERT INTO api_consents (user_id, client_id, audience, scope, updated_at) VALUES ('usr_1', 'app', '', 'x', 0),
		('usr_1', 'app', 'https://gone.example', 'x', 0), ('usr_1', 'app', 'https://swept.example', 'x', 0)`,
}

// moreAPIs registers two APIs besides the default one.
const moreAPIs = `INSERT INTO apis (audience, name, scope, created_at)
	VALUES ('https://a.example', 'A', 'x', 0), ('https://b.example', 'B', 'x', 0)`

// Clients that could introspect every token keep the APIs that exist. Consents to APIs that were
// deleted are dropped.
func TestMigrateIntrospectionAndConsents(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name       string
		statements []string
		want       []string // the APIs of the client that introspects
	}{
		{"default API", beforeIntrospection, []string{"default"}},
		{
			"several APIs", append(slices.Clone(beforeIntrospection), moreAPIs),
			[]string{"default", "https://a.example", "https://b.example"},
		},
	} {
		for engine, open := range emptyDatabases {
			t.Run(tt.name+", "+engine, func(t *testing.T) {
				s := open(t)
				migrateFrom(t, s, 9, tt.statements)
				for id, want := range map[string][]string{"app": nil, "gateway": tt.want} {
					c, err := s.ClientByID(t.Context(), id)
					slices.Sort(c.IntrospectsFor)
					if diff := cmp.Diff(want, c.IntrospectsFor); err != nil || diff != "" || c.WithoutPKCE {
						t.Errorf("%s: %v, introspects for (-want +got):\n%s", id, err, diff)
					}
				}
				got, err := s.Consents(t.Context(), "usr_1")
				want := []store.Consent{{ClientID: "app", Scope: []string{"x"}, UpdatedAt: time.Unix(0, 0).UTC()}}
				if diff := cmp.Diff(want, got); err != nil || diff != "" {
					t.Errorf("consents: %v (-want +got):\n%s", err, diff)
				}
			})
		}
	}
}

// emptyDatabases open a new database without a schema.
var emptyDatabases = map[string]func(*testing.T) *store.Store{
	"SQLite":     func(t *testing.T) *store.Store { return mustOpen(t, t.TempDir()+"/hallpass.db") },
	"PostgreSQL": func(t *testing.T) *store.Store { return openPostgres(t, postgresURL(t)) },
}

// migrateFrom migrates a new database to an earlier version, runs the statements, and migrates it up.
func migrateFrom(t *testing.T, s *store.Store, version int64, statements []string) {
	t.Helper()
	if err := s.MigrateTo(t.Context(), version); err != nil {
		t.Fatal(err)
	}
	for _, statement := range statements {
		if err := s.Exec(t.Context(), statement); err != nil {
			t.Fatalf("%v in %s", err, statement)
		}
	}
	if _, err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// Clients that nobody has registered are kept if an administrator has changed them before, as the audit log says.
func TestClientsChangedByAnEarlierVersion(t *testing.T) {
	t.Parallel()
	registered := func(id, source string) string {
		return "INSERT INTO clients (id, source, name, secret_digest, grant_types, scope, first_party, created_at, " +
			"last_used_at) VALUES ('" + id + "', '" + source + "', 'x', '', 'authorization_code', 'a', 0, 1000, 1000)"
	}
	records := 0
	changed := func(id, actor, event, at string) string {
		records++
		return fmt.Sprintf("INSERT INTO audit_records (id, at, event, outcome, actor_kind, actor_id, subject_kind, "+
			"subject_id, address, client_id, request_id, count, details) VALUES ('%d', %s, '%s', 'success', 'user', '%s', "+
			"'client', '%s', '', '', '', 1, '{}')", records, at, event, actor, id)
	}
	statements := []string{
		registered("administrator", ""), changed("administrator", "usr_1", "client_changed", "1001"),
		registered("document", "document"), changed("document", "usr_1", "client_changed", "1001"),
		registered("registration", "registration"), changed("registration", "usr_1", "client_changed", "1000"),
		registered("itself", "registration"), changed("itself", "itself", "client_changed", "1001"),
		registered("replaced", "document"), changed("replaced", "usr_1", "client_changed", "999"),
		registered("new", "registration"), changed("new", "usr_1", "client_registered", "1000"),
	}
	for engine, open := range emptyDatabases {
		t.Run(engine, func(t *testing.T) {
			s := open(t)
			migrateFrom(t, s, 160, statements)
			clients, err := s.Clients(t.Context(), record.Page{})
			if err != nil {
				t.Fatal(err)
			}
			var kept []string
			for _, c := range clients {
				if c.Kept {
					kept = append(kept, c.ID)
				}
			}
			if diff := cmp.Diff([]string{"document", "registration"}, kept); diff != "" {
				t.Errorf("kept clients (-want +got):\n%s", diff)
			}
		})
	}
}
