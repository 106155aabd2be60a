// Package statuslist is how a revocation reaches an API that never asks: the Token Status
// List (draft-ietf-oauth-status-list).
//
// A [List] has one bit for each grant, and every access token says which bit is its own.
// The authorization server publishes the list as a JWT, a [Token]; a [Client] in the API
// fetches it when it first meets a token that points at it, and again and again from then
// on. So a request costs the API one look at a bit in memory, and a revocation is in force
// everywhere within the second, however many tokens and APIs there are.
//
// A list is signed with the key that signs the tokens which point at it, so whoever can
// verify the one can verify the other. That matters where secrets are shared and each API
// has one of its own: then the same bits are published once for each API, under a URI of
// its own, signed with its secret. An API can forge the list that itself looks at, which
// gives it nothing that it has not got, and no other.
package statuslist
