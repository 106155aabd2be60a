package store

import (
	"context"
	"time"

	"github.com/hallpass-auth/hallpass/authserver/internal/client"
)

// AddUnregistered stores a client of client.SourceDocument or client.SourceRegistration, and deletes a few
// clients of that source that are no longer used, and not kept. It replaces what a document said before. It returns
// client.ErrTooMany if there are client.MaxUnregistered of that source that are not kept, all used within
// client.MinUnused or with a login, and record.ErrExists if the id is registered by another source.
func (s *Store) AddUnregistered(ctx context.Context, c client.Client) error {
	return s.inTx(ctx, "add unregistered client", func(ctx context.Context, tx transaction) error {
		n, err := updateDocument(ctx, tx, c)
		if err != nil || n == 1 {
			return err
		}
		if err := s.makeRoom(ctx, tx, c.Source, c.LastUsedAt); err != nil {
			return err
		}
		n, err = changed(ctx, tx, "add unregistered client", insertClient, newClientValues(c)...)
		if err == nil && n == 1 && c.Source == client.SourceRegistration {
			return auditThing(ctx, tx, "client_registered", c.ID, c.CreatedAt, "scope", c.Scope.String())
		}
		if err == nil && n == 0 { // perhaps another user of the client was faster
			n, err = updateDocument(ctx, tx, c)
		}
		if err == nil && n == 0 {
			return errClientExists
		}
		return err
	})
}

// updateDocument replaces what the document of a client said before, and returns 0 if there is no such client. It does
// not take back that the client must use DPoP, or its users a second factor: an administrator may have required it. A
// client that is kept stays so.
func updateDocument(ctx context.Context, tx transaction, c client.Client) (int64, error) {
	return changed(ctx, tx, "update unregistered client",
		"UPDATE clients SET name = $2, secret_digest = $3, grant_types = $4, scope = $5, redirect_uris = $6, "+
			"assertion = $7, last_used_at = $8, require_dpop = CASE WHEN require_dpop = 1 THEN 1 ELSE $10 END, "+
			"require_second_factor = CASE WHEN require_second_factor = 1 THEN 1 ELSE $11 END "+
			"WHERE id = $1 AND source = 'document' AND source = $9",
		c.ID, c.Name, c.SecretDigest, grantList(c.Grants), c.Scope.String(), joinURIs(c), assertionText(c.Assertion),
		seconds(c.LastUsedAt), string(c.Source), number(c.RequireDPoP), number(c.RequireSecondFactor))
}

// makeRoom deletes a few clients of a source that have not been used for client.MaxUnused. If there are still too
// many clients, it deletes the one that has not been used for the longest time.
func (s *Store) makeRoom(ctx context.Context, tx transaction, source client.Source, now time.Time) error {
	if _, err := s.sweepClients(ctx, tx, source, now, client.MaxUnused, sweepSize); err != nil {
		return err
	}
	var count int64
	err := tx.QueryRowContext(ctx,
		"SELECT COUNT(*) FROM clients WHERE source = $1 AND source <> '' AND kept = 0", string(source)).Scan(&count)
	if err != nil || count < client.MaxUnregistered {
		return unavailable("count clients", err)
	}
	n, err := s.sweepClients(ctx, tx, source, now, client.MinUnused, 1)
	if err == nil && n == 0 {
		err = client.ErrTooMany
	}
	return err
}

// sweepClients deletes clients of a source that are not kept, have no login and have not been used for a time. A client
// is used before its logins begin, so it misses none that begins meanwhile.
func (s *Store) sweepClients(
	ctx context.Context,
	tx transaction,
	source client.Source,
	now time.Time,
	unused time.Duration,
	most int,
) (int64, error) {
	return sweep(ctx, tx, "clients",
		"WITH unused AS MATERIALIZED (SELECT id FROM clients WHERE source = $1 AND source <> '' AND kept = 0 "+
			"AND last_used_at < $2 "+
			"AND NOT EXISTS (SELECT 1 FROM grants WHERE grants.client_id = clients.id AND grants.revoked_at IS NULL "+
			"AND COALESCE(grants.refresh_expires_at + 86400, grants.expires_at) > $3) "+
			"ORDER BY last_used_at LIMIT $4 "+s.dialect.skipLocked+") "+
			"DELETE FROM clients WHERE id IN (SELECT id FROM unused)",
		string(source), seconds(now.Add(-unused)), seconds(now), most)
}

// UseClient sets the time at which a client of dynamic registration was last used. It returns
// record.ErrNotFound if there is no such client by now.
func (s *Store) UseClient(ctx context.Context, id string, now time.Time) error {
	return s.execOne(ctx, "use client", errNoClient,
		"UPDATE clients SET last_used_at = $2 WHERE id = $1 AND source = 'registration'", id, seconds(now))
}
