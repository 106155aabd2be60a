package admin

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/resource"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
)

// ErrAdminAPI means that an API is the admin API. The server registers it. Changing it could lock administrators out,
// so it is refused. Commands may delete it.
var ErrAdminAPI = errors.New("it is the admin API, which the server manages")

// isAdminAPI reports whether an API is the admin API of a server. No other API has its scope.
func isAdminAPI(a resource.API) bool { return a.Scope.Has(resource.AdminScope) }

// APIs returns the registered APIs, sorted by audience.
func (s *Service) APIs(ctx context.Context) ([]resource.API, error) { return s.Store.APIs(ctx) }

// API returns an API, or record.ErrNotFound.
func (s *Service) API(ctx context.Context, audience string) (resource.API, error) {
	return s.Store.APIByAudience(ctx, audience)
}

// IsDefaultAPI reports whether the audience is that of the default API.
func (s *Service) IsDefaultAPI(audience string) bool { return s.Store.IsDefaultAPI(audience) }

// RegisterAPI registers an API and returns it. Its name is by default its audience. It returns resource.ErrBad or
// record.ErrExists.
func (s *Service) RegisterAPI(ctx context.Context, a resource.API) (resource.API, error) {
	a.Name = cmp.Or(a.Name, a.Audience)
	a.CreatedAt = s.Now()
	if isAdminAPI(a) {
		return resource.API{}, fmt.Errorf("%w: the scope %s is for the admin API only", resource.ErrBad, resource.AdminScope)
	}
	if err := a.Validate(); err != nil {
		return resource.API{}, err
	}
	return a, s.Store.CreateAPI(ctx, a)
}

// APIPatch is a change of an API. Fields that are nil stay as they are.
type APIPatch struct {
	Name *string
	// Scope replaces the scopes, and ends AnyScope.
	Scope oauth.Scope
	// AnyScope lets tokens for the API have every scope of the client. Scope must be nil.
	AnyScope bool
}

// ChangeAPI changes an API if the precondition match holds; nil always holds. It returns record.ErrNotFound,
// resource.ErrBad, ErrAdminAPI or ErrChanged.
func (s *Service) ChangeAPI(
	ctx context.Context,
	audience string,
	p APIPatch,
	match func(resource.API) bool,
) (resource.API, error) {
	return s.Store.UpdateAPI(ctx, audience, s.Now(), func(a resource.API) (resource.API, error) {
		if err := check(match, a); err != nil {
			return resource.API{}, err
		}
		if isAdminAPI(a) {
			return resource.API{}, ErrAdminAPI
		}
		set(&a.Name, p.Name)
		if p.Scope != nil {
			a.Scope, a.AnyScope = slices.Clone(p.Scope), false
		}
		if p.AnyScope {
			a.Scope, a.AnyScope = nil, true
		}
		if isAdminAPI(a) {
			return resource.API{}, fmt.Errorf("%w: the scope %s is for the admin API only", resource.ErrBad, resource.AdminScope)
		}
		return a, a.Validate()
	})
}

// APILogins counts the logins that deleting an API would end. It returns record.ErrNotFound for an unknown API.
func (s *Service) APILogins(ctx context.Context, audience string) (store.Logins, error) {
	if _, err := s.API(ctx, audience); err != nil {
		return store.Logins{}, err
	}
	return s.Store.CountLogins(ctx, store.LoginsOf{Audience: audience}, s.Now())
}

// DeleteAPI deletes an API if the precondition match holds, and revokes the grants for it. It returns how many logins
// there were right before. The error is record.ErrNotFound, resource.ErrDefault, ErrAdminAPI or ErrChanged.
func (s *Service) DeleteAPI(
	ctx context.Context,
	audience string,
	match func(resource.API) bool,
) (ended store.Logins, err error) {
	now := s.Now()
	if ended, err = s.Store.CountLogins(ctx, store.LoginsOf{Audience: audience}, now); err != nil {
		return ended, err
	}
	return ended, s.Store.Together(ctx, "", now, func(ctx context.Context) error {
		current, err := s.Store.LockAPI(ctx, audience)
		if err == nil {
			err = check(match, current)
		}
		if err == nil && isAdminAPI(current) && !s.AllowLockout {
			err = ErrAdminAPI
		}
		if err != nil {
			return err
		}
		return s.Store.DeleteAPI(ctx, audience, now)
	})
}
