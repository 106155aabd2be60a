package store

import (
	"context"
	"database/sql"
	"errors"

	"github.com/hallpass-auth/hallpass/authserver/internal/resource"
)

const apiColumns = "audience, name, scope, created_at"

// CreateAPI registers an API; resource.ErrExists if its audience is taken.
func (s *Store) CreateAPI(ctx context.Context, a resource.API) error {
	return s.execOne(ctx, "create API", resource.ErrExists,
		"INSERT INTO apis ("+apiColumns+") VALUES ($1, $2, $3, $4) ON CONFLICT (audience) DO NOTHING",
		a.Audience, a.Name, a.Scope.String(), seconds(a.CreatedAt))
}

// APIByAudience returns an API, or resource.ErrNotFound.
func (s *Store) APIByAudience(ctx context.Context, audience string) (resource.API, error) {
	return scanAPI(s.read.QueryRowContext(ctx, "SELECT "+apiColumns+" FROM apis WHERE audience = $1", audience))
}

// APIs returns all registered APIs by audience.
func (s *Store) APIs(ctx context.Context) ([]resource.API, error) {
	return list(ctx, s.read, "list APIs", scanAPI, "SELECT "+apiColumns+" FROM apis ORDER BY audience")
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
		n, err := s.exec(ctx, "update API", "UPDATE apis SET name = $2, scope = $3 WHERE audience = $1 AND name = $4 AND scope = $5",
			audience, is.Name, is.Scope.String(), was.Name, was.Scope.String())
		if err != nil || n == 1 {
			return is, err
		}
	}
}

// DeleteAPI removes an API, after which no token for it is issued;
// resource.ErrNotFound if there is none.
func (s *Store) DeleteAPI(ctx context.Context, audience string) error {
	return s.execOne(ctx, "delete API", resource.ErrNotFound, "DELETE FROM apis WHERE audience = $1", audience)
}

func scanAPI(r row) (resource.API, error) {
	var a resource.API
	var scope string
	var created sql.NullInt64
	err := r.Scan(&a.Audience, &a.Name, &scope, &created)
	if errors.Is(err, sql.ErrNoRows) {
		return resource.API{}, resource.ErrNotFound
	}
	a.Scope, a.CreatedAt = words(scope), timeOf(created)
	return a, unavailable("read API", err)
}
