package store_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/hallpass-auth/hallpass/authserver/internal/audit"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
)

// auditStart is when the records of these tests were written. Dropping needs them to be older than 30 days, by the
// clock of PostgreSQL too.
var auditStart = time.Date(2024, time.March, 1, 12, 0, 0, 0, time.UTC)

// fillAudit seals records, a minute apart, and returns their ids and the head.
func fillAudit(t *testing.T, s *store.Store, n int) (ids []string, head audit.Link) {
	t.Helper()
	ctx := audit.WithActor(t.Context(), audit.Actor{
		Kind: audit.User, ID: "usr_actor", Address: "192.0.2.1", ClientID: "app", RequestID: "req",
	})
	for i := range n {
		err := s.Record(ctx, audit.Event{
			Name: "login", At: auditStart.Add(time.Duration(i) * time.Minute),
			Subject: audit.Subject{Kind: "user", ID: "usr_subject"}, Details: audit.Details("methods", "pwd"),
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.SealAudit(t.Context(), n); err != nil {
		t.Fatal(err)
	}
	links, err := s.AuditLinks(t.Context(), 0, n)
	if err != nil || len(links) != n {
		t.Fatalf("%d links, %v", len(links), err)
	}
	for _, l := range links {
		ids = append(ids, l.RecordID)
	}
	head, err = s.AuditHead(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return ids, head
}

// ofTheOwner are databases with statements that only their owner can run.
var ofTheOwner = map[string]struct {
	open func(testing.TB) *store.Store
	// unguard takes the triggers away.
	unguard []string
}{
	"SQLite": {freshSQLite, []string{
		"DROP TRIGGER audit_records_stay", "DROP TRIGGER audit_records_are_kept", "DROP TRIGGER audit_chain_stays",
		"DROP TRIGGER audit_chain_is_kept",
	}},
	"PostgreSQL": {newPostgres, []string{
		"ALTER TABLE audit_records DISABLE TRIGGER USER", "ALTER TABLE audit_chain DISABLE TRIGGER USER",
	}},
}

// newPostgres opens a database of its own, whose triggers a test may take away.
func newPostgres(t testing.TB) *store.Store {
	t.Helper()
	s := openPostgres(t, postgresURL(t))
	if _, err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

// A change of any column of a record, and records that are removed or moved, are found, and the first one is named.
func TestTamperingIsFound(t *testing.T) {
	t.Parallel()
	for name, engine := range ofTheOwner {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := engine.open(t)
			ids, _ := fillAudit(t, s, 6)
			keep := []string{
				"CREATE TABLE kept_records AS SELECT * FROM audit_records", "CREATE TABLE kept_chain AS SELECT * FROM audit_chain",
			}
			run(t, s, append(engine.unguard, keep...)...)
			for _, tt := range tampering(ids) {
				run(t, s, tt.statements...)
				_, err := audit.Verify(t.Context(), s, "")
				var broken *audit.BrokenError
				if !errors.As(err, &broken) || broken.Number != tt.number || (tt.id != "" && broken.RecordID != tt.id) {
					t.Errorf("%s: got %v, want that it names number %d, record %s", tt.name, err, tt.number, tt.id)
				}
				run(t, s, "DELETE FROM audit_records", "INSERT INTO audit_records SELECT * FROM kept_records",
					"DELETE FROM audit_chain", "INSERT INTO audit_chain SELECT * FROM kept_chain", "DELETE FROM audit_queue")
				if _, err := audit.Verify(t.Context(), s, ""); err != nil {
					t.Fatalf("%s, undone: %v", tt.name, err)
				}
			}
		})
	}
}

// tamper is a way to change the log, and where it must be found.
type tamper struct {
	name       string
	statements []string
	number     int64
	id         string
}

func tampering(ids []string) []tamper {
	all := []tamper{
		{"record removed", []string{"DELETE FROM audit_records WHERE id = '" + ids[2] + "'"}, 3, ids[2]},
		{
			"record removed with its link", []string{
				"DELETE FROM audit_records WHERE id = '" + ids[2] + "'", "DELETE FROM audit_chain WHERE number = 3",
			}, 3, "",
		},
		{"link removed", []string{"DELETE FROM audit_chain WHERE number = 6"}, 0, ids[5]},
		{
			"first removed", []string{
				"DELETE FROM audit_records WHERE id = '" + ids[0] + "'", "DELETE FROM audit_chain WHERE number = 1",
			}, 1, "",
		},
		{"moved", []string{
			"UPDATE audit_chain SET number = 60 WHERE number = 4", "UPDATE audit_chain SET number = 4 WHERE number = 5",
			"UPDATE audit_chain SET number = 5 WHERE number = 60",
		}, 4, ids[4]},
		{"hash changed", []string{"UPDATE audit_chain SET hash = 'x' WHERE number = 2"}, 2, ids[1]},
		{"added", []string{
			"INSERT INTO audit_records SELECT 'added', at, event, outcome, actor_kind, actor_id, subject_kind, subject_id, " +
				"address, client_id, request_id, count, details FROM audit_records WHERE id = '" + ids[0] + "'",
		}, 0, "added"},
		{"removed before it is sealed", []string{"INSERT INTO audit_queue (id) VALUES ('gone')"}, 0, "gone"},
		{"id changed", []string{"UPDATE audit_records SET id = 'other' WHERE id = '" + ids[1] + "'"}, 2, ids[1]},
		{"same details, other text", []string{
			`UPDATE audit_records SET details = '{"methods": "pwd"}' WHERE id = '` + ids[1] + "'",
		}, 2, ids[1]},
	}
	for _, column := range []string{
		"event", "outcome", "actor_kind", "actor_id", "subject_kind", "subject_id", "address", "client_id", "request_id",
		"details",
	} {
		all = append(all, tamper{column, []string{
			"UPDATE audit_records SET " + column + " = " + column + " || 'x' WHERE id = '" + ids[3] + "'",
		}, 4, ids[3]})
	}
	for _, column := range []string{"at", "count"} {
		all = append(all, tamper{column, []string{
			"UPDATE audit_records SET " + column + " = " + column + " + 1 WHERE id = '" + ids[3] + "'",
		}, 4, ids[3]})
	}
	return all
}

// run runs statements, which must succeed.
func run(t testing.TB, s *store.Store, statements ...string) {
	t.Helper()
	for _, statement := range statements {
		if err := s.Exec(t.Context(), statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
}

// The owner can remove the last records with their links, or write another chain. Only a hash that was written down
// earlier shows that.
func TestRemovedTailIsFoundByAHeadOnly(t *testing.T) {
	t.Parallel()
	for name, engine := range ofTheOwner {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := engine.open(t)
			ids, head := fillAudit(t, s, 5)
			run(t, s, engine.unguard...)
			run(t, s, "DELETE FROM audit_records WHERE id = '"+ids[4]+"'", "DELETE FROM audit_chain WHERE number = 5")
			v, err := audit.Verify(t.Context(), s, "")
			if err != nil || v.Records != 4 {
				t.Errorf("without a head: %+v, %v, want 4 records in order", v, err)
			}
			if v, err = audit.Verify(t.Context(), s, head.Hash); err != nil || v.HeadFound {
				t.Errorf("with the head: %+v, %v, want that it is not found", v, err)
			}
		})
	}
}

// forbidden are statements by which a server that was taken over would change the log.
var forbidden = []string{
	"UPDATE audit_records SET event = 'x'",
	"DELETE FROM audit_records",
	"UPDATE audit_chain SET hash = 'x'",
	"DELETE FROM audit_chain",
	"DELETE FROM audit_chain WHERE number = 4",
	"UPDATE audit_cuts SET hash = 'x'",
	"DELETE FROM audit_cuts",
}

// Triggers refuse changes on both engines, also by the owner, but not the dropping of what is before a cut.
func TestAuditTriggers(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		open func(testing.TB) *store.Store
		more []string
	}{
		"SQLite": {freshSQLite, []string{
			"INSERT OR REPLACE INTO audit_records SELECT * FROM audit_records LIMIT 1",
			"REPLACE INTO audit_cuts SELECT * FROM audit_cuts",
		}},
		"PostgreSQL": {newPostgres, []string{
			"TRUNCATE audit_records", "TRUNCATE audit_chain", "TRUNCATE audit_cuts",
			"TRUNCATE audit_records, audit_chain CASCADE",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := tt.open(t)
			fillAudit(t, s, 4)
			if err := s.CutAudit(t.Context(), auditStart.Add(90*time.Second), time.Now()); err != nil {
				t.Fatal(err)
			}
			for _, statement := range append(tt.more, forbidden...) {
				if err := s.Exec(t.Context(), statement); err == nil {
					t.Errorf("%s succeeds", statement)
				}
			}
			if n, err := s.DropAudit(t.Context(), 10); n != 2 || err != nil {
				t.Errorf("dropped %d, %v, want the 2 before the cut", n, err)
			}
			if v, err := audit.Verify(t.Context(), s, ""); err != nil || v.Records != 2 {
				t.Errorf("verified %+v, %v", v, err)
			}
			testMisplacedLinks(t, s)
		})
	}
}

// misplaced are statements by which a server that was taken over would drop a record that waits to be sealed, or stop
// the sealing. They need not fail, but change nothing of the log.
func misplaced(waiting, sealed string) []string {
	link := func(number, record string) string {
		return "INSERT INTO audit_chain (number, record, hash) VALUES (" + number + ", '" + record + "', 'x')"
	}
	return []string{
		link("1", waiting), link("2", waiting), link("-1", waiting), link("9", waiting), link("9223372036854775807", "none"),
		"INSERT INTO audit_queue (id) VALUES ('" + sealed + "')",
	}
}

// A record that waits stays, and is sealed, whatever a server adds to the tables of the chain.
func testMisplacedLinks(t *testing.T, s *store.Store, more ...string) {
	t.Helper()
	ctx := t.Context()
	head, err := s.AuditHead(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Record(ctx, audit.Event{Name: "waiting", At: time.Now()}); err != nil {
		t.Fatal(err)
	}
	records, err := s.AuditRecords(ctx, audit.Filter{Event: "waiting"}, audit.Page{})
	if err != nil || len(records) != 1 {
		t.Fatalf("%d records, %v", len(records), err)
	}
	last, err := s.AuditLinks(ctx, head.Number-1, 1)
	if err != nil || len(last) != 1 {
		t.Fatalf("%d links, %v", len(last), err)
	}
	for _, statement := range misplaced(records[0].ID, last[0].RecordID) {
		_ = s.Exec(ctx, statement)
		for _, before := range more {
			_ = s.Exec(ctx, before+"; "+statement)
		}
	}
	if n, err := s.DropAudit(ctx, 10); n != 0 || err != nil {
		t.Errorf("dropped %d, %v, want none", n, err)
	}
	if n, err := s.SealAudit(ctx, 10); n != 1 || err != nil {
		t.Errorf("sealed %d, %v, want the record that waits", n, err)
	}
	r, err := s.AuditRecord(ctx, records[0].ID)
	if err != nil || r.Number != head.Number+1 {
		t.Errorf("the record has number %d, %v, want %d", r.Number, err, head.Number+1)
	}
	if v, err := audit.Verify(ctx, s, head.Hash); err != nil || !v.HeadFound {
		t.Errorf("verified %+v, %v", v, err)
	}
}

// asRole returns the URL with another role.
func asRole(t *testing.T, link, role string) string {
	t.Helper()
	u, err := url.Parse(link)
	if err != nil {
		t.Fatal(err)
	}
	query := u.Query()
	query.Del("user")
	u.RawQuery, u.User = query.Encode(), url.User(role)
	return u.String()
}

// With a role of their own, servers do all they do, but can neither change the audit log, nor empty it, nor take its
// triggers away, and drop old records only by the functions of the owner.
func TestServerRoleCannotChangeTheAuditLog(t *testing.T) {
	t.Parallel()
	link := postgresURL(t)
	ctx := t.Context()
	super, err := sql.Open("pgx", link)
	if err != nil {
		t.Fatal(err)
	}
	defer super.Close()
	name := fmt.Sprintf("r%d", time.Now().UnixNano()) // roles belong to all databases of the server
	ownerRole, serverRole := name+"_owner", name+"_server"
	for _, statement := range []string{
		"CREATE ROLE " + ownerRole + " LOGIN", "CREATE ROLE " + serverRole + " LOGIN",
		"ALTER SCHEMA public OWNER TO " + ownerRole,
	} {
		if _, err := super.ExecContext(ctx, statement); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { dropRoles(t, link, ownerRole, serverRole) })
	owner := openPostgres(t, asRole(t, link, ownerRole))
	if _, err := owner.Migrate(ctx); err != nil {
		t.Fatal(err)
	}
	if err := owner.GrantTo(ctx, serverRole); err != nil {
		t.Fatal(err)
	}
	if err := owner.CheckRole(ctx); !errors.Is(err, store.ErrOwner) {
		t.Errorf("the role of the owner: %v, want %v", err, store.ErrOwner)
	}
	s := openPostgres(t, asRole(t, link, serverRole))
	if err := s.CheckRole(ctx); err != nil {
		t.Errorf("the role of the server: %v", err)
	}
	if err := s.CheckWritable(ctx); err != nil {
		t.Errorf("writing: %v", err)
	}
	if _, err := s.Migrate(ctx); err != nil { // the owner has migrated: there is nothing to do
		t.Errorf("migrating: %v", err)
	}
	fillAudit(t, s, 4)
	for _, statement := range append([]string{
		"TRUNCATE audit_records", "TRUNCATE audit_chain", "DROP TRIGGER audit_records_stay ON audit_records",
		"ALTER TABLE audit_records DISABLE TRIGGER USER", "DROP TABLE audit_records CASCADE",
		"SET session_replication_role = replica",
		"CREATE OR REPLACE FUNCTION audit_cut(upto BIGINT) RETURNS BIGINT LANGUAGE sql AS 'SELECT 1'",
		"INSERT INTO audit_cuts (number, hash, cut_at) VALUES (9, 'x', 0)",
		"GRANT ALL ON audit_records TO " + serverRole,
	}, forbidden...) {
		err := s.Exec(ctx, statement)
		if strings.HasPrefix(statement, "GRANT") { // a warning that nothing was granted is no error
			err = errors.Join(err, s.Exec(ctx, "DELETE FROM audit_records"))
		}
		if err == nil {
			t.Errorf("the server's role succeeds with %s", statement)
		}
	}
	young := audit.Event{Name: "young", At: time.Now()}
	if err := s.Record(ctx, young); err != nil {
		t.Fatal(err)
	}
	if _, err := s.SealAudit(ctx, 10); err != nil {
		t.Fatal(err)
	}
	for _, statement := range []string{
		"SELECT audit_cut(5)", "CREATE TEMP TABLE audit_records (id TEXT, at BIGINT); SELECT audit_cut(5)",
	} {
		if err := s.Exec(ctx, statement); err == nil {
			t.Errorf("%s drops a record of today", statement)
		}
	}
	if err := s.CutAudit(ctx, auditStart.Add(90*time.Second), time.Now()); err != nil {
		t.Fatal(err)
	}
	if n, err := s.DropAudit(ctx, 10); n != 2 || err != nil {
		t.Errorf("dropped %d, %v, want 2", n, err)
	}
	if v, err := audit.Verify(ctx, s, ""); err != nil || v.Records != 3 {
		t.Errorf("verified %+v, %v", v, err)
	}
	testMisplacedLinks(t, s, "CREATE TEMP TABLE audit_cuts (number BIGINT) ON COMMIT DROP",
		"CREATE TEMP TABLE audit_cuts (number BIGINT) ON COMMIT DROP; INSERT INTO pg_temp.audit_cuts VALUES (8)")
}

// dropRoles deletes roles with what they own.
func dropRoles(t *testing.T, link string, roles ...string) {
	t.Helper()
	db, err := sql.Open("pgx", link)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, role := range roles {
		for _, statement := range []string{"DROP OWNED BY " + role + " CASCADE", "DROP ROLE " + role} {
			if _, err := db.ExecContext(context.WithoutCancel(t.Context()), statement); err != nil {
				t.Errorf("%s: %v", statement, err)
			}
		}
	}
}
