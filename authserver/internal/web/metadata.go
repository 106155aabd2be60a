package web

import (
	"encoding/json"
	"net/http"
	"slices"

	"github.com/hallpass-auth/hallpass/shared/statuslist"
)

// publicly is how long everybody may keep what is the same for everybody: shorter than
// a key is published before it signs.
const publicly = "public, max-age=60"

// metadata is what clients need to know (RFC 8414 §2). It is true because it is made
// of what the server does: the grant types are those that the engine supports.
func (e *endpoints) metadata(w http.ResponseWriter, r *http.Request) (map[string]any, error) {
	scopes, err := e.cfg.Scopes.ScopeDescriptions(r.Context())
	if err != nil {
		return nil, err
	}
	names := []string{}
	for _, d := range scopes {
		names = append(names, d.Scope)
	}
	w.Header().Set("Cache-Control", publicly)
	secrets := []string{"client_secret_basic", "client_secret_post"}
	anyClient := slices.Concat(secrets, []string{"none"})
	issuer := e.cfg.IssuerURL
	return map[string]any{
		"issuer":                 issuer,
		"authorization_endpoint": issuer + "/authorize",
		"token_endpoint":         issuer + "/token",
		"revocation_endpoint":    issuer + "/revoke",
		"introspection_endpoint": issuer + "/introspect",
		"userinfo_endpoint":      issuer + "/userinfo",
		"jwks_uri":               issuer + "/jwks.json",

		"status_list_aggregation_endpoint": issuer + statuslist.Path,

		"scopes_supported":         names, // those that are described
		"grant_types_supported":    e.cfg.Tokens.GrantTypes(),
		"response_types_supported": []string{"code"},
		"response_modes_supported": []string{"query"},
		"prompt_values_supported":  []string{"none", "login", "consent"},

		"code_challenge_methods_supported":               []string{"S256"},
		"authorization_response_iss_parameter_supported": true, // RFC 9207

		"token_endpoint_auth_methods_supported":         anyClient,
		"revocation_endpoint_auth_methods_supported":    anyClient,
		"introspection_endpoint_auth_methods_supported": secrets,
	}, nil
}

// jwks is the JWK Set of the keys that everybody may know. Shared secrets are not in
// it, so it is empty where there is nothing else.
func (e *endpoints) jwks(w http.ResponseWriter, _ *http.Request) (map[string]any, error) {
	set, err := e.cfg.Keys.Current().Public(e.cfg.Now())
	if err != nil {
		return nil, err
	}
	w.Header().Set("Cache-Control", publicly)
	var members map[string]any
	return members, json.Unmarshal(set, &members)
}
