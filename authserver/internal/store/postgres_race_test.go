package store_test

import (
	"database/sql"
	"testing"
	"time"

	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/client"
)

// A user allows the client of a new document something while another one does the same at another server.
func TestPostgreSQLDocumentIsAddedByAnotherServer(t *testing.T) {
	t.Parallel()
	dsn := postgresURL(t)
	s := openPostgres(t, dsn)
	if _, err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("pgx", dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	other, err := db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Rollback() }()
	const id = "https://app.example/client.json"
	_, err = other.ExecContext(t.Context(), "INSERT INTO clients (id, source, name, secret_digest, grant_types, scope, "+
		"first_party, created_at) VALUES ($1, 'document', 'Old', '', 'authorization_code', 'a', 0, 0)", id)
	if err != nil {
		t.Fatal(err)
	}

	added := make(chan error, 1)
	go func() {
		added <- s.AddUnregistered(t.Context(), client.Client{
			ID: id, Name: "New", Source: client.SourceDocument, CreatedAt: time.Now(), LastUsedAt: time.Now(),
			Grants: []oauth.GrantType{oauth.GrantAuthorizationCode}, Scope: oauth.Scope{"a"},
			RedirectURIs: []string{"https://app.example/cb"},
		})
	}()
	const read = "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
	for waiting, end := 0, time.Now().Add(time.Minute); waiting == 0 && time.Now().Before(end); {
		if err := db.QueryRowContext(t.Context(), read).Scan(&waiting); err != nil {
			t.Fatal(err)
		}
	}
	if err := other.Commit(); err != nil {
		t.Fatal(err)
	}
	if err := <-added; err != nil {
		t.Errorf("got %v, want the client to be updated", err)
	}
	if c, err := s.ClientByID(t.Context(), id); err != nil || c.Name != "New" {
		t.Errorf("the client is %+v, %v", c, err)
	}
}
