// Package token signs and verifies access tokens: JWTs of the profile of RFC 9068, with typ at+jwt.
//
// A [Signer] signs claims. A [Verifier] checks a token's syntax, header (typ, alg, kid), signature and
// claims once, and caches valid tokens. On every call it also checks what can change: that the token
// has not expired or been revoked, and that its key still verifies.
package token
