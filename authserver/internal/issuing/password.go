package issuing

import (
	"context"
	"errors"

	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
)

// errIncorrect is the response to every login that fails because of what was typed.
var errIncorrect = oauth.ErrInvalidGrant.Describe("Incorrect username or password")

// errSecondFactorRequired is the response to a client whose users all need a second factor, which this grant has no
// place for.
var errSecondFactorRequired = oauth.ErrUnauthorizedClient.Describe(
	"a second factor is required here, and the password " +
		"grant has none: use the authorization code grant, or the device code grant")

// password runs the resource owner password credentials grant (RFC 6749 section 4.3).
func (s *Service) password(ctx context.Context, r Request) (oauth.TokenResponse, error) {
	if r.Client.RequireSecondFactor || s.cfg.SecondFactors.Everybody {
		return oauth.TokenResponse{}, errSecondFactorRequired
	}
	api, err := s.Target(ctx, r.Form.Get("resource"))
	if err != nil {
		return oauth.TokenResponse{}, err
	}
	if err := s.CheckAdminClient(api, r.Client, oauth.GrantPassword); err != nil {
		return oauth.TokenResponse{}, err
	}
	var user account.User
	response, err := viaLibrary(ctx, r, steps{
		authenticate: func(username, password string) (string, error) {
			user, err = s.cfg.Passwords.Check(ctx, account.Attempt{
				Username:  username,
				Password:  password,
				Address:   r.Address,
				OfService: !r.Client.Public(),
				ClientID:  r.Client.ID,
				GrantType: oauth.GrantPassword,

				PasswordOnly: true,
			})
			return user.ID, err
		},
		scope: func(requested oauth.Scope) (oauth.Scope, error) {
			return s.UserScope(r.Client, api, requested)
		},
		issue: func(scope oauth.Scope) (oauth.TokenResponse, error) {
			g := grant.Grant{
				Type:            oauth.GrantPassword,
				Audience:        api.Audience,
				Scope:           scope,
				PasswordVersion: user.PasswordVersion,
				Login:           user.Login,
				Authentication:  grant.Authentication{At: s.cfg.Now(), Methods: []string{grant.MethodPassword}},
			}
			response, err := s.start(ctx, r, api, user, g, s.cfg.Store.StartGrant)
			if err != nil {
				return oauth.TokenResponse{}, err
			}
			return s.withIDToken(response, idToken{client: r.Client, user: user, scope: scope, login: g.Authentication})
		},
	})
	switch {
	case errors.Is(err, grant.ErrInactive): // since the password was checked
		err = errIncorrect
	case err != nil && user.ID != "": // the password was right
		err = errors.Join(err, s.cfg.Passwords.GiveBack(ctx, user))
	}
	return response, err
}
