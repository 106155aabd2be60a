package grant

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"

	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/secret"
)

// DeviceLifetime is how long a user has to approve a device, and the device to fetch its tokens.
const DeviceLifetime = 10 * time.Minute

// DeviceInterval is how long a device waits between two polls at first. Each poll that comes too soon
// makes it longer by as much (RFC 8628 section 3.5).
const DeviceInterval = 5 * time.Second

// DevicePrefix begins every device code.
const DevicePrefix = "hpd_"

// Limits on the device codes that wait for their users. Anybody can request device codes for a public client.
const (
	// MaxDevices is how many may wait in all.
	MaxDevices = 10_000
	// MaxDevicesOfClient is how many of one client may wait.
	MaxDevicesOfClient = 5_000
	// MaxDevicesOfNetwork is how many that were requested from one network (ratelimit.SiteNetwork) may wait.
	MaxDevicesOfNetwork = 100
)

// ErrTooManyDevices says that the limit on device codes that wait for their users is reached.
var ErrTooManyDevices = errors.New("too many device codes are waiting")

// DeviceCode is what a device code and its user code stand for (RFC 8628 section 3.2).
type DeviceCode struct {
	// Digest identifies the device code, UserCode the user code. The codes themselves are not stored.
	// UserCode is empty once the user has approved or denied the request.
	Digest, UserCode string
	// ClientID is the client that the codes were issued to.
	ClientID string
	// Audience is the API that the device wants to use, Scope what it wants to do there.
	Audience string
	Scope    oauth.Scope
	// Network is a digest of the network that the request came from.
	Network string
	// CreatedAt and ExpiresAt bound the life of both codes.
	CreatedAt, ExpiresAt time.Time
	// Grant is the number of the grant that the approval started; zero without one.
	Grant int64
	// Redeemed says that the device has fetched its tokens.
	Redeemed bool
}

// Denied reports whether the user has denied the request.
func (d DeviceCode) Denied() bool { return d.UserCode == "" && d.Grant == 0 }

// NewDeviceCode returns a new device code made of bytes from random. The error is that of random.
func NewDeviceCode(random io.Reader) (string, error) {
	return secret.New(random, DevicePrefix)
}

// The letters of a user code, and how many it has (RFC 8628 section 6.1). Without vowels, codes spell no
// words. There are 20^8 of them, about 2^34.
const (
	userCodeLetters = "BCDFGHJKLMNPQRSTVWXZ"
	userCodeLength  = 8
)

// NewUserCode returns a new user code, without a hyphen, made of bytes from random. The error is that of
// random.
func NewUserCode(random io.Reader) (string, error) {
	const fair = 256 - 256%len(userCodeLetters) // bytes from here on would favor the first letters
	var code strings.Builder
	var one [1]byte
	for code.Len() < userCodeLength {
		if _, err := io.ReadFull(random, one[:]); err != nil {
			return "", fmt.Errorf("making a user code: %w", err)
		}
		if n := int(one[0]); n < fair {
			code.WriteByte(userCodeLetters[n%len(userCodeLetters)])
		}
	}
	return code.String(), nil
}

// ParseUserCode returns the user code that somebody has typed, and whether it can be one. Case, and
// everything that is neither a letter nor a digit, is ignored.
func ParseUserCode(typed string) (code string, ok bool) {
	code = strings.Map(func(r rune) rune {
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			return -1
		}
		return unicode.ToUpper(r)
	}, typed)
	wrong := strings.ContainsFunc(code, func(r rune) bool { return !strings.ContainsRune(userCodeLetters, r) })
	return code, len(code) == userCodeLength && !wrong
}

// ShownUserCode returns a user code as people read it, with a hyphen.
func ShownUserCode(code string) string {
	return code[:userCodeLength/2] + "-" + code[userCodeLength/2:]
}
