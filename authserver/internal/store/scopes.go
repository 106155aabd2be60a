package store

import (
	"context"
	"time"

	"github.com/hallpass-auth/hallpass/authserver/internal/resource"
)

// DescribeScope stores the description of a scope. It replaces the previous one.
func (s *Store) DescribeScope(ctx context.Context, d resource.ScopeDescription, now time.Time) error {
	return s.inTx(ctx, "describe scope", func(ctx context.Context, tx transaction) error {
		_, err := changed(ctx, tx, "describe scope",
			"INSERT INTO scopes (name, description) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET description = $2",
			d.Scope, d.Text)
		if err != nil {
			return err
		}
		return auditThing(ctx, tx, "scope_described", d.Scope, now)
	})
}

// ScopeDescriptions returns all descriptions, sorted by scope.
func (s *Store) ScopeDescriptions(ctx context.Context) ([]resource.ScopeDescription, error) {
	return list(ctx, s.read, "list scopes", func(r row) (resource.ScopeDescription, error) {
		var d resource.ScopeDescription
		err := r.Scan(&d.Scope, &d.Text)
		return d, unavailable("list scopes", err)
	}, "SELECT name, description FROM scopes ORDER BY name")
}

// ForgetScope deletes the description of a scope. It returns record.ErrNotFound if there is
// none. Clients and APIs keep the scope.
func (s *Store) ForgetScope(ctx context.Context, scope string, now time.Time) error {
	return s.inTx(ctx, "forget scope", func(ctx context.Context, tx transaction) error {
		err := changedOne(ctx, tx, "forget scope", errNoDescription, "DELETE FROM scopes WHERE name = $1", scope)
		if err != nil {
			return err
		}
		return auditThing(ctx, tx, "scope_forgotten", scope, now)
	})
}
