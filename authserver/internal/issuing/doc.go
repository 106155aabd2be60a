// Package issuing fits go-oauth2 with our ports.
//
// It exists to hold everything that knows the library in one place. The library
// validates the parameters of a grant and drives the phases of issuing a token; the
// edge in front of it (package web) has already refused what the RFCs refuse and
// authenticated the client. What the library asks for is answered here:
//
//	ClientInfoHandler, ClientStore   the client that the edge authenticated
//	PasswordAuthorizationHandler     account.Login
//	ClientScopeHandler               the client's scope, never more
//	AccessGenerate                   minter: starts the grant and signs the token
//	TokenStore                       tokenStore: tokens are not stored
//
// Its errors are turned into those of package oauth at the boundary.
package issuing
