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
	return one(ctx, s.read, scanClient, "SELECT "+clientColumns+" FROM clients WHERE id = $1", id)
}

// Clients returns all clients by id.
func (s *Store) Clients(ctx context.Context) ([]client.Client, error) {
	return list(ctx, s.read, "list clients", scanClient, "SELECT "+clientColumns+" FROM clients ORDER BY id")
}

// UpdateClient changes a client as change says, and returns what it has become;
// client.ErrNotFound if there is none, or the error of change. A client that somebody else
// changes meanwhile is read again, so change may be called several times. Its id, its
// secret and the time of its registration stay as they are.
func (s *Store) UpdateClient(ctx context.Context, id string, change func(client.Client) (client.Client, error)) (client.Client, error) {
	for {
		was, err := s.ClientByID(ctx, id)
		if err != nil {
			return client.Client{}, err
		}
		is, err := change(was)
		if err != nil {
			return client.Client{}, err
		}
		is.ID, is.SecretDigest, is.CreatedAt = was.ID, was.SecretDigest, was.CreatedAt
		n, err := s.write.exec(ctx, "update client",
			"UPDATE clients SET name = $3, grant_types = $4, scope = $5, first_party = $6, introspects = $7, redirect_uris = $8 "+
				"WHERE id = $1 AND secret_digest = $2 AND name = $9 AND grant_types = $10 AND scope = $11 AND first_party = $12 AND introspects = $13 AND redirect_uris = $14",
			append([]any{id, was.SecretDigest}, append(clientSettings(is), clientSettings(was)...)...)...)
		if err != nil || n == 1 {
			return is, err
		}
	}
}

// clientSettings are the columns of a client that can be changed.
func clientSettings(c client.Client) []any {
	return []any{c.Name, grantList(c.Grants), c.Scope.String(), number(c.FirstParty), number(c.Introspects), strings.Join(c.RedirectURIs, " ")}
}

// SetClientSecret replaces the digest of a confidential client's secret;
// client.ErrNotFound if there is no such client, or if it is public.
func (s *Store) SetClientSecret(ctx context.Context, id, digest string) error {
	return s.execOne(ctx, "set client secret", client.ErrNotFound,
		"UPDATE clients SET secret_digest = $2 WHERE id = $1 AND secret_digest <> ''", id, digest)
}

// ReplaceClientSecret is SetClientSecret that also revokes all grants given to the client:
// whoever knew the old secret may hold tokens. The client's row comes first: a grant that
// is being made right now is waited for. Codes stay, since nobody can redeem one without
// the new secret.
func (s *Store) ReplaceClientSecret(ctx context.Context, id, digest string, now time.Time) error {
	return s.inTx(ctx, "replace client secret", func(ctx context.Context, tx *sql.Tx) error {
		err := tx.QueryRowContext(ctx, "SELECT id FROM clients WHERE id = $1 AND secret_digest <> '' "+s.dialect.forUpdate, id).Scan(&id)
		if errors.Is(err, sql.ErrNoRows) {
			return client.ErrNotFound
		}
		if err != nil {
			return unavailable("replace client secret", err)
		}
		if _, err := changed(ctx, tx, "set client secret", "UPDATE clients SET secret_digest = $2 WHERE id = $1", id, digest); err != nil {
			return err
		}
		_, err = revokeGrants(ctx, tx, now, "client_id = $3", id)
		return err
	})
}

// DeleteClient removes a client and revokes all grants given to it;
// client.ErrNotFound if there is none. A grant that is being made right now either
// is there before the client goes, or is refused by the foreign key: so every grant
// without a client is one to revoke.
func (s *Store) DeleteClient(ctx context.Context, id string, now time.Time) error {
	return s.inTx(ctx, "delete client", func(ctx context.Context, tx *sql.Tx) error {
		n, err := changed(ctx, tx, "delete client", "DELETE FROM clients WHERE id = $1", id)
		if err != nil {
			return err
		}
		if n == 0 {
			return client.ErrNotFound
		}
		_, err = revokeGrants(ctx, tx, now, "client_id IS NULL")
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
