// Package issuing issues, inspects and revokes tokens.
//
// A token request that package web has read, and whose client it has authenticated, goes to
// Service.Issue, which runs the function of its grant type:
//
//	password.go           resource owner password credentials (RFC 6749 section 4.3)
//	code.go               authorization code with PKCE (RFC 6749 section 4.1, RFC 7636)
//	refresh.go            refresh token (RFC 6749 section 6)
//	clientcredentials.go  client credentials (RFC 6749 section 4.4)
//	device.go             device code (RFC 8628)
//	exchange.go           token exchange (RFC 8693)
//
// With the scope openid a response also has an ID token, which idtoken.go makes; openid.go says who may see what of
// a user.
//
// Each function starts with the request and ends in mint.go, which alone signs access tokens.
// The functions have go-oauth2 validate the request and call their steps. Only library.go knows
// the library; you need not read it to understand a grant. The library does not
// have the device code grant and token exchange, so device.go and exchange.go do not call it.
//
// Clients, APIs and the grants of services are kept in memory for a moment: see records.go.
package issuing
