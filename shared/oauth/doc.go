// Package oauth is the vocabulary of OAuth 2.0 that both tiers speak: grant
// types, scopes and the error values of RFC 6749.
//
// It exists so that the authorization server, the API and a stranger's program
// name the same things with the same words, and so that each rule of the
// grammar (what a scope may contain, which characters an error description may
// have) is written once.
package oauth
