package passkey

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/secondfactor"
	"github.com/hallpass-auth/hallpass/authserver/internal/secret"
)

// credential is the secret of a factor: what the server knows about a passkey (section 4, credential record). It has
// nothing by which somebody could log in. The signature counter is the LastStep of the factor.
type credential struct {
	ID         []byte   `json:"id"`
	PublicKey  []byte   `json:"public_key"` // COSE_Key
	Transports []string `json:"transports,omitempty"`
	// BackupEligible says that the passkey can be copied to other devices, for example by a password manager. It never
	// changes. BackedUp says that it was.
	BackupEligible bool `json:"backup_eligible,omitempty"`
	BackedUp       bool `json:"backed_up,omitempty"`
	// Verified says that the device has checked a PIN or a fingerprint before (uvInitialized).
	Verified bool `json:"verified,omitempty"`
	// Copied says that the signature counter went back once: see ErrCopied.
	Copied bool `json:"copied,omitempty"`
}

// credentialOf reads the secret of a factor.
func credentialOf(f secondfactor.Factor) (c credential, err error) {
	if err := json.Unmarshal([]byte(f.Secret), &c); err != nil {
		return c, fmt.Errorf("reading the passkey %s: %w", f.ID, err)
	}
	return c, nil
}

// text returns the secret of a factor.
func (c credential) text() string {
	text, _ := json.Marshal(c) // of texts and booleans, which cannot fail
	return string(text)
}

// factorID returns the id of the factor of a passkey, so that a passkey belongs to one user only (section 7.1 step 26).
func factorID(credentialID []byte) string {
	return secret.Digest("passkey " + base64url.EncodeToString(credentialID))
}

// IsCopied reports whether a passkey was marked because its signature counter went back. Such a passkey logs nobody in.
func IsCopied(f secondfactor.Factor) bool {
	c, err := credentialOf(f)
	return f.Kind == secondfactor.KindPasskey && err == nil && c.Copied
}

// owner is a user as the library wants it, with the passkeys that count.
type owner struct {
	user    account.User
	factors []secondfactor.Factor // passkeys
	keys    []credential          // of the factors
}

// newOwner returns the user with the passkeys among the factors.
func newOwner(user account.User, factors []secondfactor.Factor) (*owner, error) {
	o := &owner{user: user}
	for _, f := range factors {
		if f.Kind != secondfactor.KindPasskey {
			continue
		}
		c, err := credentialOf(f)
		if err != nil {
			return nil, err
		}
		o.factors, o.keys = append(o.factors, f), append(o.keys, c)
	}
	return o, nil
}

// find returns the index of the passkey with a credential id, or -1.
func (o *owner) find(credentialID []byte) int {
	return slices.IndexFunc(o.keys, func(c credential) bool { return bytes.Equal(c.ID, credentialID) })
}

// WebAuthnID returns the user handle. It is the subject of tokens: random, and no secret.
func (o *owner) WebAuthnID() []byte { return []byte(o.user.ID) }

// WebAuthnName returns the username, which the device shows.
func (o *owner) WebAuthnName() string { return o.user.Username }

// WebAuthnDisplayName returns the display name.
func (o *owner) WebAuthnDisplayName() string { return o.user.Name }

// WebAuthnCredentials returns the passkeys.
func (o *owner) WebAuthnCredentials() []webauthn.Credential {
	var list []webauthn.Credential
	for i, c := range o.keys {
		var transports []protocol.AuthenticatorTransport
		for _, t := range c.Transports {
			transports = append(transports, protocol.AuthenticatorTransport(t))
		}
		list = append(list, webauthn.Credential{
			ID: c.ID, PublicKey: c.PublicKey, Transport: transports,
			Flags: webauthn.CredentialFlags{
				UserVerified: c.Verified, BackupEligible: c.BackupEligible, BackupState: c.BackedUp,
			},
			Authenticator: webauthn.Authenticator{SignCount: uint32(o.factors[i].LastStep)}, //nolint:gosec // it is one
		})
	}
	return list
}
