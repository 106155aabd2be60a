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

// CreateAPI registers an API; resource.ErrExists if its audience is taken. That of a
// deleted one is not. What was issued for that one stays revoked.
func (s *Store) CreateAPI(ctx context.Context, a resource.API) error {
	return s.inTx(ctx, "create API", func(ctx context.Context, tx *sql.Tx) error {
		if err := s.sweepAPIs(ctx, tx, a.CreatedAt); err != nil {
			return err
		}
		if err := revokeForDeleted(ctx, tx, a.Audience, a.CreatedAt); err != nil {
			return err
		}
		n, err := changed(ctx, tx, "create API",
			"INSERT INTO apis ("+apiColumns+") VALUES ($1, $2, $3, $4, $5) ON CONFLICT (audience) "+
				"DO UPDATE SET name = excluded.name, scope = excluded.scope, any_scope = excluded.any_scope, "+
				"created_at = excluded.created_at, deleted_at = NULL WHERE apis.deleted_at IS NOT NULL",
			a.Audience, a.Name, a.Scope.String(), number(a.AnyScope), seconds(a.CreatedAt))
		if err == nil && n == 0 {
			err = resource.ErrExists
		}
		return err
	})
}

// revokeForDeleted revokes what could come back with an API that was deleted lately: until
// now its lists have said that everything is revoked. The grant of a service is for all
// APIs; each service gets a new one with its next token.
func revokeForDeleted(ctx context.Context, tx *sql.Tx, audience string, now time.Time) error {
	var deleted int
	err := tx.QueryRowContext(ctx, "SELECT COUNT(*) FROM apis WHERE audience = $1 AND deleted_at IS NOT NULL", audience).Scan(&deleted)
	if err != nil || deleted == 0 {
		return unavailable("find deleted API", err)
	}
	_, err = revokeGrants(ctx, tx, now, "(audience = $3 AND audience <> '' OR type = 'client_credentials')", audience)
	return err
}

// APIByAudience returns an API, or resource.ErrNotFound.
func (s *Store) APIByAudience(ctx context.Context, audience string) (resource.API, error) {
	return one(ctx, s.read, scanAPI, "SELECT "+apiColumns+" FROM apis WHERE audience = $1 AND deleted_at IS NULL", audience)
}

// APIs returns all registered APIs by audience.
func (s *Store) APIs(ctx context.Context) ([]resource.API, error) {
	return list(ctx, s.read, "list APIs", scanAPI, "SELECT "+apiColumns+" FROM apis WHERE deleted_at IS NULL ORDER BY audience")
}

// UpdateAPI changes an API as change says, and returns what it has become;
// resource.ErrNotFound if there is none, or the error of change. An API that somebody else
// changes meanwhile is read again, so change may be called several times. Its audience and
// the time of its registration stay as they are.
func (s *Store) UpdateAPI(ctx context.Context, audience string, change func(resource.API) (resource.API, error)) (resource.API, error) {
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
		n, err := s.exec(ctx, "update API", "UPDATE apis SET name = $2, scope = $3, any_scope = $4 "+
			"WHERE audience = $1 AND name = $5 AND scope = $6 AND any_scope = $7 AND deleted_at IS NULL",
			audience, is.Name, is.Scope.String(), number(is.AnyScope), was.Name, was.Scope.String(), number(was.AnyScope))
		if err != nil || n == 1 {
			return is, err
		}
	}
}

// DeleteAPI deletes an API, after which no token for it is issued, and revokes all grants
// for it; resource.ErrNotFound if there is none, resource.ErrDefault for the default API.
// Audiences goes on to return it.
func (s *Store) DeleteAPI(ctx context.Context, audience string, now time.Time) error {
	return s.inTx(ctx, "delete API", func(ctx context.Context, tx *sql.Tx) error {
		n, err := changed(ctx, tx, "delete API", "UPDATE apis SET deleted_at = $2 WHERE audience = $1 AND deleted_at IS NULL "+
			"AND NOT EXISTS (SELECT 1 FROM default_api WHERE default_api.audience = apis.audience)", audience, seconds(now))
		if err == nil && n == 0 {
			err = whyNotDeleted(ctx, tx, audience)
		}
		if err != nil {
			return err
		}
		if _, err := revokeGrants(ctx, tx, now, "audience = $3 AND audience <> ''", audience); err != nil {
			return err
		}
		return s.sweepAPIs(ctx, tx, now)
	})
}

// whyNotDeleted tells a default API from one that is not registered.
func whyNotDeleted(ctx context.Context, tx *sql.Tx, audience string) error {
	var isDefault int
	err := tx.QueryRowContext(ctx, "SELECT COUNT(*) FROM default_api WHERE audience = $1", audience).Scan(&isDefault)
	if err == nil && isDefault > 0 {
		return resource.ErrDefault
	}
	return cmp.Or(unavailable("find default API", err), resource.ErrNotFound)
}

// Audiences returns the audiences of all APIs that are registered, with true, and of those
// that were deleted at that second or later, with false. It may forget what was deleted
// longer ago than a token lives.
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

// sweepAPIs removes what is left of the APIs whose tokens have all expired.
func (s *Store) sweepAPIs(ctx context.Context, tx *sql.Tx, now time.Time) error {
	_, err := changed(ctx, tx, "sweep APIs",
		"DELETE FROM apis WHERE audience IN (SELECT audience FROM apis WHERE deleted_at < $1 "+s.dialect.skipLocked+")",
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
		return resource.API{}, resource.ErrNotFound
	}
	a.Scope, a.AnyScope, a.CreatedAt = words(scope), anyScope == 1, timeOf(created)
	return a, unavailable("read API", err)
}
