package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/hallpass-auth/hallpass/authserver/internal/record"
	"github.com/hallpass-auth/hallpass/authserver/internal/resource"
)

// SetDefaultAPI makes an API the default one, and registers it if it is not: under its
// audience as the name, and with any scope. It returns the audience of the default API until
// now; empty if there was none. Call it before the store is shared: from then on, this store
// reads an empty audience in the database as this API, and writes this API as the empty
// audience.
func (s *Store) SetDefaultAPI(ctx context.Context, audience string, now time.Time) (before string, err error) {
	if before, err = s.readDefaultAPI(ctx); err != nil {
		return "", err
	}
	a := resource.API{Audience: audience, Name: audience, AnyScope: true, CreatedAt: now}
	err = s.CreateAPI(ctx, a)
	if errors.Is(err, record.ErrExists) && before == "" {
		// It was registered by hand while the default API had any scope, registered or not.
		_, err = s.exec(ctx, "allow any scope", "UPDATE apis SET any_scope = 1 WHERE audience = $1", audience)
	}
	if err != nil && !errors.Is(err, record.ErrExists) {
		return "", err
	}
	_, err = s.exec(ctx, "set default API",
		"INSERT INTO default_api (id, audience) VALUES (1, $1) ON CONFLICT (id) DO UPDATE SET audience = excluded.audience",
		audience)
	if err == nil {
		s.defaultAudience = audience
	}
	return before, err
}

// LoadDefaultAPI is SetDefaultAPI for commands: it has the store use the default API that a
// server has set last, if any.
func (s *Store) LoadDefaultAPI(ctx context.Context) (err error) {
	s.defaultAudience, err = s.readDefaultAPI(ctx)
	return err
}

// DefaultAPI returns the audience of the default API; empty if no server has set one yet.
func (s *Store) DefaultAPI() string { return s.defaultAudience }

// IsDefaultAPI reports whether the audience is that of the default API.
func (s *Store) IsDefaultAPI(audience string) bool { return audience == s.defaultAudience }

func (s *Store) readDefaultAPI(ctx context.Context) (audience string, err error) {
	err = s.read.scanRow(ctx, "SELECT audience FROM default_api", nil, &audience)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return audience, unavailable("read default API", err)
}

// storedAudience returns the audience of a grant, code or consent as it is written. The
// default API is written as the empty text, as by the versions before 9 of the schema, so that
// servers of those understand it.
func (s *Store) storedAudience(audience string) string {
	if audience == s.defaultAudience {
		return ""
	}
	return audience
}

// audience is the inverse of storedAudience.
func (s *Store) audience(stored string) string { return cmp.Or(stored, s.defaultAudience) }
