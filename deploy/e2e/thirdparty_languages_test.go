package e2e_test

import "testing"

// openid-client for JavaScript uses every grant and every endpoint that it supports. The keys
// are RS256.
func TestThirdPartyOpenIDClient(t *testing.T) {
	longTest(t)
	t.Parallel()
	needNode(t)
	s, secrets := startForThirdParty(t, "RS256")
	s.runThirdParty(t, "RS256", secrets, "node", []string{"node", "openid-client.js"},
		"discovery",
		"password",
		"wrong password refused",
		"refresh",
		"refresh whose response was lost",
		"refresh with less scope, not with more",
		"client_credentials by basic",
		"wrong secret refused by basic",
		"client_credentials by post",
		"wrong secret refused by post",
		"client_credentials, introspection and revocation by private_key_jwt",
		"consent denied",
		"code with PKCE, confidential client",
		"code with PKCE, public client",
		"code without a page, prompt=none",
		"response with another iss refused by the library",
		"response with no iss refused by the library",
		"response with another state refused by the library",
		"wrong verifier refused",
		"introspection",
		"userinfo",
		"revocation of a refresh token, with a wrong hint",
		"revocation of an access token by a public client",
		"code used twice",
	)
}

// oauth4webapi for JavaScript finds the authorization server (RFC 8414) by the metadata of the
// API (RFC 9728), and verifies access tokens (RFC 9068) with the published keys, which are
// EdDSA.
func TestThirdPartyOAuth4WebAPI(t *testing.T) {
	longTest(t)
	t.Parallel()
	needNode(t)
	s, secrets := startForThirdParty(t, "EdDSA")
	s.runThirdParty(t, "EdDSA", secrets, "node", []string{"node", "oauth4webapi.js"},
		"protected-resource metadata",
		"discovery",
		"password",
		"wrong password refused",
		"refresh",
		"client_credentials by basic",
		"client_credentials by post",
		"consent denied",
		"code with PKCE, confidential client",
		"code with PKCE, public client",
		"pushed authorization request",
		"token exchange",
		"access token verified by the published keys",
		"introspection",
		"userinfo",
		"revocation",
	)
}

// oauth4webapi and openid-client use DPoP (RFC 9449) with keys of each kind. Both servers share a
// secret, so both ask for nonces.
func TestThirdPartyDPoP(t *testing.T) {
	longTest(t)
	t.Parallel()
	needNode(t)
	s, secrets := startForThirdParty(t, "HS256")
	s.runThirdParty(t, "HS256", secrets, "node", []string{"node", "dpop.js"},
		"discovery",
		"code, refresh, API and userinfo with ES256",
		"code, refresh, API and userinfo with Ed25519",
		"code, refresh, API and userinfo with RS256",
		"code, refresh, API and userinfo with PS256",
		"stolen tokens refused",
		"pushed authorization request",
		"openid-client: code, refresh and API",
	)
}

// Authlib for Python validates the metadata (RFC 8414) and verifies access tokens with the
// published keys, which are ES256.
func TestThirdPartyAuthlib(t *testing.T) {
	longTest(t)
	t.Parallel()
	needPython(t, "authlib", "python3-authlib")
	s, secrets := startForThirdParty(t, "ES256")
	s.runThirdParty(t, "ES256", secrets, "python", []string{python, "authlib_client.py"},
		"discovery",
		"password",
		"wrong password refused",
		"refresh",
		"refresh when the token has expired",
		"client_credentials by client_secret_basic",
		"client_credentials by client_secret_post",
		"consent denied",
		"code with PKCE, confidential client",
		"code with PKCE, public client",
		"access token verified by the published keys",
		"introspection",
		"userinfo",
		"revocation by both kinds of client",
	)
}

// requests-oauthlib for Python. Both servers share a secret.
func TestThirdPartyRequestsOAuthlib(t *testing.T) {
	longTest(t)
	t.Parallel()
	needPython(t, "requests_oauthlib", "python3-requests-oauthlib")
	s, secrets := startForThirdParty(t, "HS256")
	s.runThirdParty(t, "HS256", secrets, "python", []string{python, "requests_oauthlib_client.py"},
		"password, public client by basic and post",
		"password, confidential client by basic and post",
		"wrong secret refused",
		"refresh",
		"refresh when the token has expired",
		"client_credentials by basic and post",
		"consent denied",
		"code with PKCE, confidential client",
		"code with PKCE, public client",
		"revocation",
	)
}
