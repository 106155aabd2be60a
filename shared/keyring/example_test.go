package keyring_test

import (
	"crypto/rand"
	"fmt"
	"log"
	"time"

	"github.com/hallpass-auth/hallpass/shared/keyring"
)

// Rotate a key: the new one verifies at once, signs after an hour, and the old one ends a day later.
func Example() {
	now := time.Now()
	set, err := keyring.Generate(keyring.EdDSA, now, rand.Reader)
	if err != nil {
		log.Fatal(err)
	}
	signsFrom := now.Add(time.Hour)
	next, err := keyring.NewSuccessor(keyring.EdDSA, "", signsFrom, signsFrom.Add(24*time.Hour), rand.Reader)
	if err != nil {
		log.Fatal(err)
	}
	if set, err = keyring.Rotate(set, next, now); err != nil {
		log.Fatal(err)
	}

	ring, err := keyring.Parse(set)
	if err != nil {
		log.Fatal(err)
	}
	for _, after := range []time.Duration{0, 2 * time.Hour, 48 * time.Hour} {
		for i, key := range ring.Keys() {
			fmt.Printf("after %v, key %d: %s\n", after, i+1, ring.StateOf(key, now.Add(after)))
		}
	}
	// Output:
	// after 0s, key 1: signing
	// after 0s, key 2: waiting
	// after 2h0m0s, key 1: verifying
	// after 2h0m0s, key 2: signing
	// after 48h0m0s, key 1: over
	// after 48h0m0s, key 2: signing
}

// Serve the public half of a key pair, and verify with it elsewhere.
func ExampleRing_Public() {
	now := time.Now()
	set, err := keyring.Generate(keyring.ES256, now, rand.Reader)
	if err != nil {
		log.Fatal(err)
	}
	ring, err := keyring.Parse(set)
	if err != nil {
		log.Fatal(err)
	}
	public, err := ring.Public(now)
	if err != nil {
		log.Fatal(err)
	}
	verifiers, err := keyring.ParsePublic(public)
	if err != nil {
		log.Fatal(err)
	}
	key := verifiers.Keys()[0]
	fmt.Println(key.Algorithm, key.SigningKey() == nil, key.VerificationKey() != nil)
	// Output: ES256 true true
}
