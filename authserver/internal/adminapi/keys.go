package adminapi

import (
	"context"
	"time"

	"github.com/hallpass-auth/hallpass/shared/keyring"

	"github.com/hallpass-auth/hallpass/authserver/internal/admin"
)

// Key is a signing key of the server. Its secret is never shown.
type Key struct {
	ID            string     `json:"kid"`
	Algorithm     string     `json:"alg"`
	Audience      string     `json:"aud,omitempty" doc:"The API that it is for; absent for all without a secret of their own"`
	IDTokens      bool       `json:"id_tokens" doc:"It signs ID tokens"`
	State         string     `json:"state" enum:"waiting,signing,verifying,over" doc:"waiting will sign later, verifying has been replaced"`
	SignsFrom     *time.Time `json:"signs_from,omitempty"`
	VerifiesUntil *time.Time `json:"verifies_until,omitempty" doc:"When its last token has expired"`
}

// ListKeys lists the signing keys with their schedule.
func (a *API) ListKeys(ctx context.Context, _ *struct{}) (*ListOut[Key], error) {
	keys, err := a.cfg.Admin.SigningKeys(ctx)
	return listOut(keys, err, func(k admin.Key) Key {
		return Key{
			ID: k.ID, Algorithm: k.Algorithm, Audience: k.Audience, IDTokens: k.IDTokens, State: string(k.State),
			SignsFrom: optional(k.SignsFrom), VerifiesUntil: optional(k.VerifiesUntil),
		}
	})
}

// RotateKeysIn is the input of RotateKeys.
type RotateKeysIn struct {
	Body struct {
		API         string `json:"api,omitempty" maxLength:"255" doc:"The API whose own secret is replaced; by default the key of all others"`
		IDTokens    bool   `json:"id_tokens,omitempty" doc:"Replace the key that signs ID tokens"`
		Algorithm   string `json:"alg,omitempty" enum:"HS256,EdDSA,ES256,RS256" doc:"Algorithm of the new key; by default that of the current one"`
		Compromised bool   `json:"compromised,omitempty" doc:"The keys have leaked: new ones sign at once, and all access tokens become invalid"`
	}
}

// NewKey is a key that replaces another one.
type NewKey struct {
	ID        string     `json:"kid"`
	Algorithm string     `json:"alg"`
	IDTokens  bool       `json:"id_tokens"`
	SignsFrom time.Time  `json:"signs_from" doc:"By then, all servers and APIs must have it"`
	Retires   *time.Time `json:"previous_verify_until,omitempty" doc:"How long the previous keys verify"`
}

// RotateKeys adds keys that replace the current ones. Where the server may not write its keys file, or other machines
// may have copies of it, the response is 409 and says which command to run.
func (a *API) RotateKeys(ctx context.Context, in *RotateKeysIn) (*ListOut[NewKey], error) {
	added, err := a.cfg.Admin.RotateSigningKeys(ctx, admin.RotateKey(in.Body))
	return listOut(added, err, func(k *keyring.Successor) NewKey {
		return NewKey{k.ID, k.Algorithm, k.ForIDTokens(), k.SignsFrom.UTC(), optional(k.Retires)}
	})
}
