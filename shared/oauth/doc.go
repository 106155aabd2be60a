// Package oauth defines the vocabulary of OAuth 2.0 that the authorization server and the APIs share:
// grant types, scopes, error codes, and the syntax of issuers and audiences.
package oauth
