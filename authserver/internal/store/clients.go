package store

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"time"

	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/client"
)

const clientColumns = "id, name, secret_digest, grant_types, scope, first_party, introspects, redirect_uris, created_at"

// CreateClient registers a client; client.ErrExists if its id is taken.
func (s *Store) CreateClient(ctx context.Context, c client.Client) error {
	return s.execOne(ctx, "create client", client.ErrExists,
		"INSERT INTO clients ("+clientColumns+") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (id) DO NOTHING",
		c.ID, c.Name, c.SecretDigest, grantList(c.Grants), c.Scope.String(), number(c.FirstParty), number(c.Introspects), strings.Join(c.RedirectURIs, " "), seconds(c.CreatedAt))
}

// ClientByID returns a client, or client.ErrNotFound.
func (s *Store) ClientByID(ctx context.Context, id string) (client.Client, error) {
	return scanClient(s.read.QueryRowContext(ctx, "SELECT "+clientColumns+" FROM clients WHERE id = $1", id))
}

// Clients returns all clients by id.
func (s *Store) Clients(ctx context.Context) ([]client.Client, error) {
	return list(ctx, s.read, "list clients", scanClient, "SELECT "+clientColumns+" FROM clients ORDER BY id")
}

// SetClientSecret replaces the digest of a confidential client's secret;
// client.ErrNotFound if there is no such client, or if it is public.
func (s *Store) SetClientSecret(ctx context.Context, id, digest string) error {
	return s.execOne(ctx, "set client secret", client.ErrNotFound,
		"UPDATE clients SET secret_digest = $2 WHERE id = $1 AND secret_digest <> ''", id, digest)
}

// DeleteClient removes a client and revokes all grants given to it;
// client.ErrNotFound if there is none. A grant that is being made right now either
// is there before the client goes, or is refused by the foreign key: so every grant
// without a client is one to revoke.
func (s *Store) DeleteClient(ctx context.Context, id string, now time.Time) error {
	return s.inTx(ctx, "delete client", func(tx *sql.Tx) error {
		n, err := changed(ctx, tx, "delete client", "DELETE FROM clients WHERE id = $1", id)
		if err != nil {
			return err
		}
		if n == 0 {
			return client.ErrNotFound
		}
		_, err = changed(ctx, tx, "revoke grants",
			"UPDATE grants SET revoked_at = $1, expires_at = $2 WHERE client_id IS NULL AND revoked_at IS NULL", seconds(now), revokedUntil(now))
		return err
	})
}

func scanClient(r row) (client.Client, error) {
	var c client.Client
	var grants, scope, redirectURIs string
	var firstParty, introspects int64
	var created sql.NullInt64
	err := r.Scan(&c.ID, &c.Name, &c.SecretDigest, &grants, &scope, &firstParty, &introspects, &redirectURIs, &created)
	if errors.Is(err, sql.ErrNoRows) {
		return client.Client{}, client.ErrNotFound
	}
	for _, g := range words(grants) {
		c.Grants = append(c.Grants, oauth.GrantType(g))
	}
	c.Scope = words(scope)
	c.FirstParty, c.Introspects = firstParty == 1, introspects == 1
	c.RedirectURIs = words(redirectURIs)
	c.CreatedAt = timeOf(created)
	return c, unavailable("read client", err)
}

func grantList(grants []oauth.GrantType) string {
	texts := make([]string, len(grants))
	for i, g := range grants {
		texts[i] = string(g)
	}
	return strings.Join(texts, " ")
}

// number is how a boolean is stored.
func number(b bool) int64 {
	if b {
		return 1
	}
	return 0
}
