package main

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/go-jose/go-jose/v4"
)

// runKey makes the key of a client, unless there is one, and writes its public half: what 'authserver client add
// --jwks-file' takes. The private half never leaves the machine of the client.
func runKey(_ context.Context, args []string) error {
	if len(args) != 2 {
		return errors.New("usage: services key PRIVATE.pem PUBLIC.jwks.json")
	}
	key, err := readKey(args[0])
	if errors.Is(err, fs.ErrNotExist) {
		key, err = makeKey(args[0])
	}
	if err != nil {
		return err
	}
	set, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{
		Key: key.Public(), KeyID: keyID(key), Algorithm: string(jose.EdDSA), Use: "sig",
	}}})
	if err != nil {
		return err
	}
	return os.WriteFile(args[1], set, 0o644) // it is public
}

// makeKey makes a private key and writes it to a new file.
func makeKey(path string) (ed25519.PrivateKey, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return key, os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600)
}

// readKey reads a private key from a PEM file.
func readKey(path string) (ed25519.PrivateKey, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, fmt.Errorf("%s is not a PEM file", path)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	key, ok := parsed.(ed25519.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("%s is not an Ed25519 key", path)
	}
	return key, nil
}

// keyID returns the id of a key: its thumbprint (RFC 7638).
func keyID(key ed25519.PrivateKey) string {
	sum, err := (&jose.JSONWebKey{Key: key.Public()}).Thumbprint(crypto.SHA256)
	if err != nil {
		panic(err) // every Ed25519 key has one
	}
	return base64.RawURLEncoding.EncodeToString(sum)
}
