package account

import (
	"crypto/sha256"
	_ "embed"
	"sort"
)

// commonPasswords has the digests of common passwords, sorted. Command listpasswords writes it.
//
//go:embed common_passwords.bin
var commonPasswords string

// CommonDigest is how many bytes of the SHA-256 digest of a common password are kept. One in 43,000 other passwords has
// the digest of a common one, and is refused too.
const CommonDigest = 4

// isCommon reports whether a password, in lower case, is one of the 100,000 most common ones.
func isCommon(password string) bool {
	sum := sha256.Sum256([]byte(password))
	digest := string(sum[:CommonDigest])
	at := func(i int) string { return commonPasswords[i*CommonDigest:][:CommonDigest] }
	n := len(commonPasswords) / CommonDigest
	i := sort.Search(n, func(i int) bool { return at(i) >= digest })
	return i < n && at(i) == digest
}
