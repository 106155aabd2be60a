// Package secondfactor checks what users log in with besides their password: an app that shows codes (TOTP, RFC 6238),
// passkeys (package passkey), and recovery codes that replace either.
//
// A login of a user who has a second factor, or must have one, takes two steps. The first step, the password, stores a
// [PendingLogin], which belongs to one browser. The second step uses a factor, or adds the user's first one, and
// creates the session: one transaction of the store does both, so that a code works once even if several servers get
// it. Each kind of second factor results in a [Completion], which the store carries out.
package secondfactor

import (
	"errors"
	"time"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/shared/oauth"
)

// Kind is a kind of second factor.
type Kind string

// KindTOTP is an app that shows a code that changes every 30 seconds (RFC 6238).
const KindTOTP Kind = "totp"

// KindPasskey is a key on a device that signs challenges (Web Authentication). It can also replace the password.
const KindPasskey Kind = "passkey"

// Bounds.
const (
	// MaxFactors is how many second factors of each kind a user can have, except passkeys.
	MaxFactors = 10
	// MaxPasskeys is how many passkeys a user can have.
	MaxPasskeys = 20
	// recoveryCodes is how many recovery codes a user gets.
	recoveryCodes = 10
	// PendingLifetime is how long a login waits for its second step.
	PendingLifetime = 10 * time.Minute
	// MaxTries is how often one login can try a second factor. After that, it begins again with the password.
	MaxTries = 5
)

// Errors of second factors.
var (
	// ErrIncorrect is returned for a code that is wrong, expired or was used. Callers cannot tell which.
	ErrIncorrect = errors.New("incorrect code")
	// ErrPendingUnknown is returned for a login that is not waiting for its second step: it has expired, was completed,
	// was tried too often, or belongs to another browser, or its user's password or second factors have changed.
	ErrPendingUnknown = errors.New("no login is waiting for its second step")
	// ErrUnknown is returned for a second factor that the user does not have.
	ErrUnknown = errors.New("no such second factor")
	// ErrTooMany is returned if a user already has Max factors of a kind.
	ErrTooMany = errors.New("too many second factors")
	// ErrTaken is returned for a new factor whose ID is in use, by the same or another user.
	ErrTaken = errors.New("the second factor already exists")
	// ErrRequired is returned when a user who must have a second factor removes the last one.
	ErrRequired = errors.New("the user must have a second factor")
	// ErrEnrolment is returned for an enrolment that has expired, or that was not begun for this user.
	ErrEnrolment = errors.New("no such enrolment")
	// ErrSealed is returned if the secrets of second factors cannot be read, because the keys that decrypt them are not in
	// the keys file.
	ErrSealed = errors.New("the secrets of second factors cannot be read")
)

// Factor is a second factor of a user.
type Factor struct {
	// ID identifies the factor. It is random, and not secret.
	ID string
	// UserID is whose factor it is.
	UserID string
	// Kind is its kind.
	Kind Kind
	// Name is the user's name for it.
	Name string
	// Secret depends on the kind: for KindTOTP it is the encrypted secret, for KindPasskey the public key in JSON.
	Secret string
	// CreatedAt is when it was added.
	CreatedAt time.Time
	// LastUsedAt is when it was last used; zero means never.
	LastUsedAt time.Time
	// LastStep grows with each use: for KindTOTP it is the latest time step whose code was accepted (RFC 6238 section
	// 5.2), for KindPasskey the signature counter, which stays 0 if the device has none.
	LastStep int64
}

// PendingLogin is a login whose password was right and that is waiting for its second step.
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
	// EnrolLink is the digest of the account.EnrolLink by which the user adds the first factor; empty for none.
	EnrolLink string
	// CreatedAt and ExpiresAt bound its life.
	CreatedAt, ExpiresAt time.Time
}

// PublicID identifies the login in the forms of its pages, to detect a page of another login in the same browser. The
// digest cannot be computed from it.
func (p PendingLogin) PublicID() string { return publicID(p.Digest) }

// Max returns how many factors of a kind a user can have.
func Max(kind Kind) int {
	if kind == KindPasskey {
		return MaxPasskeys
	}
	return MaxFactors
}

// Challenge is a challenge that a passkey has signed. It can be used once. The zero value means that no passkey was
// used.
type Challenge struct {
	// Digest identifies it.
	Digest string
	// ExpiresAt is when its use can be forgotten.
	ExpiresAt time.Time
}

// Completion is what the store does in the transaction that ends a login: it uses a factor or a recovery code, or adds
// the user's first factor. One of UsedFactor, UsedCode and NewFactor is set.
type Completion struct {
	// Pending is the digest of the PendingLogin, which ends. It is empty for a new factor of a user who is logged in, and
	// for a login by a passkey alone: that has a Challenge.
	Pending string
	// Challenge is the challenge that a passkey, UsedFactor or NewFactor, has signed.
	Challenge Challenge
	// UsedFactor is the factor that was used, with its new LastStep and Secret. OldSecret is the Secret that it had.
	UsedFactor *Factor
	OldSecret  string
	// UsedCode is the digest of the recovery code that was used.
	UsedCode string
	// NewFactor is a factor to add, and NewCodes are the digests of the recovery codes that come with it.
	NewFactor *Factor
	NewCodes  []string
	// EnrolLink is the digest of the link by which NewFactor is added. It works once. Empty for none.
	EnrolLink string
	// Methods are the authentication methods of the login (amr, RFC 8176).
	Methods []string
}

// Policy says which users must have a second factor. The zero value requires it of none.
type Policy = account.SecondFactorPolicy
