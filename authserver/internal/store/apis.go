package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
	"github.com/hallpass-auth/hallpass/authserver/internal/resource"
)

const apiColumns = "audience, name, scope, any_scope, created_at"

// CreateAPI registers an API. It returns record.ErrExists if the audience is registered. The
// audience of a deleted API can be registered again; grants for the deleted API stay revoked.
func (s *Store) CreateAPI(ctx context.Context, a resource.API) error {
	return s.inTx(ctx, "create API", func(ctx context.Context, tx transaction) error {
		if err := s.sweepAPIs(ctx, tx, a.CreatedAt); err != nil {
			return err
		}
		if err := revokeForDeleted(ctx, tx, a.Audience, a.CreatedAt); err != nil {
			return err
		}
		err := changedOne(ctx, tx, "create API", errAPIExists,
			"INSERT INTO apis ("+apiColumns+") VALUES ($1, $2, $3, $4, $5) ON CONFLICT (audience) "+
				"DO UPDATE SET name = excluded.name, scope = excluded.scope, any_scope = excluded.any_scope, "+
				"created_at = excluded.created_at, deleted_at = NULL WHERE apis.deleted_at IS NOT NULL",
			a.Audience, a.Name, a.Scope.String(), number(a.AnyScope), seconds(a.CreatedAt))
		if err != nil {
			return err
		}
		return auditThing(ctx, tx, "api_added", a.Audience, a.CreatedAt)
	})
}

// revokeForDeleted revokes the grants that would be valid again when a deleted API is created
// again. The status lists of a deleted API mark every token as revoked. The grant of a service is for
// all APIs: the service gets a new grant with its next token.
func revokeForDeleted(ctx context.Context, tx transaction, audience string, now time.Time) error {
	const count = "SELECT COUNT(*) FROM apis WHERE audience = $1 AND deleted_at IS NOT NULL"
	var deleted int
	err := tx.QueryRowContext(ctx, count, audience).Scan(&deleted)
	if err != nil || deleted == 0 {
		return unavailable("find deleted API", err)
	}
	_, err = revokeGrants(ctx, tx, now,
		"(audience = $3 AND audience <> '' OR type = 'client_credentials')", audience)
	return err
}

// APIByAudience returns an API, or record.ErrNotFound.
func (s *Store) APIByAudience(ctx context.Context, audience string) (resource.API, error) {
	return one(ctx, s.read, scanAPI, apiByAudience, audience)
}

const apiByAudience = "SELECT " + apiColumns + " FROM apis WHERE audience = $1 AND deleted_at IS NULL"

// LockAPI is APIByAudience in the transaction of Together, until whose end nobody else can change the API.
func (s *Store) LockAPI(ctx context.Context, audience string) (resource.API, error) {
	return one(ctx, s.write, scanAPI, apiByAudience+" "+s.dialect.forUpdate, audience)
}

// APIs returns all registered APIs, sorted by audience.
func (s *Store) APIs(ctx context.Context) ([]resource.API, error) {
	return list(ctx, s.read, "list APIs", scanAPI,
		"SELECT "+apiColumns+" FROM apis WHERE deleted_at IS NULL ORDER BY audience")
}

// UpdateAPI replaces the name and the scope of an API by those that change returns, and returns
// the changed API. If the API is changed at the same time by another call, UpdateAPI calls
// change again. It returns record.ErrNotFound if there is no such API, or the error of change.
func (s *Store) UpdateAPI(
	ctx context.Context,
	audience string,
	now time.Time,
	change func(resource.API) (resource.API, error),
) (resource.API, error) {
	for {
		was, err := s.APIByAudience(ctx, audience)
		if err != nil {
			return resource.API{}, err
		}
		is, err := change(was)
		if err != nil {
			return resource.API{}, err
		}
		is.Audience, is.CreatedAt = was.Audience, was.CreatedAt
		done := false
		err = s.inTx(ctx, "update API", func(ctx context.Context, tx transaction) error {
			n, err := changed(ctx, tx, "update API",
				"UPDATE apis SET name = $2, scope = $3, any_scope = $4 "+
					"WHERE audience = $1 AND name = $5 AND scope = $6 AND any_scope = $7 AND deleted_at IS NULL",
				audience, is.Name, is.Scope.String(), number(is.AnyScope),
				was.Name, was.Scope.String(), number(was.AnyScope))
			if done = n == 1; err != nil || !done {
				return err
			}
			return auditThing(ctx, tx, "api_changed", audience, now)
		})
		if err != nil || done {
			return is, err
		}
	}
}

// lockAPI locks an API against deletion until the transaction ends. It returns record.ErrNotFound
// if there is no such API. The default API, which is stored as the empty audience, cannot be deleted.
func (s *Store) lockAPI(ctx context.Context, tx transaction, audience string) error {
	if audience == "" {
		return nil
	}
	err := tx.QueryRowContext(ctx,
		"SELECT audience FROM apis WHERE audience = $1 AND deleted_at IS NULL "+s.dialect.share, audience).Scan(&audience)
	if errors.Is(err, sql.ErrNoRows) {
		return errNoAPI
	}
	return unavailable("lock API", err)
}

// DeleteAPI deletes an API with its codes and consents, and revokes all grants for it. An API that
// is added later with the same audience gets nothing of what was allowed before. It returns record.ErrNotFound if
// there is no such API, and resource.ErrDefault for the default API. Audiences still returns the
// deleted API.
func (s *Store) DeleteAPI(ctx context.Context, audience string, now time.Time) error {
	return s.inTx(ctx, "delete API", func(ctx context.Context, tx transaction) error {
		n, err := changed(ctx, tx, "delete API",
			"UPDATE apis SET deleted_at = $2 WHERE audience = $1 AND deleted_at IS NULL "+
				"AND NOT EXISTS (SELECT 1 FROM default_api WHERE default_api.audience = apis.audience)",
			audience, seconds(now))
		if err == nil && n == 0 {
			err = whyNotDeleted(ctx, tx, audience)
		}
		if err != nil {
			return err
		}
		if err := s.forgetAPI(ctx, tx, audience); err != nil {
			return err
		}
		if _, err := revokeGrants(ctx, tx, now, "audience = $3 AND audience <> ''", audience); err != nil {
			return err
		}
		if err := auditThing(ctx, tx, "api_deleted", audience, now); err != nil {
			return err
		}
		return s.sweepAPIs(ctx, tx, now)
	})
}

// forgetAPI deletes what was allowed for an API: codes, consents, and that clients may introspect
// its tokens or exchange them. A client that may introspect those of no other API no longer
// introspects. It counts the consents as revoked. Codes go first: that waits for those that are
// being redeemed, whose grants are then found.
func (s *Store) forgetAPI(ctx context.Context, tx transaction, audience string) error {
	_, err := changed(ctx, tx, "delete codes",
		"DELETE FROM codes WHERE audience = $1 AND redeemed_at IS NULL", audience)
	if err != nil {
		return err
	}
	_, err = changed(ctx, tx, "delete device codes",
		"DELETE FROM device_codes WHERE audience = $1 AND user_code IS NOT NULL", audience)
	if err != nil {
		return err
	}
	err = countRevocations(ctx, tx, "EXISTS (SELECT 1 FROM api_consents "+
		"WHERE user_id = users.id AND client_id = clients.id AND audience = $1)", audience)
	if err != nil {
		return err
	}
	if _, err = changed(ctx, tx, "delete consents", "DELETE FROM api_consents WHERE audience = $1", audience); err != nil {
		return err
	}
	_, err = changed(ctx, tx, "end introspection",
		"UPDATE clients SET introspects_for = "+withoutAPI("introspects_for")+", "+
			"introspects = CASE WHEN "+withoutAPI("introspects_for")+" = '' THEN 0 ELSE introspects END "+
			"WHERE introspects_for <> ''", audience)
	if err != nil {
		return err
	}
	_, err = changed(ctx, tx, "end exchanges",
		"UPDATE clients SET exchange_from = "+withoutAPI("exchange_from")+", exchange_to = "+withoutAPI("exchange_to")+" "+
			"WHERE exchange_from <> '' OR exchange_to <> ''", audience)
	return err
}

// withoutAPI returns the SQL of a list of audiences without $1, which the list may have more than once.
func withoutAPI(column string) string {
	apart := "' ' || REPLACE(" + column + ", ' ', '  ') || ' '" // each audience has a space of its own on both sides
	return "TRIM(REPLACE(REPLACE(" + apart + ", ' ' || $1 || ' ', ''), '  ', ' '))"
}

// whyNotDeleted returns resource.ErrDefault for the default API, and record.ErrNotFound for
// an API that is not registered.
func whyNotDeleted(ctx context.Context, tx transaction, audience string) error {
	var isDefault int
	err := tx.QueryRowContext(ctx, "SELECT COUNT(*) FROM default_api WHERE audience = $1", audience).Scan(&isDefault)
	if err == nil && isDefault > 0 {
		return resource.ErrDefault
	}
	return cmp.Or(unavailable("find default API", err), errNoAPI)
}

// Audiences returns the audiences of all registered APIs, which map to true, and of those
// deleted at deletedSince or later, which map to false. APIs whose last token has expired may be
// missing.
func (s *Store) Audiences(ctx context.Context, deletedSince time.Time) (map[string]bool, error) {
	rows, err := list(ctx, s.read, "list audiences", func(r row) (a audienceRow, err error) {
		return a, unavailable("list audiences", r.Scan(&a.audience, &a.deleted))
	}, "SELECT audience, deleted_at FROM apis WHERE deleted_at IS NULL OR deleted_at >= $1", seconds(deletedSince))
	audiences := map[string]bool{}
	for _, a := range rows {
		audiences[a.audience] = !a.deleted.Valid
	}
	return audiences, err
}

type audienceRow struct {
	audience string
	deleted  sql.NullInt64
}

// sweepAPIs deletes the rows of deleted APIs whose tokens have all expired.
func (s *Store) sweepAPIs(ctx context.Context, tx transaction, now time.Time) error {
	_, err := sweep(ctx, tx, "apis",
		"DELETE FROM apis WHERE audience IN "+
			"(SELECT audience FROM apis WHERE deleted_at < $1 "+s.dialect.skipLocked+")",
		seconds(now.Add(-grant.MaxTokenLifetime-sweepMargin)))
	return err
}

func scanAPI(r row) (resource.API, error) {
	var a resource.API
	var scope string
	var anyScope int64
	var created sql.NullInt64
	err := r.Scan(&a.Audience, &a.Name, &scope, &anyScope, &created)
	if errors.Is(err, sql.ErrNoRows) {
		return resource.API{}, errNoAPI
	}
	a.Scope, a.AnyScope, a.CreatedAt = words(scope), anyScope == 1, timeOf(created)
	return a, unavailable("read API", err)
}
