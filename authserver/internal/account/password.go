package account

import (
	_ "embed"
	"errors"
	"fmt"
	"strings"
	"sync"
	"unicode/utf8"

	"golang.org/x/crypto/bcrypt"
)

// Bcrypt costs that the server accepts, and the default.
const (
	MinCost     = 10
	MaxCost     = 16
	DefaultCost = 12
)

// Limits on new passwords (NIST SP 800-63B section 5.1.1.2).
const (
	minPassword = 8  // characters
	maxPassword = 72 // bytes: bcrypt ignores the rest
)

// ErrWeakPassword is returned for a new password that breaks a rule. The text says which.
var ErrWeakPassword = errors.New("password refused")

//go:embed blocklist.txt
var blocklistText string

// blocklist holds common passwords in lower case.
var blocklist = func() map[string]bool {
	list := map[string]bool{}
	for line := range strings.Lines(blocklistText) {
		if word := strings.TrimSpace(line); word != "" && !strings.HasPrefix(word, "#") {
			list[word] = true
		}
	}
	return list
}()

// CheckPassword reports whether a new password is acceptable: valid UTF-8 of at least 8
// characters and at most 72 bytes, not a common password, and not the username. There are
// no composition rules. The error wraps ErrWeakPassword and never contains the password.
func CheckPassword(username, password string) error {
	folded := strings.ToLower(password)
	switch {
	case !utf8.ValidString(password) || strings.ContainsRune(password, 0):
		return fmt.Errorf("%w: it is not valid UTF-8 text", ErrWeakPassword)
	case utf8.RuneCountInString(password) < minPassword:
		return fmt.Errorf("%w: use at least %d characters", ErrWeakPassword, minPassword)
	case len(password) > maxPassword:
		return fmt.Errorf("%w: it has %d bytes; the limit is %d", ErrWeakPassword, len(password), maxPassword)
	case blocklist[folded] || repeats(folded):
		return fmt.Errorf("%w: it is too easy to guess", ErrWeakPassword)
	case folded == strings.ToLower(username):
		return fmt.Errorf("%w: it is the same as the username", ErrWeakPassword)
	}
	return nil
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

// Hasher hashes and compares passwords with bcrypt. It is safe for concurrent use. At cost
// 12 each call takes about a quarter of a second of CPU time, so calls belong behind a
// Gate.
type Hasher struct {
	cost int

	// bcrypt's functions; a test counts the calls.
	generate func(password []byte, cost int) ([]byte, error)
	compare  func(hash, password []byte) error

	mu      sync.Mutex
	highest int // cost of any hash compared so far, and at least cost
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
		compare:  bcrypt.CompareHashAndPassword,
		highest:  cost,
	}, nil
}

// Hash returns the bcrypt hash of a password. It returns ErrWeakPassword for a password of
// more than 72 bytes, which bcrypt cannot hash whole.
func (h *Hasher) Hash(password string) (string, error) {
	hash, err := h.generate([]byte(password), h.cost)
	if errors.Is(err, bcrypt.ErrPasswordTooLong) {
		return "", fmt.Errorf("%w: it has more than %d bytes", ErrWeakPassword, maxPassword)
	}
	if err != nil {
		return "", fmt.Errorf("bcrypt: %w", err)
	}
	return string(hash), nil
}

// matches reports whether the password matches the hash. An invalid hash, such as the
// empty one of an unknown user, matches no password. Every mismatch does the same amount
// of work, whatever the hash's cost, so that timing does not reveal which users exist.
func (h *Hasher) matches(hash, password string) bool {
	cost, err := bcrypt.Cost([]byte(hash))
	highest := h.raise(cost)
	if err != nil || len(password) > maxPassword {
		h.burn(highest)
		return false
	}
	if h.compare([]byte(hash), []byte(password)) == nil {
		return true
	}
	for ; cost < highest; cost++ { // 2^c + 2^c + 2^(c+1) + ... = 2^highest
		h.burn(cost)
	}
	return false
}

// raise updates and returns the cost that every mismatch has: the highest of all hashes
// compared so far. It exceeds the configured cost if that was lowered.
func (h *Hasher) raise(cost int) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.highest = max(h.highest, cost)
	return h.highest
}

// burn does the work of one comparison at the given cost.
func (h *Hasher) burn(cost int) {
	_, _ = h.generate([]byte("the password of nobody"), cost)
}

// outdated reports whether the hash has a lower cost than the configured one.
func (h *Hasher) outdated(hash string) bool {
	cost, err := bcrypt.Cost([]byte(hash))
	return err == nil && cost < h.cost
}
