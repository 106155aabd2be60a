// Package keyfile reads and changes the files with signing keys: the JWK Set of the authorization server, and those of
// APIs, which have no private key. Commands and the admin API rotate keys by the rules of this package.
package keyfile
