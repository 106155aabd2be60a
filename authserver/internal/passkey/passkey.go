// Package passkey runs the ceremonies of passkeys (Web Authentication Level 3, https://www.w3.org/TR/webauthn-3/): the
// registration of a new one, the second step of a login after the password, and a login without a password.
//
// A passkey is a second factor of [secondfactor.KindPasskey], so what holds for second factors holds for it. In place
// of a password it counts as two factors: possession of the device, and the PIN or the fingerprint that the device has
// checked. Such a login needs a device that checks them now and has done so before: see [ErrUnverified].
//
// Nothing is stored when a page asks for a passkey. Challenges are signed, expire, and belong to one browser and one
// purpose. What completes a ceremony records the challenge in the same transaction, so that it works once.
package passkey

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
	"github.com/hallpass-auth/hallpass/authserver/internal/secondfactor"
)

// ChallengeLifetime is how long a page with a ceremony can be answered.
const ChallengeLifetime = 5 * time.Minute

// Errors of ceremonies, besides account.ErrPasskey for an answer that is not accepted. The user is not told why.
var (
	// ErrNoDomain is returned by New for an issuer whose host is an IP address: passkeys belong to domains.
	ErrNoDomain = errors.New("passkeys need a domain name")
	// ErrExpired is returned for an answer to a challenge that has expired, was used, or was not given to this browser.
	ErrExpired = errors.New("the page with the challenge is too old")
	// ErrRegistered is returned for a new passkey that is registered already.
	ErrRegistered = errors.New("the passkey is registered already")
	// ErrCopied is returned for a passkey whose signature counter went back, now or before: there is a copy of it.
	ErrCopied = fmt.Errorf("%w: its signature counter went back", account.ErrPasskey)
	// ErrUnverified is returned for a login without a password by a passkey that does not protect itself with a PIN or
	// a fingerprint, as far as the server knows.
	ErrUnverified = fmt.Errorf("%w: it was not registered with user verification", account.ErrPasskey)
)

// Store is the storage that Service needs. Its methods are safe for concurrent use.
type Store interface {
	// UserByID returns the user, or record.ErrNotFound.
	UserByID(ctx context.Context, id string) (account.User, error)
	// SecondFactors returns the second factors of a user.
	SecondFactors(ctx context.Context, userID string) ([]secondfactor.Factor, error)
	// MarkPasskey replaces the secret of a factor, if it still is old, because the passkey was copied, and asks for a
	// mail to the user. It returns secondfactor.ErrIncorrect if the challenge was used before.
	MarkPasskey(
		ctx context.Context,
		f secondfactor.Factor,
		old string,
		c secondfactor.Challenge,
		now time.Time,
	) error
	// GiveBackTries deletes the failures of the account at the place of the key.
	GiveBackTries(ctx context.Context, key account.FailureKey) error
}

// Config configures a Service. All fields are required.
type Config struct {
	// Issuer is the URL of the server: its host is the RP ID, its origin the only one that is accepted.
	Issuer string
	// Key signs challenges. All servers of a database have the same one. It is used with a label of its own.
	Key   []byte
	Store Store
	// Login counts tries and logs logins.
	Login  *account.Login
	Now    func() time.Time
	Random io.Reader
}

// Service runs ceremonies. It is safe for concurrent use.
type Service struct {
	cfg        Config
	party      *webauthn.WebAuthn
	challenges challenges
}

// New returns a service. It returns ErrNoDomain for an issuer whose host is an IP address.
func New(cfg Config) (*Service, error) {
	u, err := url.Parse(cfg.Issuer)
	if err != nil {
		return nil, fmt.Errorf("passkeys: %w", err)
	}
	host := strings.ToLower(u.Hostname())
	if net.ParseIP(host) != nil {
		return nil, ErrNoDomain
	}
	party, err := webauthn.New(&webauthn.Config{
		RPID: host, RPDisplayName: u.Host, RPOrigins: []string{originOf(u)},
		AttestationPreference: protocol.PreferNoAttestation,
		AuthenticatorSelection: protocol.AuthenticatorSelection{
			ResidentKey: protocol.ResidentKeyRequirementPreferred, UserVerification: protocol.VerificationPreferred,
		},
		Timeouts: webauthn.TimeoutsConfig{
			Login:        webauthn.TimeoutConfig{Timeout: ChallengeLifetime, TimeoutUVD: ChallengeLifetime},
			Registration: webauthn.TimeoutConfig{Timeout: ChallengeLifetime, TimeoutUVD: ChallengeLifetime},
		},
	})
	if err != nil {
		return nil, fmt.Errorf("passkeys: %w", err)
	}
	signer, err := newChallenges(cfg)
	return &Service{cfg: cfg, party: party, challenges: signer}, err
}

// originOf returns the origin of a URL as browsers write it (RFC 6454 section 6.1).
func originOf(u *url.URL) string {
	host := strings.ToLower(u.Host)
	if port := u.Port(); port != "" && port == map[string]string{"http": "80", "https": "443"}[u.Scheme] {
		host = strings.TrimSuffix(host, ":"+port)
	}
	return u.Scheme + "://" + host
}

// refused returns account.ErrPasskey with a reason for the log.
func refused(reason error) error {
	var details *protocol.Error
	if errors.As(reason, &details) {
		return fmt.Errorf("%w: %s", account.ErrPasskey, details.Details)
	}
	return fmt.Errorf("%w: malformed answer", account.ErrPasskey)
}

// methodsOf returns the authentication methods of a passkey (RFC 8176 section 2): proof of possession of a key, which
// the device keeps in hardware or which can be copied to other devices, and the presence of the user.
func methodsOf(c credential) []string {
	if c.BackupEligible {
		return []string{grant.MethodSoftwareKey, grant.MethodUserPresence}
	}
	return []string{grant.MethodHardwareKey, grant.MethodUserPresence}
}
