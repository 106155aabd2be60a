package account

import (
	"cmp"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"time"
)

// maxBrowserUsers is how many users a browser can be known to. The one who has not logged in for the longest time is
// forgotten first.
const maxBrowserUsers = 5

// Sizes of the parts of a login in a Browser, in bytes.
const (
	browserDay = 4
	browserMAC = 16
)

// browserKeyInfo separates the key of browsers from other uses of Login.NameKey.
const browserKeyInfo = "hallpass known browsers"

// maxBrowserID limits the id of a browser, in bytes.
const maxBrowserID = 64

// Browser is what a browser stores about the users who have logged in there, so that nobody who guesses elsewhere can
// keep them from logging in there. It is signed, and the server stores nothing. The zero Browser knows nobody.
type Browser struct {
	id     string   // random
	logins []string // of one user each: the day and a MAC, in base64url; the latest first
}

var base64url = base64.RawURLEncoding.Strict()

// ParseBrowser returns the browser of a cookie. It returns the zero Browser for a text that String has not returned;
// whether the logins are genuine is not checked yet.
func ParseBrowser(cookie string) Browser {
	parts := strings.Split(cookie, ".")
	if len(parts) > 1+maxBrowserUsers || parts[0] == "" || len(parts[0]) > maxBrowserID {
		return Browser{}
	}
	for _, login := range parts[1:] {
		if len(login) != base64url.EncodedLen(browserDay+browserMAC) {
			return Browser{}
		}
	}
	return Browser{id: parts[0], logins: parts[1:]}
}

// String returns the value of the cookie.
func (b Browser) String() string { return strings.Join(append([]string{b.id}, b.logins...), ".") }

// WithLogin returns the browser after a login of a user. A browser that has no id gets the given one, which is random
// and has at most 64 letters, digits, - and _.
func (l *Login) WithLogin(b Browser, user User, id string) Browser {
	b.id = cmp.Or(b.id, id)
	return b.withLogin(l.browserKey(), user, l.Now())
}

// Knows reports whether the user has logged in with the browser within KnownFor, and with the password of now.
func (l *Login) Knows(b Browser, user User) bool {
	return len(l.NameKey) > 0 && b.knows(l.browserKey(), user, l.Now())
}

// browserKey returns the key that signs the logins in a Browser.
func (l *Login) browserKey() []byte {
	key, err := hkdf.Key(sha256.New, l.NameKey, nil, browserKeyInfo, sha256.Size)
	if err != nil {
		panic(err) // only for a key of another size
	}
	return key
}

func (b Browser) withLogin(key []byte, user User, now time.Time) Browser {
	others := slices.DeleteFunc(slices.Clone(b.logins), func(login string) bool {
		_, of := b.dayOf(key, login, user)
		return of
	})
	logins := append([]string{b.sign(key, user, dayAt(now))}, others...)
	b.logins = logins[:min(len(logins), maxBrowserUsers)]
	return b
}

func (b Browser) knows(key []byte, user User, now time.Time) bool {
	today := dayAt(now)
	return slices.ContainsFunc(b.logins, func(login string) bool {
		day, of := b.dayOf(key, login, user)
		return of && day <= today+1 && today-min(day, today) <= uint32(KnownFor/(24*time.Hour))
	})
}

// dayOf returns the day of a login, and whether it is genuine and of the user.
func (b Browser) dayOf(key []byte, login string, user User) (day uint32, of bool) {
	raw, err := base64url.DecodeString(login)
	if err != nil || len(raw) != browserDay+browserMAC {
		return 0, false
	}
	day = binary.BigEndian.Uint32(raw)
	return day, subtle.ConstantTimeCompare([]byte(login), []byte(b.sign(key, user, day))) == 1
}

// sign returns the login of a user on a day.
func (b Browser) sign(key []byte, user User, day uint32) string {
	raw := binary.BigEndian.AppendUint32(nil, day)
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "browser\x00%s\x00%s\x00%d\x00%d", b.id, user.ID, user.PasswordVersion, day)
	return base64url.EncodeToString(append(raw, mac.Sum(nil)[:browserMAC]...))
}

// dayAt returns the day of a time, in days since 1970.
func dayAt(now time.Time) uint32 {
	return uint32(max(now.Unix(), 0) / (24 * 60 * 60)) //nolint:gosec // until the year 11 million
}
