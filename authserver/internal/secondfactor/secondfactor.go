// Package secondfactor checks what users log in with besides their password: an app that shows codes (TOTP, RFC 6238),
// passkeys (package passkey), and recovery codes that take their place.
//
// A login of a user who has a second factor, or must have one, takes two steps. The first one, the password, stores a
// [PendingLogin], which belongs to one browser. The second one uses a factor, or adds the first one, and only then the
// session exists: one transaction of the store does both, so that a code works once however many servers get it. Every
// kind of second factor ends in a [Completion], which the store carries out.
package secondfactor

import (
	"errors"
	"time"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/shared/oauth"
)

// Kind says what a second factor is.
type Kind string

// KindTOTP is an app that shows a code that changes every 30 seconds (RFC 6238).
const KindTOTP Kind = "totp"

// KindPasskey is a key that a device keeps and that signs challenges (Web Authentication). It also logs in without a
// password.
const KindPasskey Kind = "passkey"

// Bounds.
const (
	// MaxFactors is how many second factors of each kind a user can have, except passkeys.
	MaxFactors = 10
	// MaxPasskeys is how many passkeys a user can have.
	MaxPasskeys = 20
	// RecoveryCodes is how many recovery codes a user gets.
	RecoveryCodes = 10
	// PendingLifetime is how long a login waits for its second step.
	PendingLifetime = 10 * time.Minute
	// MaxTries is how often one login can try a second factor. After that, it begins again with the password.
	MaxTries = 5
)

// Errors of second factors.
var (
	// ErrIncorrect is returned for a code that is wrong, expired or was used. Callers cannot tell which.
	ErrIncorrect = errors.New("incorrect code")
	// ErrPendingUnknown is returned for a login that does not wait for its second step, or no longer does: it has
	// expired or was completed, was tried too often, is another browser's, or the password or the second factors of its
	// user have changed.
	ErrPendingUnknown = errors.New("no login waits for its second step")
	// ErrUnknown is returned for a second factor that the user does not have.
	ErrUnknown = errors.New("no such second factor")
	// ErrTooMany is returned if a user has as many factors of a kind as Max allows.
	ErrTooMany = errors.New("too many second factors")
	// ErrTaken is returned for a new factor whose ID belongs to a factor of the same or another user.
	ErrTaken = errors.New("the second factor exists already")
	// ErrRequired is returned for the removal of the last second factor of a user who must have one.
	ErrRequired = errors.New("the user must have a second factor")
	// ErrEnrolment is returned for an enrolment that this server has not begun for the user, or too long ago.
	ErrEnrolment = errors.New("no such enrolment")
	// ErrSealed is returned if secrets of second factors cannot be read, because the keys that encrypt them are not in
	// the keys file.
	ErrSealed = errors.New("the secrets of second factors cannot be read")
)

// Factor is a second factor of a user.
type Factor struct {
	// ID identifies the factor. It is random and no secret.
	ID string
	// UserID is whose factor it is.
	UserID string
	// Kind is what it is.
	Kind Kind
	// Name is what the user calls it.
	Name string
	// Secret is what the kind stores: for KindTOTP the encrypted secret, for KindPasskey the public key in JSON.
	Secret string
	// CreatedAt is when it was added.
	CreatedAt time.Time
	// LastUsedAt is when it was last used; zero if never.
	LastUsedAt time.Time
	// LastStep grows with each use: for KindTOTP it is the latest time step of which a code was accepted (RFC 6238
	// section 5.2), for KindPasskey the signature counter, which stays 0 if the device has none.
	LastStep int64
}

// PendingLogin is a login whose password was right and that waits for its second step.
type PendingLogin struct {
	// Digest is the digest of the secret in the browser's cookie.
	Digest string
	// UserID is whose login it is, PasswordVersion the version of the password that was checked.
	UserID          string
	PasswordVersion int64
	// ClientID and GrantType say what the login is for, for the log; both may be empty.
	ClientID  string
	GrantType oauth.GrantType
	// ContinueAt is the path and query where the browser goes after the login.
	ContinueAt string
	// Challenge is what a kind of second factor has asked the browser for and must remember; empty if there is nothing.
	Challenge string
	// EnrolLink is the digest of the account.EnrolLink by which the user adds the first factor; empty for none.
	EnrolLink string
	// CreatedAt and ExpiresAt bound its life.
	CreatedAt, ExpiresAt time.Time
}

// PublicID identifies the login in the forms of its pages, so that a page of another login in the same browser is
// noticed. The digest cannot be computed from it.
func (p PendingLogin) PublicID() string { return publicID(p.Digest) }

// Max returns how many factors of a kind a user can have.
func Max(kind Kind) int {
	if kind == KindPasskey {
		return MaxPasskeys
	}
	return MaxFactors
}

// Challenge is what a passkey has signed. Each can be used once. The zero value means that no passkey was used.
type Challenge struct {
	// Digest identifies it.
	Digest string
	// ExpiresAt is until when its use is remembered.
	ExpiresAt time.Time
}

// Completion is what the store does together with the end of a login, in one transaction: it uses a factor or a
// recovery code, or adds the first factor of the user. One of Used, RecoveryCode and Added is set.
type Completion struct {
	// Pending is the digest of the PendingLogin, which ends. It is empty when a user who is logged in does the same, and
	// in a login by a passkey alone: then Challenge is set.
	Pending string
	// Challenge is the challenge that Used or Added has answered, of KindPasskey.
	Challenge Challenge
	// Used is the factor whose code or answer was right, with the new LastStep and Secret.
	Used *Factor
	// RecoveryCode is the digest of the recovery code.
	RecoveryCode string
	// Added is a new factor, and AddedCodes are the digests of the recovery codes that come with it.
	Added      *Factor
	AddedCodes []string
	// EnrolLink is the digest of the link by which Added is added. It works once. Empty for none.
	EnrolLink string
	// Methods are the authentication methods of the login (amr, RFC 8176).
	Methods []string
}

// Policy says who must have a second factor. The zero value requires it of nobody.
type Policy = account.SecondFactorPolicy
