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
	// IssuedTokenType is TokenTypeAccess in the response to a token exchange, and empty in others (RFC 8693
	// section 2.2.1).
	IssuedTokenType string `json:"issued_token_type,omitempty"`
	// IDToken is the ID token, if the scope has openid (OpenID Connect Core section 3.1.3.3).
	IDToken string `json:"id_token,omitempty"`
}

// DeviceAuthorization is a response of the device authorization endpoint (RFC 8628 section 3.2).
type DeviceAuthorization struct {
	// DeviceCode is what the device polls the token endpoint with.
	DeviceCode string `json:"device_code"`
	// UserCode is what the user types at VerificationURI.
	UserCode string `json:"user_code"`
	// VerificationURI is the page where the user types the code.
	VerificationURI string `json:"verification_uri"`
	// VerificationURIComplete is the same page with the code, for a link or a QR code.
	VerificationURIComplete string `json:"verification_uri_complete"`
	// ExpiresIn is the lifetime of both codes in seconds.
	ExpiresIn int64 `json:"expires_in"`
	// Interval is how many seconds the device waits between two polls.
	Interval int64 `json:"interval"`
}

// PushedAuthorization is a response of the pushed authorization request endpoint (RFC 9126 section 2.2).
type PushedAuthorization struct {
	// RequestURI is what the client sends the browser to the authorization endpoint with.
	RequestURI string `json:"request_uri"`
	// ExpiresIn is how many seconds the browser has to open it.
	ExpiresIn int64 `json:"expires_in"`
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
	// TokenType is "bearer" or "DPoP" for an access token, and "refresh_token" for a refresh token.
	TokenType string `json:"token_type,omitempty"`
	// Audience has the APIs that an access token is for.
	Audience []string `json:"aud,omitempty"`
	// TokenID identifies an access token.
	TokenID string `json:"jti,omitempty"`
	// Actor is who acts for the user, after a token exchange (RFC 8693 section 4.1); nil in other tokens.
	Actor *Actor `json:"act,omitempty"`
	// Confirmation is the key that the token is bound to (RFC 9449 section 6.2); nil if it is bound to none.
	Confirmation *Confirmation `json:"cnf,omitempty"`
	// ACR, Methods and AuthTime say how and when the user has logged in (RFC 9470 section 6.2); AuthTime is in seconds
	// since 1970. They are empty for a service.
	ACR      string   `json:"acr,omitempty"`
	Methods  []string `json:"amr,omitempty"`
	AuthTime int64    `json:"auth_time,omitempty"`
	// ExpiresAt and IssuedAt are in seconds since 1970.
	ExpiresAt int64 `json:"exp,omitempty"`
	IssuedAt  int64 `json:"iat,omitempty"`
}

// Confirmation is the claim cnf of a token that is bound to a key (RFC 7800 section 3.1).
type Confirmation struct {
	// KeyThumbprint is the JWK SHA-256 thumbprint of the key (RFC 9449 section 6.1).
	KeyThumbprint string `json:"jkt"`
}

// NewConfirmation returns the confirmation for a key, or nil for an empty thumbprint.
func NewConfirmation(keyThumbprint string) *Confirmation {
	if keyThumbprint == "" {
		return nil
	}
	return &Confirmation{keyThumbprint}
}

// UserInfo is a response of the userinfo endpoint, in claims of OpenID Connect Core section
// 5.1. The scope profile shows the names and UpdatedAt, email the address, and groups the groups.
type UserInfo struct {
	// Subject is the user's id.
	Subject string `json:"sub"`
	// PreferredUsername is what the user logs in with.
	PreferredUsername string `json:"preferred_username,omitempty"`
	// Name is the user's full name.
	Name string `json:"name,omitempty"`
	// UpdatedAt is when this information was last changed, in seconds since 1970.
	UpdatedAt int64 `json:"updated_at,omitempty"`
	// Email is the user's email address. EmailVerified says whether somebody has checked that it is the user's;
	// it is nil without an address.
	Email         string `json:"email,omitempty"`
	EmailVerified *bool  `json:"email_verified,omitempty"`
	// Groups are the groups that the user is in.
	Groups []string `json:"groups,omitempty"`
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
	// DeviceAuthorizationEndpoint is where a device asks for its codes (RFC 8628 section 4).
	DeviceAuthorizationEndpoint string `json:"device_authorization_endpoint"`
	UserInfoEndpoint            string `json:"userinfo_endpoint"`
	// PushedAuthorizationRequestEndpoint is where clients push authorization requests (RFC 9126 section 5).
	PushedAuthorizationRequestEndpoint string `json:"pushed_authorization_request_endpoint"`
	// RequirePushedAuthorizationRequests says that all clients must push them.
	RequirePushedAuthorizationRequests bool `json:"require_pushed_authorization_requests"`
	// RegistrationEndpoint is where clients register themselves (RFC 7591); empty if they may not.
	RegistrationEndpoint string `json:"registration_endpoint,omitempty"`
	// ClientIDMetadataDocuments says that a client_id may be the URL of a client's metadata document.
	ClientIDMetadataDocuments bool `json:"client_id_metadata_document_supported"`
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

	// The algorithms of assertions, for private_key_jwt.
	TokenEndpointAuthAlgorithms         []string `json:"token_endpoint_auth_signing_alg_values_supported,omitempty"`
	RevocationEndpointAuthAlgorithms    []string `json:"revocation_endpoint_auth_signing_alg_values_supported,omitempty"`
	IntrospectionEndpointAuthAlgorithms []string `json:"introspection_endpoint_auth_signing_alg_values_supported,omitempty"`

	// DPoPAlgorithms are those of DPoP proofs (RFC 9449 section 5.1).
	DPoPAlgorithms []string `json:"dpop_signing_alg_values_supported"`

	// OpenIDMetadata is nil if the server issues no ID tokens.
	*OpenIDMetadata
}

// OpenIDMetadata are the members of the metadata that OpenID Connect adds (OpenID Connect Discovery section 3).
type OpenIDMetadata struct {
	// EndSessionEndpoint is where a client sends the browser to log out (OpenID Connect RP-Initiated Logout 1.0
	// section 2.1).
	EndSessionEndpoint string `json:"end_session_endpoint"`
	// BackchannelLogoutSupported says that clients are told of logouts, and BackchannelLogoutSessionsSupported that
	// they are told the sid (OpenID Connect Back-Channel Logout 1.0 section 2.1).
	BackchannelLogoutSupported         bool `json:"backchannel_logout_supported"`
	BackchannelLogoutSessionsSupported bool `json:"backchannel_logout_session_supported"`
	// SubjectTypesSupported is public: a user has the same sub at every client.
	SubjectTypesSupported []string `json:"subject_types_supported"`
	// IDTokenSigningAlgorithms are those that there is a key for.
	IDTokenSigningAlgorithms []string `json:"id_token_signing_alg_values_supported"`
	ACRValuesSupported       []string `json:"acr_values_supported"`
	ClaimTypesSupported      []string `json:"claim_types_supported"`
	ClaimsSupported          []string `json:"claims_supported"`
	ClaimsParameterSupported bool     `json:"claims_parameter_supported"`
	// UILocalesSupported are the languages of the pages, by their BCP 47 tags.
	UILocalesSupported []string `json:"ui_locales_supported,omitempty"`
	// RequestParameterSupported and RequestURIParameterSupported are false. The latter would be true if it were
	// absent.
	RequestParameterSupported    bool `json:"request_parameter_supported"`
	RequestURIParameterSupported bool `json:"request_uri_parameter_supported"`
}
