package grant

import (
	"slices"
	"time"

	"github.com/hallpass-auth/hallpass/authserver/internal/secret"
)

// Authentication methods (amr, RFC 8176 section 2).
const (
	// MethodPassword is a password.
	MethodPassword = "pwd"
	// MethodOTP is a code that works once: of an app, or a recovery code.
	MethodOTP = "otp"
	// MethodHardwareKey and MethodSoftwareKey are proof of possession of a key: one that does not leave its device, and
	// one that can be copied to others. MethodUserPresence says that the user has touched the device.
	MethodHardwareKey  = "hwk"
	MethodSoftwareKey  = "swk"
	MethodUserPresence = "user"
	// MethodMultiFactor says that there was more than one factor. It is the last of the methods.
	MethodMultiFactor = "mfa"
)

// Authentication context classes (acr): how many factors a login had.
const (
	ACROneFactor  = "1"
	ACRTwoFactors = "2"
)

// Authentication is how and when a user has logged in, as tokens say it (OpenID Connect Core section 2, RFC 9068
// section 2.2.1).
type Authentication struct {
	// At is when (auth_time). It is zero for services, and in grants of earlier versions.
	At time.Time
	// Methods are how (amr).
	Methods []string
	// SessionID identifies the browser session (sid). It is empty if the user did not log in by a browser, and without
	// the scope openid.
	SessionID string
}

// ACR returns the authentication context class. It is empty if At is zero.
func (a Authentication) ACR() string {
	switch {
	case a.At.IsZero():
		return ""
	case a.TwoFactors():
		return ACRTwoFactors
	}
	return ACROneFactor
}

// TwoFactors reports whether the user has logged in with a second factor.
func (a Authentication) TwoFactors() bool { return slices.Contains(a.Methods, MethodMultiFactor) }

// SessionID returns the public identifier of a session, given the digest of its cookie. The digest cannot be
// computed from it.
func SessionID(digest string) string { return secret.Digest("sid of " + digest) }
