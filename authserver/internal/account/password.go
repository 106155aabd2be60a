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

// The range of the bcrypt cost that a server may be run with, and the default.
const (
	MinCost     = 10
	MaxCost     = 16
	DefaultCost = 12
)

// What a new password must be (NIST SP 800-63B §5.1.1.2).
const (
	minPassword = 8  // characters
	maxPassword = 72 // bytes: bcrypt looks at no more
)

// ErrWeakPassword says that a new password is refused; the text says why.
var ErrWeakPassword = errors.New("password refused")

// blocklist holds passwords that guessers try first, one a line.
//
//go:embed blocklist.txt
var blocklistText string

var blocklist = func() map[string]bool {
	list := map[string]bool{}
	for line := range strings.Lines(blocklistText) {
		if word := strings.TrimSpace(line); word != "" && !strings.HasPrefix(word, "#") {
			list[word] = true
		}
	}
	return list
}()

// CheckPassword applies the policy for new passwords: 8 characters or more, at
// most 72 bytes, not one of the common ones, not the username. There are no rules
// of composition. The error is ErrWeakPassword and never holds the password.
func CheckPassword(username, password string) error {
	folded := strings.ToLower(password)
	switch {
	case !utf8.ValidString(password) || strings.ContainsRune(password, 0):
		return fmt.Errorf("%w: it is not text in UTF-8", ErrWeakPassword)
	case utf8.RuneCountInString(password) < minPassword:
		return fmt.Errorf("%w: it needs %d characters or more", ErrWeakPassword, minPassword)
	case len(password) > maxPassword:
		return fmt.Errorf("%w: it has %d bytes, and bcrypt looks at no more than %d", ErrWeakPassword, len(password), maxPassword)
	case blocklist[folded] || repeats(folded):
		return fmt.Errorf("%w: it is among the first that are guessed", ErrWeakPassword)
	case folded == strings.ToLower(username):
		return fmt.Errorf("%w: it is the username", ErrWeakPassword)
	}
	return nil
}

// repeats reports whether s is one short piece again and again: aaaaaaaa, abcabcabc.
func repeats(s string) bool {
	for n := 1; n <= len(s)/3; n++ {
		if len(s)%n == 0 && strings.Repeat(s[:n], len(s)/n) == s {
			return true
		}
	}
	return false
}

// Hasher makes and compares bcrypt hashes. It is safe for concurrent use. Its
// methods take a quarter of a second of CPU time at cost 12, on purpose: run them
// behind a Gate.
type Hasher struct {
	cost int

	mu      sync.Mutex
	highest int // cost of what was compared, and cost at least
}

// NewHasher returns a Hasher of the given cost. A cost that bcrypt does not know
// is an error; whether a server may run with it is checked where settings are.
func NewHasher(cost int) (*Hasher, error) {
	if cost < bcrypt.MinCost || cost > bcrypt.MaxCost {
		return nil, bcrypt.InvalidCostError(cost)
	}
	return &Hasher{cost: cost, highest: cost}, nil
}

// Hash returns the hash of a password. One of more than 72 bytes is
// ErrWeakPassword: bcrypt would cut it silently.
func (h *Hasher) Hash(password string) (string, error) {
	hash, err := bcrypt.GenerateFromPassword([]byte(password), h.cost)
	if errors.Is(err, bcrypt.ErrPasswordTooLong) {
		return "", fmt.Errorf("%w: it has more than %d bytes", ErrWeakPassword, maxPassword)
	}
	if err != nil {
		return "", fmt.Errorf("bcrypt: %w", err)
	}
	return string(hash), nil
}

// matches reports whether the password is the one of the hash. What is no hash, such
// as that of a user who does not exist, matches none, after the same work. So it is
// for a password too long to be anybody's, and for a hash of lower cost: a wrong
// password must not be told from an unknown user by the time it takes.
func (h *Hasher) matches(hash, password string) bool {
	cost, err := bcrypt.Cost([]byte(hash))
	highest := h.raise(cost)
	if err != nil || len(password) > maxPassword {
		burn(highest)
		return false
	}
	if bcrypt.CompareHashAndPassword([]byte(hash), []byte(password)) == nil {
		return true
	}
	for ; cost < highest; cost++ { // 2^c + 2^c + 2^(c+1) + ... = 2^highest
		burn(cost)
	}
	return false
}

// raise returns the cost of a refusal: the highest of all hashes that have been compared,
// which may be above the one of the settings, where that was lowered.
func (h *Hasher) raise(cost int) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.highest = max(h.highest, cost)
	return h.highest
}

// burn takes as long as one comparison of the given cost.
func burn(cost int) {
	_, _ = bcrypt.GenerateFromPassword([]byte("the password of nobody"), cost) // the work is what counts
}

// outdated reports whether the hash was made with a lower cost than the present
// one.
func (h *Hasher) outdated(hash string) bool {
	cost, err := bcrypt.Cost([]byte(hash))
	return err == nil && cost < h.cost
}
