package secondfactor

import (
	"crypto/subtle"
	"encoding/base32"
	"fmt"
	"io"
	"net/url"
	"strings"
	"time"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/hotp"
)

// Parameters of TOTP, which are those that every app supports: SHA-1, 6 digits, 30 seconds (RFC 6238 section 1.2).
const (
	totpPeriod = 30
	totpDigits = otp.DigitsSix
	// totpSkew is how many steps the clock of an app may be ahead or behind (RFC 6238 section 5.2).
	totpSkew = 1
	// totpSecret is the size of a secret in bytes, that of SHA-1's output (RFC 4226 section 4).
	totpSecret = 20
)

// newTOTPSecret returns a new secret in base32. The error is that of random.
func newTOTPSecret(random io.Reader) (string, error) {
	raw := make([]byte, totpSecret)
	if _, err := io.ReadFull(random, raw); err != nil {
		return "", fmt.Errorf("making a secret: %w", err)
	}
	return base32.StdEncoding.EncodeToString(raw), nil
}

// totpStep returns the time step of the typed code, and whether there is one. Steps up to last do not count, so that no
// code is accepted twice (RFC 6238 section 5.2). It compares the code with that of every step that counts, in constant
// time.
func totpStep(secret, typed string, now time.Time, last int64) (step int64, ok bool) {
	current := now.Unix() / totpPeriod
	for s := current - totpSkew; s <= current+totpSkew; s++ {
		code, err := totpCode(secret, s)
		if err == nil && s > last && subtle.ConstantTimeCompare([]byte(code), []byte(typed)) == 1 {
			step, ok = s, true
		}
	}
	return step, ok
}

// totpCode returns the code of a time step.
func totpCode(secret string, step int64) (string, error) {
	return hotp.GenerateCodeCustom(secret, uint64(max(step, 0)),
		hotp.ValidateOpts{Digits: totpDigits, Algorithm: otp.AlgorithmSHA1})
}

// digitsOf returns what somebody has typed as a code, without the spaces that apps show in it.
func digitsOf(typed string) string { return strings.Join(strings.Fields(typed), "") }

// keyURI returns the URI for the QR code. Apps assume the usual values for the parameters that it omits
// (https://github.com/google/google-authenticator/wiki/Key-Uri-Format).
func keyURI(service, username, secret string) string {
	label := url.PathEscape(service) + ":" + url.PathEscape(username)
	return "otpauth://totp/" + label + "?secret=" + secret + "&issuer=" + url.PathEscape(service)
}

// grouped returns a secret as people type it: in groups of four characters.
func grouped(secret string) string {
	var groups []string
	for ; len(secret) > 4; secret = secret[4:] {
		groups = append(groups, secret[:4])
	}
	return strings.Join(append(groups, secret), " ")
}
