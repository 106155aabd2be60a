// Package keyring holds the keys that sign and verify tokens, each with a schedule.
//
// A [Ring] is a JWK Set (RFC 7517). Two members of a key are its schedule, in seconds since 1970:
//
//	nbf  the time from which the key signs (absent: always)
//	exp  the time until which the key verifies (absent: no end)
//
// A third, aud, binds a key to one API.
//
// The key with the latest nbf that has passed signs. A key verifies until its exp, even before its nbf,
// so it can be distributed to all verifiers before it signs. Keys are rotated without downtime and
// without a restart.
//
// A Ring is immutable. A [Source] returns the ring to use now: [File] follows a file, [URL] a set that
// an authorization server publishes, and a Ring is a Source that never changes.
package keyring
