package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/client"
	"github.com/hallpass-auth/hallpass/authserver/internal/record"
)

// settingColumns are the columns of a client that UpdateClient can change, apart from the secret.
var settingColumns = []string{
	"name", "grant_types", "scope", "first_party", "introspects", "introspects_for", "without_pkce", "redirect_uris",
	"id_token_alg", "assertion", "require_par", "exchange_from", "exchange_to", "post_logout_redirect_uris",
	"backchannel_logout_uri", "require_dpop", "require_second_factor", "admin", "kept",
}

var (
	// newClientColumns are the columns of a new client, which has no old secret.
	newClientColumns = "id, secret_digest, created_at, source, last_used_at, registration_digest, " +
		strings.Join(settingColumns, ", ")
	clientColumns = newClientColumns + ", old_secret_digest, old_secret_beside, old_secret_until"
)

// insertClient adds a client with the values of newClientValues.
var insertClient = "INSERT INTO clients (" + newClientColumns + ") " +
	"VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, " +
	"$13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25) " +
	"ON CONFLICT (id) DO NOTHING"

// CreateClient registers a client. It returns record.ErrExists if the id is registered.
func (s *Store) CreateClient(ctx context.Context, c client.Client) error {
	return s.inTx(ctx, "create client", func(ctx context.Context, tx transaction) error {
		err := changedOne(ctx, tx, "create client", errClientExists, insertClient, newClientValues(c)...)
		if err != nil {
			return err
		}
		return auditThing(ctx, tx, "client_added", c.ID, c.CreatedAt, rights, rightsGiven(false, c.Admin))
	})
}

// newClientValues returns the values of newClientColumns.
func newClientValues(c client.Client) []any {
	return append([]any{
		c.ID,
		c.SecretDigest,
		seconds(c.CreatedAt),
		string(c.Source),
		seconds(c.LastUsedAt),
		c.RegistrationDigest,
	}, clientSettings(c)...)
}

// joinURIs returns the redirect URIs, which have no spaces, as they are stored.
func joinURIs(c client.Client) string { return strings.Join(c.RedirectURIs, " ") }

// ClientByID returns a client, or record.ErrNotFound.
func (s *Store) ClientByID(ctx context.Context, id string) (client.Client, error) {
	return one(ctx, s.read, scanClient, clientByID, id)
}

var clientByID = "SELECT " + clientColumns + " FROM clients WHERE id = $1"

// LockClient is ClientByID in the transaction of Together, until whose end nobody else can change the client.
func (s *Store) LockClient(ctx context.Context, id string) (client.Client, error) {
	return one(ctx, s.write, scanClient, clientByID+" "+s.dialect.forUpdate, id)
}

// Clients returns a page of the clients, sorted by id.
func (s *Store) Clients(ctx context.Context, page record.Page) ([]client.Client, error) {
	where, args := pageSQL(page, "id")
	return list(ctx, s.read, "list clients", scanClient, "SELECT "+clientColumns+" FROM clients WHERE "+where, args...)
}

// UpdateClient replaces the settings of a client by those that change returns, and returns the
// changed client. The id and the creation time cannot be changed. The secret can only be removed,
// by the digest client.NoSecret. If the client is changed at the same time by another call,
// UpdateClient calls change again. If change changes nothing, nothing is written. It returns
// record.ErrNotFound if there is no such client, or the error of change.
func (s *Store) UpdateClient(
	ctx context.Context,
	id string,
	now time.Time,
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
		is.ID, is.CreatedAt = was.ID, was.CreatedAt
		if is.SecretDigest != client.NoSecret {
			is.SecretDigest, is.OldSecret = was.SecretDigest, was.OldSecret
		} else {
			is.OldSecret = client.OldSecret{}
		}
		names := changedSettings(was, is)
		if names == "" {
			return is, nil
		}
		done := false
		err = s.inTx(ctx, "update client", func(ctx context.Context, tx transaction) error {
			n, err := changed(ctx, tx, "update client", updateClient,
				slices.Concat([]any{id, was.SecretDigest, is.SecretDigest}, clientSettings(is), clientSettings(was))...)
			if done = n == 1; err != nil || !done {
				return err
			}
			return auditThing(ctx, tx, "client_changed", id, now, "changed", names,
				rights, rightsGiven(was.Admin, is.Admin))
		})
		if err != nil || done {
			return is, err
		}
	}
}

// changedSettings names the settings in which two versions of a client differ.
func changedSettings(was, is client.Client) string {
	var names []string
	if was.SecretDigest != is.SecretDigest {
		names = append(names, "secret")
	}
	before, after := clientSettings(was), clientSettings(is)
	for i, column := range settingColumns {
		if before[i] != after[i] {
			names = append(names, column)
		}
	}
	return strings.Join(names, " ")
}

// updateClient changes the client with the id $1 and the secret $2, if no other setting has changed. Its arguments
// are the new secret, the new settings, and the settings until now.
var updateClient = func() string {
	set, where := "UPDATE clients SET secret_digest = $3", " WHERE id = $1 AND secret_digest = $2"
	for i, column := range settingColumns {
		set += fmt.Sprintf(", %s = $%d", column, i+4)
		where += fmt.Sprintf(" AND %s = $%d", column, i+4+len(settingColumns))
	}
	return set + where
}()

// clientSettings returns the values of settingColumns.
func clientSettings(c client.Client) []any {
	return []any{
		c.Name,
		grantList(c.Grants),
		c.Scope.String(),
		number(c.FirstParty),
		number(c.Introspects),
		strings.Join(c.IntrospectsFor, " "),
		number(c.WithoutPKCE),
		joinURIs(c),
		c.IDTokenAlgorithm,
		assertionText(c.Assertion),
		number(c.RequirePAR),
		strings.Join(c.ExchangeFrom, " "),
		strings.Join(c.ExchangeTo, " "),
		strings.Join(c.PostLogoutRedirectURIs, " "),
		c.BackchannelLogoutURI,
		number(c.RequireDPoP),
		number(c.RequireSecondFactor),
		number(c.Admin),
		number(c.Kept),
	}
}

// SetClientSecret replaces the digest of a confidential client's secret. It returns
// record.ErrNotFound if there is no such client or it is public.
func (s *Store) SetClientSecret(ctx context.Context, id, digest string, now time.Time) error {
	return s.inTx(ctx, "set client secret", func(ctx context.Context, tx transaction) error {
		err := changedOne(ctx, tx, "set client secret", errNoClient,
			"UPDATE clients SET secret_digest = $2 WHERE id = $1 AND secret_digest <> ''", id, digest)
		if err != nil {
			return err
		}
		return auditAdmin(ctx, tx, "client_secret_set", id, now)
	})
}

// ReplaceClientSecret does what SetClientSecret does and revokes all grants of the client, for
// a secret that has leaked. It locks the client's row first, which waits for grants that are
// being started. Codes are kept: redeeming one needs the new secret.
func (s *Store) ReplaceClientSecret(ctx context.Context, id, digest string, now time.Time) error {
	return s.inTx(ctx, "replace client secret", func(ctx context.Context, tx transaction) error {
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
		return auditAdmin(ctx, tx, "client_secret_replaced", id, now)
	})
}

// DeleteClient deletes a client and revokes all its grants. It returns record.ErrNotFound if
// there is no such client. The foreign key orders it against grants that are being started:
// they are inserted before the deletion or not at all, and the deletion sets their client to NULL.
func (s *Store) DeleteClient(ctx context.Context, id string, now time.Time) error {
	return s.inTx(ctx, "delete client", func(ctx context.Context, tx transaction) error {
		var administers int64
		err := tx.QueryRowContext(ctx, "DELETE FROM clients WHERE id = $1 RETURNING admin", id).Scan(&administers)
		if errors.Is(err, sql.ErrNoRows) {
			return errNoClient
		}
		if err != nil {
			return unavailable("delete client", err)
		}
		if _, err = revokeGrants(ctx, tx, now, "client_id IS NULL"); err != nil {
			return err
		}
		return auditAdmin(ctx, tx, "client_deleted", id, now, rights, rightsGiven(administers == 1, false))
	})
}

func scanClient(r row) (client.Client, error) {
	var c client.Client
	var grants, scope, introspectsFor, redirectURIs, logoutURIs string
	var firstParty, introspects, withoutPKCE, requirePAR, requireDPoP, requireSecondFactor, admin, kept int64
	var assertion, exchangeFrom, exchangeTo, oldDigest, oldBeside string
	var created, oldUntil, lastUsed sql.NullInt64
	err := r.Scan(&c.ID, &c.SecretDigest, &created, &c.Source, &lastUsed, &c.RegistrationDigest,
		&c.Name, &grants, &scope, &firstParty, &introspects, &introspectsFor, &withoutPKCE, &redirectURIs,
		&c.IDTokenAlgorithm, &assertion, &requirePAR, &exchangeFrom, &exchangeTo, &logoutURIs, &c.BackchannelLogoutURI,
		&requireDPoP, &requireSecondFactor, &admin, &kept,
		&oldDigest, &oldBeside, &oldUntil)
	if errors.Is(err, sql.ErrNoRows) {
		return client.Client{}, errNoClient
	}
	for _, g := range words(grants) {
		c.Grants = append(c.Grants, oauth.GrantType(g))
	}
	c.Scope = words(scope)
	c.FirstParty, c.Introspects, c.WithoutPKCE = firstParty == 1, introspects == 1, withoutPKCE == 1
	c.IntrospectsFor = words(introspectsFor)
	c.RequirePAR, c.RequireDPoP = requirePAR == 1, requireDPoP == 1
	c.RequireSecondFactor, c.Admin, c.Kept = requireSecondFactor == 1, admin == 1, kept == 1
	c.ExchangeFrom, c.ExchangeTo = words(exchangeFrom), words(exchangeTo)
	c.RedirectURIs, c.PostLogoutRedirectURIs = words(redirectURIs), words(logoutURIs)
	c.CreatedAt, c.LastUsedAt = timeOf(created), timeOf(lastUsed)
	c.Assertion = assertionOf(assertion)
	if oldDigest != "" && oldBeside == c.SecretDigest {
		c.OldSecret = client.OldSecret{Digest: oldDigest, Until: timeOf(oldUntil)}
	}
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
