package bff

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// Limits of cookies. Browsers drop a cookie if its name and value together exceed 4096 bytes (RFC 6265bis
// section 5.6), so a longer value is split.
const (
	maxCookieValue = 3800 // in bytes
	maxCookieParts = 4
)

// saltSize is the length of the random number in front of each ciphertext, in bytes.
const saltSize = 32

// errTooLong reports tokens that do not fit into the cookies.
var errTooLong = fmt.Errorf("the tokens do not fit into %d cookies of %d bytes", maxCookieParts, maxCookieValue)

// cookies reads and writes encrypted cookies.
type cookies struct {
	secrets []string
	context string // binds keys to the app, in case two apps have the same secret
	prefix  string // of the cookie names
	secure  bool
}

func newCookies(cfg Config) *cookies {
	c := &cookies{
		secrets: cfg.Secrets,
		context: "hallpass bff 1\n" + cfg.URL + "\n" + cfg.ClientID + "\n",
		prefix:  "__Host-bff",
		secure:  !cfg.InsecureCookies,
	}
	if cfg.InsecureCookies {
		c.prefix = "bff"
	}
	return c
}

// aead returns the cipher and nonce for one ciphertext. Both are derived from a secret and a random salt, so
// no nonce is used twice with the same key, however many cookies a secret encrypts.
func (c *cookies) aead(secret, purpose string, salt []byte) (cipher.AEAD, []byte, error) {
	derived, err := hkdf.Key(sha256.New, []byte(secret), salt, c.context+purpose, 32+12)
	if err != nil {
		return nil, nil, err
	}
	block, err := aes.NewCipher(derived[:32])
	if err != nil {
		return nil, nil, err
	}
	gcm, err := cipher.NewGCM(block)
	return gcm, derived[32:], err
}

// seal encrypts a value. The purpose must be the same in unseal.
func (c *cookies) seal(purpose string, value any) (string, error) {
	plaintext, err := json.Marshal(value)
	if err != nil {
		return "", err
	}
	sealed := make([]byte, saltSize, saltSize+len(plaintext)+16)
	_, _ = rand.Read(sealed) // never fails
	aead, nonce, err := c.aead(c.secrets[0], purpose, sealed)
	if err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(aead.Seal(sealed, nonce, plaintext, nil)), nil
}

// errUnreadable reports a text that was not encrypted for this purpose with one of the secrets.
var errUnreadable = errors.New("the cookie is not one of ours")

// unseal is the inverse of seal.
func (c *cookies) unseal(purpose, text string, value any) error {
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(sealed) < saltSize {
		return errUnreadable
	}
	for _, secret := range c.secrets {
		aead, nonce, err := c.aead(secret, purpose, sealed[:saltSize])
		if err != nil {
			return err
		}
		if plaintext, err := aead.Open(nil, nonce, sealed[saltSize:], nil); err == nil {
			return json.Unmarshal(plaintext, value)
		}
	}
	return errUnreadable
}

// part returns the name of one of the cookies that a session is split into.
func (c *cookies) part(i int) string {
	if i == 0 {
		return c.prefix
	}
	return fmt.Sprintf("%s-%d", c.prefix, i)
}

// The value of the first cookie begins with the number of parts, as one digit.

// writeSession sets the cookies of a session, and removes leftover parts of a longer one.
func (c *cookies) writeSession(w http.ResponseWriter, r *http.Request, s *session, lasts time.Duration) error {
	text, err := c.seal("session", s)
	if err != nil {
		return err
	}
	n := (1 + len(text) + maxCookieValue - 1) / maxCookieValue
	if n > maxCookieParts {
		return errTooLong
	}
	text = fmt.Sprint(n) + text
	for i := range maxCookieParts {
		part := text[min(i*maxCookieValue, len(text)):min((i+1)*maxCookieValue, len(text))]
		if part != "" {
			c.set(w, c.part(i), part, http.SameSiteStrictMode, lasts)
		} else if len(r.CookiesNamed(c.part(i))) > 0 {
			c.set(w, c.part(i), "", http.SameSiteStrictMode, 0)
		}
	}
	return nil
}

// readSession returns the session in the cookies of a request.
func (c *cookies) readSession(r *http.Request) (*session, error) {
	first := c.value(r, c.part(0))
	if first == "" || first[0] < '1' || first[0] > '0'+maxCookieParts {
		return nil, errUnreadable
	}
	var text strings.Builder
	text.WriteString(first[1:])
	for i := 1; i < int(first[0]-'0'); i++ {
		part := c.value(r, c.part(i))
		if part == "" {
			return nil, errUnreadable
		}
		text.WriteString(part)
	}
	s := new(session)
	if err := c.unseal("session", text.String(), s); err != nil {
		return nil, err
	}
	return s, nil
}

// deleteSession removes the cookies of a session.
func (c *cookies) deleteSession(w http.ResponseWriter, r *http.Request) {
	for i := range maxCookieParts {
		if len(r.CookiesNamed(c.part(i))) > 0 {
			c.set(w, c.part(i), "", http.SameSiteStrictMode, 0)
		}
	}
}

// value returns the value of a cookie, or "" unless there is exactly one.
func (c *cookies) value(r *http.Request, name string) string {
	if found := r.CookiesNamed(name); len(found) == 1 && len(found[0].Value) <= maxCookieValue {
		return found[0].Value
	}
	return ""
}

// set sets a cookie that lasts this many seconds; 0 removes it.
func (c *cookies) set(w http.ResponseWriter, name, value string, site http.SameSite, lasts time.Duration) {
	//nolint:gosec // Secure is off only with Config.InsecureCookies.
	cookie := &http.Cookie{
		Name: name, Value: value, Path: "/", HttpOnly: true, Secure: c.secure, SameSite: site,
		MaxAge: int(lasts / time.Second),
	}
	if cookie.MaxAge <= 0 {
		cookie.MaxAge = -1
	}
	http.SetCookie(w, cookie)
}
