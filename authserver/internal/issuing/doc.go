// Package issuing issues, inspects and revokes tokens.
//
// A token request that package web has read, and whose client it has authenticated, goes to
// Service.Issue, which runs the function of its grant type:
//
//	password.go           resource owner password credentials (RFC 6749 section 4.3)
//	code.go               authorization code with PKCE (RFC 6749 section 4.1, RFC 7636)
//	refresh.go            refresh token (RFC 6749 section 6)
//	clientcredentials.go  client credentials (RFC 6749 section 4.4)
//
// Each function reads from the request to the tokens, and ends in mint.go, which alone signs
// access tokens. The functions have go-oauth2 validate the request and call
// their steps. All that the library asks for is in library.go, which need not be read to
// understand a grant. A grant type that the library does not know is a function beside these
// that leaves the library out.
package issuing
