package issuing

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/client"
	"github.com/hallpass-auth/hallpass/authserver/internal/record"
	"github.com/hallpass-auth/hallpass/authserver/internal/resource"
)

// AdminPath is the path of the admin API below the issuer.
const AdminPath = "/admin/api/v1"

// ErrNotAdministrator is the response to a client whose user does not administer the server, or no longer does.
var ErrNotAdministrator = &oauth.Error{
	Code:        oauth.CodeAccessDenied,
	Description: "only users in the group " + account.AdminGroup + " administer this server",
}

// Why a client gets no token of the admin API.
var (
	errNoAdminGrant = &oauth.Error{
		Code: oauth.CodeInvalidTarget, Description: "there are no tokens of the admin API by this grant type",
	}
	errNoAdminClient = &oauth.Error{
		Code: oauth.CodeInvalidTarget,
		Description: "the admin API is for clients that an administrator has registered, and not for the default " +
			"client",
	}
	errNoAdminService = &oauth.Error{
		Code: oauth.CodeInvalidTarget,
		Description: "this client may not administer the server for itself ('authserver client set ID --admin' " +
			"allows it)",
	}
	errNoAdministrator = oauth.ErrInvalidGrant.Describe(ErrNotAdministrator.Description)
)

// ErrNotActiveAdministrator is the ErrNotActive of a token of the admin API whose user or client no longer administers
// the server.
var ErrNotActiveAdministrator = fmt.Errorf("%w: its owner does not administer the server", ErrNotActive)

// adminGrants are the grant types by which users give clients tokens of the admin API: those whose users log in, and
// are asked, on pages of this server.
var adminGrants = []oauth.GrantType{oauth.GrantAuthorizationCode, oauth.GrantDeviceCode}

// adminAudience is the audience of the admin API.
func (s *Service) adminAudience() string { return s.cfg.Issuer + AdminPath }

// knownAPI is findAPI, except that the admin API exists only if this server serves it, even if it is in the database.
func (c Config) knownAPI(ctx context.Context, named string) (resource.API, error) {
	api, err := findAPI(ctx, c.Store, named)
	if err == nil && api.Audience == c.Issuer+AdminPath {
		if !c.AdminAPI {
			return resource.API{}, record.ErrNotFound
		}
		api.Admin = true
	}
	return api, err
}

// checkAdmin returns an error unless a client may have a token for an API: those of the admin API are for
// administrators, and for the services that were given it. The zero user means a service. What was allowed once is
// checked again for each token, as users and clients change.
func (s *Service) checkAdmin(api resource.API, c client.Client, user account.User, by oauth.GrantType) error {
	if !api.Admin {
		return nil
	}
	if by == oauth.GrantClientCredentials {
		if !c.Admin {
			return errNoAdminService
		}
		return nil
	}
	if err := s.CheckAdminClient(api, c, by); err != nil {
		return err
	}
	if !user.Administers() {
		return errNoAdministrator
	}
	return nil
}

// CheckAdminClient returns an *oauth.Error unless a client may have a token for an API by a grant type whose user is
// not known yet: see checkAdmin.
func (s *Service) CheckAdminClient(api resource.API, c client.Client, by oauth.GrantType) error {
	switch {
	case !api.Admin:
		return nil
	case !slices.Contains(adminGrants, by):
		return errNoAdminGrant
	case c.Source != client.SourceAdministrator || c.ID == s.cfg.DefaultClient:
		return errNoAdminClient
	}
	return nil
}

// stillAdmin returns ErrNotActiveAdministrator for a token of the admin API that checkAdmin would not allow now.
// Servers of the previous version, on the same database, check less when they issue one.
func (s *Service) stillAdmin(ctx context.Context, found foundToken) error {
	audience := found.grant.Audience
	if found.claims != nil {
		audience = found.claims.Audience[0]
	}
	if audience != s.adminAudience() {
		return nil
	}
	api, err := s.records.exactAPI(ctx, audience)
	if err != nil {
		return err
	}
	c, err := s.ClientByID(ctx, found.grant.ClientID)
	if errors.Is(err, record.ErrNotFound) {
		return ErrNotActive
	}
	if err != nil {
		return err
	}
	by := found.grant.Type
	if found.grant.UserID == "" {
		by = oauth.GrantClientCredentials
	}
	if s.checkAdmin(api, c, found.user, by) != nil {
		return ErrNotActiveAdministrator
	}
	return nil
}
