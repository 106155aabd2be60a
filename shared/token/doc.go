// Package token signs and verifies access tokens: JWTs of the profile of
// RFC 9068, with typ at+jwt.
//
// It exists so that there is one place that writes a token and one that judges
// it. A [Verifier] answers from memory alone: it looks at the form, the header
// (typ, alg, kid), the signature and the claims, remembers what it has found good,
// and asks on every request, remembered or not, whether the token is still in
// force: not expired, its key still alive, its grant not revoked.
package token
