package token_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/hallpass-auth/hallpass/shared/keyring"
	"github.com/hallpass-auth/hallpass/shared/oauth"
	"github.com/hallpass-auth/hallpass/shared/token"
)

// Sign a token, and verify it. An API that only verifies tokens uses package bearer.
func Example() {
	ring, err := keyring.FromSecret("a secret of 32 bytes or more, shared with the APIs")
	if err != nil {
		log.Fatal(err)
	}
	signer := token.Signer{Keys: ring}
	raw, err := signer.Sign(&token.Claims{
		Issuer:    "https://login.example.com",
		Audience:  []string{"https://api.example.com"},
		Subject:   "usr_1",
		ClientID:  "web",
		ID:        "1",
		Scope:     oauth.Scope{"items:read"},
		IssuedAt:  time.Now(),
		ExpiresAt: time.Now().Add(30 * time.Minute),
	})
	if err != nil {
		log.Fatal(err)
	}

	verifier, err := token.NewVerifier(token.VerifierConfig{
		Keys:     ring,
		Issuer:   "https://login.example.com",
		Audience: "https://api.example.com",
	})
	if err != nil {
		log.Fatal(err)
	}
	claims, err := verifier.Verify(context.Background(), raw)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(claims.Subject, claims.Scope)

	_, err = verifier.Verify(context.Background(), raw+"x")
	fmt.Println(errors.Is(err, token.ErrInvalid))
	// Output:
	// usr_1 items:read
	// true
}
