// Package statuslist lets APIs learn about revoked tokens without asking the authorization server: the
// Token Status List (draft-ietf-oauth-status-list).
//
// A [List] has one bit for each grant, and every access token names its list and bit. The authorization
// server publishes the list as a JWT, a [Token]. A [Client] in the API fetches a list when a token first
// refers to it, and then periodically. A request only reads one bit in memory, and a revocation takes
// effect everywhere within a second.
//
// A list is signed with the key of the tokens that refer to it, so every verifier of the tokens can verify
// the list. If APIs have their own shared secrets, the same bits are published once for each API, under a
// separate URI and signed with that API's secret. An API can then forge only its own list.
package statuslist
