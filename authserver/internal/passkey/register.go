package passkey

import (
	"cmp"
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/record"
	"github.com/hallpass-auth/hallpass/authserver/internal/secondfactor"
)

// Bounds of what the server stores of a passkey, in bytes; the ids are bounded by section 4.
const (
	maxName      = 64
	maxPublicKey = 2048
)

// defaultName is the name of a passkey whose user has given it none.
const defaultName = "Passkey"

// transports are those that are stored (section 5.8.4). Others are left out.
var transports = []string{"usb", "nfc", "ble", "smart-card", "hybrid", "internal"}

// registration is the purpose of a challenge for a new passkey.
func registration(user account.User, browser string) purpose {
	return purpose{ceremony: "registration of " + user.ID, browser: browser}
}

// BeginRegistration returns the options of navigator.credentials.create as JSON, for a user with these second factors.
// browser is the digest of a secret that only the user's browser has. The error is that of the source of randomness, or
// of a factor that cannot be read.
func (s *Service) BeginRegistration(user account.User, factors []secondfactor.Factor, browser string) (string, error) {
	o, err := newOwner(user, factors)
	if err != nil {
		return "", err
	}
	challenge, err := s.challenges.issue(registration(user, browser))
	if err != nil {
		return "", err
	}
	creation, _, err := s.party.BeginRegistration(o,
		webauthn.WithExclusions(webauthn.Credentials(o.WebAuthnCredentials()).CredentialDescriptors()),
		func(options *protocol.PublicKeyCredentialCreationOptions) error {
			options.Challenge = challenge
			return nil
		})
	if err != nil {
		return "", err
	}
	text, err := json.Marshal(creation.Response)
	return string(text), err
}

// Register returns the new factor of a registration that the browser has answered, and its completion, which adds it;
// that of a first factor also needs recovery codes: see secondfactor.Service.WithRecoveryCodes. The answer is a
// RegistrationResponseJSON. It returns account.ErrPasskey, ErrExpired, ErrRegistered or account.ErrBadName.
func (s *Service) Register(
	user account.User,
	factors []secondfactor.Factor,
	browser, answer, name string,
) (secondfactor.Completion, error) {
	if name = cmp.Or(strings.TrimSpace(name), defaultName); record.CheckName("name", name, maxName) != nil {
		return secondfactor.Completion{}, errors.Join(account.ErrBadName, record.CheckName("name", name, maxName))
	}
	parsed, err := protocol.ParseCredentialCreationResponseBytes([]byte(answer))
	if err != nil {
		return secondfactor.Completion{}, refused(err)
	}
	text := parsed.Response.CollectedClientData.Challenge
	used, err := s.challenges.check(text, registration(user, browser))
	if err != nil {
		return secondfactor.Completion{}, err
	}
	o, err := newOwner(user, factors)
	if err != nil {
		return secondfactor.Completion{}, err
	}
	made, err := s.party.CreateCredential(o, webauthn.SessionData{
		Challenge: text, UserID: o.WebAuthnID(), CredParams: webauthn.CredentialParametersDefault(),
		UserVerification: protocol.VerificationPreferred,
	}, parsed)
	if err != nil {
		return secondfactor.Completion{}, refused(err)
	}
	if len(made.PublicKey) > maxPublicKey {
		return secondfactor.Completion{}, refused(protocol.ErrBadRequest.WithDetails("the public key is too long"))
	}
	if o.find(made.ID) >= 0 {
		return secondfactor.Completion{}, ErrRegistered
	}
	f := s.newFactor(user, made, name)
	return secondfactor.Completion{
		NewFactor: &f, Challenge: used, Methods: secondfactor.WithSecondFactor(methodsOf(newCredential(made))...),
	}, nil
}

// newFactor returns the factor of a passkey that was made.
func (s *Service) newFactor(user account.User, made *webauthn.Credential, name string) secondfactor.Factor {
	return secondfactor.Factor{
		ID: factorID(made.ID), UserID: user.ID, Kind: secondfactor.KindPasskey, Name: name,
		Secret: newCredential(made).text(), CreatedAt: s.cfg.Now(), LastUsedAt: s.cfg.Now(),
		LastStep: int64(made.Authenticator.SignCount),
	}
}

// newCredential returns what is stored of a passkey that was made.
func newCredential(made *webauthn.Credential) credential {
	c := credential{
		ID: made.ID, PublicKey: made.PublicKey, Verified: made.Flags.UserVerified,
		BackupEligible: made.Flags.BackupEligible, BackedUp: made.Flags.BackupState,
	}
	for _, t := range made.Transport {
		if slices.Contains(transports, string(t)) && !slices.Contains(c.Transports, string(t)) {
			c.Transports = append(c.Transports, string(t))
		}
	}
	return c
}
