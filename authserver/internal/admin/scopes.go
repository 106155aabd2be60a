package admin

import (
	"context"

	"github.com/hallpass-auth/hallpass/authserver/internal/resource"
)

// Scopes returns the descriptions of scopes, sorted by scope.
func (s *Service) Scopes(ctx context.Context) ([]resource.ScopeDescription, error) {
	return s.Store.ScopeDescriptions(ctx)
}

// DescribeScope stores the description of a scope in place of the previous one. It returns resource.ErrBad or
// oauth.ErrInvalidScope.
func (s *Service) DescribeScope(ctx context.Context, d resource.ScopeDescription) error {
	if err := d.Validate(); err != nil {
		return err
	}
	return s.Store.DescribeScope(ctx, d, s.Now())
}

// ForgetScope deletes the description of a scope, or returns record.ErrNotFound. Clients and APIs keep the scope.
func (s *Service) ForgetScope(ctx context.Context, scope string) error {
	return s.Store.ForgetScope(ctx, scope, s.Now())
}
