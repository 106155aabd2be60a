package oauth

// TokenResponse is a successful response of the token endpoint (RFC 6749 section 5.1).
type TokenResponse struct {
	// AccessToken is the access token.
	AccessToken string `json:"access_token"`
	// TokenType says how the access token is used: "bearer", in any case.
	TokenType string `json:"token_type"`
	// ExpiresIn is the lifetime of the access token in seconds.
	ExpiresIn int64 `json:"expires_in"`
	// RefreshToken is the refresh token, if there is one.
	RefreshToken string `json:"refresh_token,omitempty"`
	// Scope is the scope of the access token.
	Scope string `json:"scope,omitempty"`
}

// ErrorResponse is an error response of the token, revocation or introspection endpoint
// (RFC 6749 section 5.2).
type ErrorResponse struct {
	// Error is the error code.
	Error ErrorCode `json:"error"`
	// Description is for the developer of the client.
	Description string `json:"error_description,omitempty"`
}

// Introspection is a response of the introspection endpoint (RFC 7662 section 2.2). Of a
// token that is not active, only Active is set.
type Introspection struct {
	// Active says whether the token can be used.
	Active bool `json:"active"`
	// Issuer is the authorization server.
	Issuer string `json:"iss,omitempty"`
	// ClientID is the client that the token was issued to.
	ClientID string `json:"client_id,omitempty"`
	// Subject is the user's id, or the client's for a service.
	Subject string `json:"sub,omitempty"`
	// Username is the user's name at the authorization server; empty for a service.
	Username string `json:"username,omitempty"`
	// Scope is the token's scope.
	Scope string `json:"scope,omitempty"`
	// TokenType is "bearer" for an access token, and "refresh_token" for a refresh token.
	TokenType string `json:"token_type,omitempty"`
	// Audience has the APIs that an access token is for.
	Audience []string `json:"aud,omitempty"`
	// TokenID identifies an access token.
	TokenID string `json:"jti,omitempty"`
	// ExpiresAt and IssuedAt are in seconds since 1970.
	ExpiresAt int64 `json:"exp,omitempty"`
	IssuedAt  int64 `json:"iat,omitempty"`
}

// UserInfo is a response of the userinfo endpoint, in claims of OpenID Connect Core section
// 5.1. The scope profile shows the names.
type UserInfo struct {
	// Subject is the user's id.
	Subject string `json:"sub"`
	// PreferredUsername is what the user logs in with.
	PreferredUsername string `json:"preferred_username,omitempty"`
	// Name is the user's full name.
	Name string `json:"name,omitempty"`
}

// StatusLists is a status list aggregation (Token Status List, section 9).
type StatusLists struct {
	// URIs are where the status lists are published.
	URIs []string `json:"status_lists"`
}

// Metadata describes an authorization server (RFC 8414 section 2).
type Metadata struct {
	// Issuer is the authorization server's identifier.
	Issuer string `json:"issuer"`

	AuthorizationEndpoint string `json:"authorization_endpoint"`
	TokenEndpoint         string `json:"token_endpoint"`
	RevocationEndpoint    string `json:"revocation_endpoint"`
	IntrospectionEndpoint string `json:"introspection_endpoint"`
	UserInfoEndpoint      string `json:"userinfo_endpoint"`
	// JWKSURI is where the public keys are; empty if all keys are shared secrets.
	JWKSURI string `json:"jwks_uri,omitempty"`
	// StatusListAggregationEndpoint says which status lists there are (Token Status List,
	// section 9).
	StatusListAggregationEndpoint string `json:"status_list_aggregation_endpoint"`

	// ScopesSupported has the scopes that are described, and need not have all.
	ScopesSupported        []string    `json:"scopes_supported"`
	GrantTypesSupported    []GrantType `json:"grant_types_supported"`
	ResponseTypesSupported []string    `json:"response_types_supported"`
	ResponseModesSupported []string    `json:"response_modes_supported"`
	PromptValuesSupported  []string    `json:"prompt_values_supported"`
	// CodeChallengeMethodsSupported are those of RFC 7636.
	CodeChallengeMethodsSupported []string `json:"code_challenge_methods_supported"`
	// AuthorizationResponseIss says that authorization responses have an iss (RFC 9207).
	AuthorizationResponseIss bool `json:"authorization_response_iss_parameter_supported"`

	TokenEndpointAuthMethods         []string `json:"token_endpoint_auth_methods_supported"`
	RevocationEndpointAuthMethods    []string `json:"revocation_endpoint_auth_methods_supported"`
	IntrospectionEndpointAuthMethods []string `json:"introspection_endpoint_auth_methods_supported"`
}
