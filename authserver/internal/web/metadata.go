package web

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"

	"github.com/hallpass-auth/hallpass/shared/dpop"
	"github.com/hallpass-auth/hallpass/shared/oauth"
	"github.com/hallpass-auth/hallpass/shared/statuslist"

	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
	"github.com/hallpass-auth/hallpass/authserver/internal/issuing"
	"github.com/hallpass-auth/hallpass/authserver/internal/jwkset"
)

// publicly lets caches keep a response for a minute: shorter than a key is published before
// it signs.
const publicly = "public, max-age=60"

// metadata serves the authorization server metadata (RFC 8414), which is also that of an OpenID provider (OpenID
// Connect Discovery section 3).
func (e *endpoints) metadata(w http.ResponseWriter, r *http.Request) (any, error) {
	scopes, err := e.supportedScopes(r.Context())
	if err != nil {
		return nil, err
	}
	w.Header().Set("Cache-Control", publicly)
	secret := []string{"client_secret_basic", "client_secret_post", "private_key_jwt"}
	secretOrNone := slices.Concat(secret, []string{"none"})
	algorithms := jwkset.AlgorithmNames()
	issuer := e.cfg.IssuerURL
	jwks := ""
	if e.cfg.Keys.Current().HasPublicKeys(e.cfg.Now()) { // else the set is empty
		jwks = issuer + "/jwks.json"
	}
	m := oauth.Metadata{
		Issuer:                issuer,
		AuthorizationEndpoint: issuer + authorizePath,
		TokenEndpoint:         issuer + "/token",
		RevocationEndpoint:    issuer + "/revoke",
		IntrospectionEndpoint: issuer + "/introspect",
		UserInfoEndpoint:      issuer + "/userinfo",
		JWKSURI:               jwks,

		DeviceAuthorizationEndpoint:   issuer + "/device_authorization",
		StatusListAggregationEndpoint: issuer + statuslist.Path,

		PushedAuthorizationRequestEndpoint: issuer + "/par",

		ScopesSupported:               scopes,
		GrantTypesSupported:           grant.TypeNames(),
		ResponseTypesSupported:        []string{"code"},
		ResponseModesSupported:        []string{"query"},
		PromptValuesSupported:         prompts,
		CodeChallengeMethodsSupported: []string{"S256"},
		AuthorizationResponseIss:      true,

		TokenEndpointAuthMethods:         secretOrNone,
		RevocationEndpointAuthMethods:    secretOrNone,
		IntrospectionEndpointAuthMethods: secret,

		TokenEndpointAuthAlgorithms:         algorithms,
		RevocationEndpointAuthAlgorithms:    algorithms,
		IntrospectionEndpointAuthAlgorithms: algorithms,
	}
	m.DPoPAlgorithms = dpop.Algorithms
	m.ClientIDMetadataDocuments = e.cfg.Documents.On()
	if e.cfg.Registration.On() {
		m.RegistrationEndpoint = issuer + registrationPath
	}
	e.describeOpenID(&m)
	return m, nil
}

// supportedScopes returns the scopes about the user and those that are described.
func (e *endpoints) supportedScopes(ctx context.Context) (oauth.Scope, error) {
	described, err := e.cfg.Store.ScopeDescriptions(ctx)
	if err != nil {
		return nil, err
	}
	scopes := append(oauth.Scope{}, e.identityScopes()...)
	for _, d := range described {
		if !slices.Contains(scopes, d.Scope) && d.Scope != issuing.ScopeOpenID {
			scopes = append(scopes, d.Scope)
		}
	}
	return scopes, nil
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
