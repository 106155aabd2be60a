package server

import (
	"context"
	"crypto/rand"

	"github.com/hallpass-auth/hallpass/shared/dpop"

	"github.com/hallpass-auth/hallpass/authserver/internal/secret"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
	"github.com/hallpass-auth/hallpass/authserver/internal/web"
)

// newProofs returns what verifies DPoP proofs. The first server of a database makes the secret of the nonces.
func newProofs(ctx context.Context, s Settings, data *store.Store) (*dpop.Verifier, error) {
	base, err := dpop.ParseBase(s.Issuer)
	if err != nil {
		return nil, err
	}
	fresh, err := secret.New(rand.Reader, "")
	if err != nil {
		return nil, err
	}
	shared, err := data.NonceSecret(ctx, fresh)
	if err != nil {
		return nil, err
	}
	return dpop.NewVerifier(dpop.Config{
		Base:    base,
		Nonces:  dpop.NewNonces([]byte(shared)),
		Replays: web.Proofs{Store: data},
		Now:     s.Now,
	}), nil
}
