package web

import (
	"encoding/json"
	"net/http"
	"slices"

	"github.com/hallpass-auth/hallpass/shared/oauth"
	"github.com/hallpass-auth/hallpass/shared/statuslist"

	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
)

// publicly lets caches keep a response for a minute: shorter than a key is published before
// it signs.
const publicly = "public, max-age=60"

// metadata serves the authorization server metadata (RFC 8414).
func (e *endpoints) metadata(w http.ResponseWriter, r *http.Request) (any, error) {
	described, err := e.cfg.Scopes.ScopeDescriptions(r.Context())
	if err != nil {
		return nil, err
	}
	scopes := []string{}
	for _, d := range described {
		scopes = append(scopes, d.Scope)
	}
	w.Header().Set("Cache-Control", publicly)
	secret := []string{"client_secret_basic", "client_secret_post"}
	secretOrNone := slices.Concat(secret, []string{"none"})
	issuer := e.cfg.IssuerURL
	jwks := ""
	if e.cfg.Keys.Current().HasPublicKeys(e.cfg.Now()) { // else the set is empty
		jwks = issuer + "/jwks.json"
	}
	return oauth.Metadata{
		Issuer:                issuer,
		AuthorizationEndpoint: issuer + "/authorize",
		TokenEndpoint:         issuer + "/token",
		RevocationEndpoint:    issuer + "/revoke",
		IntrospectionEndpoint: issuer + "/introspect",
		UserInfoEndpoint:      issuer + "/userinfo",
		JWKSURI:               jwks,

		StatusListAggregationEndpoint: issuer + statuslist.Path,

		ScopesSupported:               scopes,
		GrantTypesSupported:           grant.TypeNames(),
		ResponseTypesSupported:        []string{"code"},
		ResponseModesSupported:        []string{"query"},
		PromptValuesSupported:         []string{"none", "login", "consent"},
		CodeChallengeMethodsSupported: []string{"S256"},
		AuthorizationResponseIss:      true,

		TokenEndpointAuthMethods:         secretOrNone,
		RevocationEndpointAuthMethods:    secretOrNone,
		IntrospectionEndpointAuthMethods: secret,
	}, nil
}

// jwks serves the JWK Set of the public keys. It has no shared secrets, so it may be empty.
func (e *endpoints) jwks(w http.ResponseWriter, _ *http.Request) (any, error) {
	set, err := e.cfg.Keys.Current().Public(e.cfg.Now())
	if err != nil {
		return nil, err
	}
	w.Header().Set("Cache-Control", publicly)
	return json.RawMessage(set), nil
}
