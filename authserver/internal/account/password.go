package account

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"golang.org/x/crypto/bcrypt"

	"github.com/hallpass-auth/hallpass/authserver/internal/catalog"
	"github.com/hallpass-auth/hallpass/authserver/internal/passwordhash"
)

// Bcrypt costs that the server accepts, and the default.
const (
	MinCost     = 10
	MaxCost     = 16
	DefaultCost = 12
)

// Limits on new passwords (NIST SP 800-63B-4 section 3.1.1.2).
const (
	// DefaultMinPassword is the minimum length by default, in characters, of a password that is the only factor.
	DefaultMinPassword = 15
	// MinPassword is the minimum length of the password of a user who must have a second factor, and the least minimum
	// length that can be set.
	MinPassword = 8
	// LongestMinPassword is the greatest minimum length that can be set: characters of one byte must fit.
	LongestMinPassword = 64
	// maxPassword is the maximum length, in bytes: bcrypt ignores the rest.
	maxPassword = 72
)

// ErrWeakPassword is returned for a new password that breaks a rule. The text says which.
var ErrWeakPassword = errors.New("password refused")

// MinPasswordOf returns the minimum length of a user's new password, in characters: MinPassword for a user who must
// have a second factor.
func (l *Login) MinPasswordOf(u User) int {
	if l.SecondFactors.Requires(u) {
		return MinPassword
	}
	return cmp.Or(l.MinPassword, MinPassword)
}

// CheckPassword is the function CheckPassword with the minimum length that holds for a user.
func (l *Login) CheckPassword(u User, password string) error {
	return CheckPassword(u.Username, password, l.MinPasswordOf(u))
}

// CheckPassword reports whether a new password is acceptable: valid UTF-8 of at least minimum
// characters and at most 72 bytes, not a common password, and not the username. There are
// no composition rules. The error wraps ErrWeakPassword and never contains the password.
func CheckPassword(username, password string, minimum int) error {
	username, password = PreparePassword(username), PreparePassword(password)
	folded := strings.ToLower(password)
	switch {
	case !utf8.ValidString(password) || strings.ContainsRune(password, 0):
		return refuse(ErrWeakPassword, catalog.Say("It is not valid UTF-8 text."))
	case utf8.RuneCountInString(password) < minimum:
		return refuse(ErrWeakPassword, catalog.Say("Use at least {n} characters.", minimum))
	case len(password) > maxPassword:
		return refuse(ErrWeakPassword, catalog.Say(
			"It is too long: only the first {count} of these characters fit ({bytes} bytes).", fitting(password), maxPassword))
	case isCommon(folded) || repeats(folded):
		return refuse(ErrWeakPassword, catalog.Say("It is too easy to guess."))
	case folded == strings.ToLower(username):
		return refuse(ErrWeakPassword, catalog.Say("It is the same as the username."))
	}
	return nil
}

// fitting returns how many characters at the beginning of a password have at most maxPassword bytes.
func fitting(password string) (characters int) {
	for i, r := range password {
		if i+utf8.RuneLen(r) > maxPassword {
			break
		}
		characters++
	}
	return characters
}

// repeats reports whether s repeats a short string at least three times, such as aaaaaaaa
// or abcabcabc.
func repeats(s string) bool {
	for n := 1; n <= len(s)/3; n++ {
		if len(s)%n == 0 && strings.Repeat(s[:n], len(s)/n) == s {
			return true
		}
	}
	return false
}

// Hasher hashes passwords with bcrypt, and compares them with the hashes that passwordhash.Parse accepts. It is safe
// for concurrent use. At cost 12 each call takes about a quarter of a second of CPU time: put calls behind a Gate.
type Hasher struct {
	cost int

	// Functions that compute a hash; a test counts the calls.
	generate func(password []byte, cost int) ([]byte, error)
	compare  func(hash passwordhash.Hash, password string) bool
}

// NewHasher returns a Hasher that hashes at the given cost. It fails if bcrypt does not
// support the cost. The range MinCost to MaxCost is checked with the other settings.
func NewHasher(cost int) (*Hasher, error) {
	if cost < bcrypt.MinCost || cost > bcrypt.MaxCost {
		return nil, bcrypt.InvalidCostError(cost)
	}
	return &Hasher{
		cost:     cost,
		generate: bcrypt.GenerateFromPassword,
		compare:  passwordhash.Hash.Matches,
	}, nil
}

// Hash returns the bcrypt hash of a password as PreparePassword returns it. It returns
// ErrWeakPassword for one of more than 72 bytes, which bcrypt cannot hash whole.
func (h *Hasher) Hash(password string) (string, error) {
	hash, err := h.generate([]byte(PreparePassword(password)), h.cost)
	if errors.Is(err, bcrypt.ErrPasswordTooLong) {
		return "", refuse(ErrWeakPassword, catalog.Say("It has more than {n} bytes.", maxPassword))
	}
	if err != nil {
		return "", fmt.Errorf("bcrypt: %w", err)
	}
	return string(hash), nil
}

// usual returns the cost of the hashes that the Hasher makes, as passwordhash.Hash.Cost does.
func (h *Hasher) usual() string { return fmt.Sprintf("$2a$%02d$", h.cost) }

// usable reports whether a password can match the hash. That of an unknown user is empty.
func (h *Hasher) usable(hash string) bool {
	_, err := passwordhash.Parse(hash)
	return err == nil
}

// matches reports whether the password matches the hash, as PreparePassword returns it or, for
// hashes of previous versions and other systems, raw. Each of the two that differ costs a comparison. A hash
// that is not usable matches nothing and costs as much as one of the cost spend.
//
// What a mismatch costs depends on the username and the password, and not on whether the user
// exists or is disabled.
func (h *Hasher) matches(hash, password, spend string) (matched, raw bool) {
	parsed, err := passwordhash.Parse(hash)
	if err != nil {
		parsed = passwordhash.OfNobody(spend)
	}
	prepared := PreparePassword(password)
	if h.compare(parsed, prepared) {
		return err == nil, false
	}
	if prepared == password {
		return false, false
	}
	matched = h.compare(parsed, password) && err == nil
	return matched, matched
}

// outdated reports whether the hash has a lower cost than the configured one, or comes from another system.
func (h *Hasher) outdated(hash string) bool {
	parsed, err := passwordhash.Parse(hash)
	return err == nil && (!parsed.Own() || parsed.BcryptCost() < h.cost)
}
