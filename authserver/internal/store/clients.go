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

const clientColumns = "id, name, secret_digest, grant_types, scope, first_party, introspects, " +
	"introspects_for, without_pkce, redirect_uris, created_at"

// CreateClient registers a client. It returns record.ErrExists if the id is registered.
func (s *Store) CreateClient(ctx context.Context, c client.Client) error {
	return s.execOne(ctx, "create client", errClientExists,
		"INSERT INTO clients ("+clientColumns+") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) "+
			"ON CONFLICT (id) DO NOTHING",
		c.ID,
		c.Name,
		c.SecretDigest,
		grantList(c.Grants),
		c.Scope.String(),
		number(c.FirstParty),
		number(c.Introspects),
		strings.Join(c.IntrospectsFor, " "),
		number(c.WithoutPKCE),
		strings.Join(c.RedirectURIs, " "),
		seconds(c.CreatedAt),
	)
}

// ClientByID returns a client, or record.ErrNotFound.
func (s *Store) ClientByID(ctx context.Context, id string) (client.Client, error) {
	return one(ctx, s.read, scanClient, "SELECT "+clientColumns+" FROM clients WHERE id = $1", id)
}

// Clients returns all clients, sorted by id.
func (s *Store) Clients(ctx context.Context) ([]client.Client, error) {
	return list(ctx, s.read, "list clients", scanClient, "SELECT "+clientColumns+" FROM clients ORDER BY id")
}

// UpdateClient replaces the settings of a client by those that change returns, and returns the
// changed client. The id, the secret and the creation time cannot be changed. If the client is
// changed at the same time by another call, UpdateClient calls change again. It returns
// record.ErrNotFound if there is no such client, or the error of change.
func (s *Store) UpdateClient(
	ctx context.Context,
	id string,
	change func(client.Client) (client.Client, error),
) (client.Client, error) {
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
			"UPDATE clients SET name = $3, grant_types = $4, scope = $5, first_party = $6, "+
				"introspects = $7, introspects_for = $8, without_pkce = $9, redirect_uris = $10 "+
				"WHERE id = $1 AND secret_digest = $2 AND name = $11 AND grant_types = $12 AND scope = $13 "+
				"AND first_party = $14 AND introspects = $15 AND introspects_for = $16 AND without_pkce = $17 "+
				"AND redirect_uris = $18",
			append([]any{id, was.SecretDigest}, append(clientSettings(is), clientSettings(was)...)...)...)
		if err != nil || n == 1 {
			return is, err
		}
	}
}

// clientSettings returns the columns of a client that UpdateClient can change.
func clientSettings(c client.Client) []any {
	return []any{
		c.Name,
		grantList(c.Grants),
		c.Scope.String(),
		number(c.FirstParty),
		number(c.Introspects),
		strings.Join(c.IntrospectsFor, " "),
		number(c.WithoutPKCE),
		strings.Join(c.RedirectURIs, " "),
	}
}

// SetClientSecret replaces the digest of a confidential client's secret. It returns
// record.ErrNotFound if there is no such client or it is public.
func (s *Store) SetClientSecret(ctx context.Context, id, digest string) error {
	return s.inTx(ctx, "set client secret", func(ctx context.Context, tx *sql.Tx) error {
		n, err := changed(ctx, tx, "set client secret",
			"UPDATE clients SET secret_digest = $2 WHERE id = $1 AND secret_digest <> ''", id, digest)
		if err != nil {
			return err
		}
		if n == 0 {
			return errNoClient
		}
		return recordEvent(ctx, tx, "client_secret_set", id, time.Time{})
	})
}

// ReplaceClientSecret does what SetClientSecret does and revokes all grants of the client, for
// a secret that has leaked. It locks the client's row first, which waits for grants that are
// being started. Codes are kept: redeeming one needs the new secret.
func (s *Store) ReplaceClientSecret(ctx context.Context, id, digest string, now time.Time) error {
	return s.inTx(ctx, "replace client secret", func(ctx context.Context, tx *sql.Tx) error {
		query := "SELECT id FROM clients WHERE id = $1 AND secret_digest <> '' " + s.dialect.forUpdate
		err := tx.QueryRowContext(ctx, query, id).Scan(&id)
		if errors.Is(err, sql.ErrNoRows) {
			return errNoClient
		}
		if err != nil {
			return unavailable("replace client secret", err)
		}
		_, err = changed(ctx, tx, "set client secret", "UPDATE clients SET secret_digest = $2 WHERE id = $1", id, digest)
		if err != nil {
			return err
		}
		if _, err = revokeGrants(ctx, tx, now, "client_id = $3", id); err != nil {
			return err
		}
		return recordEvent(ctx, tx, "client_secret_replaced", id, now)
	})
}

// DeleteClient deletes a client and revokes all its grants. It returns record.ErrNotFound if
// there is no such client. The foreign key orders it against grants that are being started:
// they are inserted before the deletion or not at all, and the deletion sets their client to NULL.
func (s *Store) DeleteClient(ctx context.Context, id string, now time.Time) error {
	return s.inTx(ctx, "delete client", func(ctx context.Context, tx *sql.Tx) error {
		n, err := changed(ctx, tx, "delete client", "DELETE FROM clients WHERE id = $1", id)
		if err != nil {
			return err
		}
		if n == 0 {
			return errNoClient
		}
		if _, err = revokeGrants(ctx, tx, now, "client_id IS NULL"); err != nil {
			return err
		}
		return recordEvent(ctx, tx, "client_deleted", id, now)
	})
}

func scanClient(r row) (client.Client, error) {
	var c client.Client
	var grants, scope, introspectsFor, redirectURIs string
	var firstParty, introspects, withoutPKCE int64
	var created sql.NullInt64
	err := r.Scan(&c.ID, &c.Name, &c.SecretDigest, &grants, &scope, &firstParty, &introspects,
		&introspectsFor, &withoutPKCE, &redirectURIs, &created)
	if errors.Is(err, sql.ErrNoRows) {
		return client.Client{}, errNoClient
	}
	for _, g := range words(grants) {
		c.Grants = append(c.Grants, oauth.GrantType(g))
	}
	c.Scope = words(scope)
	c.FirstParty, c.Introspects, c.WithoutPKCE = firstParty == 1, introspects == 1, withoutPKCE == 1
	c.IntrospectsFor = words(introspectsFor)
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

// number returns a boolean as the database stores it.
func number(b bool) int64 {
	if b {
		return 1
	}
	return 0
}
