package issuing

import (
	"slices"

	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/client"
	"github.com/hallpass-auth/hallpass/authserver/internal/resource"
)

// Scopes that the authorization server itself gives a meaning to (OpenID Connect Core sections 3.1.2.1 and
// 5.4). Groups are no standard scope, but a common one.
const (
	// ScopeOpenID asks for an ID token.
	ScopeOpenID  = "openid"
	scopeProfile = "profile"
	scopeEmail   = "email"
	scopeGroups  = "groups"
)

// IdentityScopes are the scopes about the user. A client may ask for all of them together with openid, unless
// it is registered with openid: then it may ask for those that it is registered with. That also holds for a client
// that nobody has registered.
var IdentityScopes = oauth.Scope{ScopeOpenID, scopeProfile, scopeEmail, scopeGroups}

// ignoredScopes are scopes of OpenID Connect that this server gives no meaning to. It knows no addresses or phone
// numbers of users, and a client's registration says whether it may refresh. They are ignored together with openid, as
// many clients ask for them unconditionally (OpenID Connect Core section 3.1.2.1).
var ignoredScopes = oauth.Scope{"address", "phone", "offline_access"}

// withoutIgnored returns the requested scope without ignoredScopes, except those that the client is allowed.
func withoutIgnored(requested, allowed oauth.Scope) oauth.Scope {
	if !requested.Has(ScopeOpenID) {
		return requested
	}
	return slices.DeleteFunc(slices.Clone(requested), func(name string) bool {
		return ignoredScopes.Has(name) && !allowed.Has(name)
	})
}

// identityOf returns what a scope shows of a user, to clients in the ID token and at the userinfo endpoint.
func identityOf(user account.User, scope oauth.Scope) oauth.UserInfo {
	info := oauth.UserInfo{Subject: user.ID}
	if scope.Has(scopeProfile) {
		info.PreferredUsername, info.Name = user.Username, user.Name
		info.UpdatedAt = user.CreatedAt.Unix()
		if user.UpdatedAt.After(user.CreatedAt) {
			info.UpdatedAt = user.UpdatedAt.Unix()
		}
	}
	if scope.Has(scopeEmail) && user.Email != "" {
		info.Email, info.EmailVerified = user.Email, &user.EmailVerified
	}
	if scope.Has(scopeGroups) {
		info.Groups = user.Groups
	}
	return info
}

// IDTokenAlgorithms returns the algorithms of ID tokens that there is a key for now. The list is empty if OpenID
// Connect is off.
func (s *Service) IDTokenAlgorithms() []string {
	return s.cfg.Signer.Keys.Current().IDTokenAlgorithms(s.cfg.Now())
}

// OpenIDOff is why a server that has no key for ID tokens refuses the scope openid.
const OpenIDOff = "openid needs a key that signs ID tokens, and HALLPASS_KEYS_FILE of this " +
	"server has none yet ('authserver key rotate' adds one; HALLPASS_TOKEN_SECRET alone cannot sign them)"

// idTokensOff returns why a client can have no ID token; nil if it can.
func (s *Service) idTokensOff(c client.Client) error {
	available := s.IDTokenAlgorithms()
	if len(available) == 0 {
		return oauth.ErrInvalidScope.Describe(OpenIDOff)
	}
	if algorithm := c.SignsIDTokensWith(); !slices.Contains(available, algorithm) {
		return oauth.ErrInvalidScope.Describe("openid needs a key that signs " + algorithm + " ID tokens for this client, " +
			"and HALLPASS_KEYS_FILE of this server has none yet ('authserver key rotate --id-tokens --algorithm " +
			algorithm + "' adds one)")
	}
	return nil
}

// UserScope returns what a client gets of the scope that it requests for an API when a user logs in: all of it,
// or invalid_scope. With openid, that may be more than the client is registered with: see IdentityScopes and
// ignoredScopes.
func (s *Service) UserScope(c client.Client, api resource.API, requested oauth.Scope) (oauth.Scope, error) {
	if requested.Has(ScopeOpenID) {
		if err := s.idTokensOff(c); err != nil {
			return nil, err
		}
		allowed := allowedWith(c, api, requested)
		return scopeWithin(allowed, api, withoutIgnored(requested, allowed))
	}
	granted, err := clientScope(c, api, requested)
	if len(requested) == 0 && granted.Has(ScopeOpenID) && s.idTokensOff(c) != nil {
		granted = slices.DeleteFunc(slices.Clone(granted), func(name string) bool { return name == ScopeOpenID })
		err = mustHaveScope(c, granted)
	}
	return granted, err
}

// allowedWith returns what a client may have for an API together with the given scope.
func allowedWith(c client.Client, api resource.API, scope oauth.Scope) oauth.Scope {
	allowed := api.Limit(c.Scope)
	if !scope.Has(ScopeOpenID) {
		return allowed
	}
	identity := IdentityScopes
	if c.Scope.Has(ScopeOpenID) || c.Source != client.SourceAdministrator {
		identity = IdentityScopes.Common(c.Scope)
	}
	allowed = slices.Clone(allowed)
	for _, name := range identity {
		if !allowed.Has(name) {
			allowed = append(allowed, name)
		}
	}
	return allowed
}
