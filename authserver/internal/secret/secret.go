// Package secret makes the random secrets that the server gives out: client secrets, authorization
// codes and session cookies. The server stores only their digests.
package secret

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
)

// size is the number of random bytes in a secret.
const size = 32

// New returns prefix followed by 256 random bits in base64url. A prefix lets secret scanners
// recognize a leaked secret. random should be crypto/rand.Reader.
func New(random io.Reader, prefix string) (string, error) {
	raw := make([]byte, size)
	if _, err := io.ReadFull(random, raw); err != nil {
		return "", fmt.Errorf("making a secret: %w", err)
	}
	return prefix + base64.RawURLEncoding.EncodeToString(raw), nil
}

// Digest returns what the server stores of a secret: its SHA-256 in base64url. It needs no salt,
// because nobody can guess a random secret.
func Digest[T string | []byte](secret T) string {
	sum := sha256.Sum256([]byte(secret))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}
