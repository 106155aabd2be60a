package store

import (
	"context"

	"github.com/hallpass-auth/hallpass/authserver/internal/resource"
)

// DescribeScope remembers what a scope means, in place of what was said of it before.
func (s *Store) DescribeScope(ctx context.Context, d resource.ScopeDescription) error {
	_, err := s.write.exec(ctx, "describe scope",
		"INSERT INTO scopes (name, description) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET description = $2", d.Scope, d.Text)
	return err
}

// ScopeDescriptions returns what is known of the meaning of scopes, by scope.
func (s *Store) ScopeDescriptions(ctx context.Context) ([]resource.ScopeDescription, error) {
	return list(ctx, s.read, "list scopes", func(r row) (resource.ScopeDescription, error) {
		var d resource.ScopeDescription
		err := r.Scan(&d.Scope, &d.Text)
		return d, unavailable("list scopes", err)
	}, "SELECT name, description FROM scopes ORDER BY name")
}

// ForgetScope removes the description of a scope, which goes on being one wherever it is
// allowed; resource.ErrNoScope if there is none.
func (s *Store) ForgetScope(ctx context.Context, scope string) error {
	return s.execOne(ctx, "forget scope", resource.ErrNoScope, "DELETE FROM scopes WHERE name = $1", scope)
}
