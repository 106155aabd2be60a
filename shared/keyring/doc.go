// Package keyring knows which key signs now and which keys still verify.
//
// It exists because rotating a key must need neither downtime nor a restart. A
// ring is a JWK Set (RFC 7517) whose keys carry a schedule in two members:
//
//	nbf  the time from which the key signs (absent: always)
//	exp  the time until which the key verifies (absent: no end)
//
// both in seconds since 1970. Of the keys that may sign, the one with the latest
// nbf does. Every key that has not reached its exp verifies, also before its
// nbf: a new key is handed to every verifier first and signs later.
//
// A Ring never changes. What changes is which ring is current: see [Source],
// which a Ring is too, and [File], which follows a file.
package keyring
