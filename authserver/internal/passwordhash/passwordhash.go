// Package passwordhash verifies password hashes: those of this server, which are bcrypt, and those that users bring
// along from other systems, which are bcrypt, argon2id, scrypt or PBKDF2.
//
// All costs have limits, so that nobody can stop a server by a hash that takes gigabytes or hours. They hold when a
// hash is imported and again when a password is compared with it. At most one hash that needs much memory is computed
// at a time in a process.
package passwordhash

import (
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
)

// ErrHash is returned for a text that is not a supported hash, or whose cost is too high. The text of the error says
// why, and never contains the hash.
var ErrHash = errors.New("password hash not usable")

// Limits on the parts of a hash, in bytes.
const (
	maxText = 512
	maxSalt = 128
	minKey  = 16
	maxKey  = 128
)

// Hash is a password hash that can be verified at a limited cost. The zero value matches no password. It is immutable.
type Hash struct {
	scheme    scheme
	salt, key []byte
}

// scheme is an algorithm with its costs.
type scheme interface {
	// prefix returns the text of the algorithm and its costs, which comes before that of the salt.
	prefix() string
	// check returns an error that wraps ErrHash if the costs are out of bounds.
	check() error
	// memory returns how much memory the algorithm needs, in bytes, if it is made to need much, and zero if not.
	memory() uint64
	// derive returns the key of a password, of the length of key or, if the rest would only cost time, shorter. It
	// returns none if the library refuses, as it does for SHA-1 in FIPS 140 mode.
	derive(password string, salt, key []byte) []byte
}

// collectFrom is how much memory of a hash is freed at once, in bytes. Otherwise the memory of several hashes would
// wait for the garbage collector, which servers let run seldom.
const collectFrom = 16 << 20

// memory is held while a hash that needs much memory is computed.
var memory sync.Mutex

// Parse parses a hash as it is stored. What it accepts, String returns unchanged: bcrypt as $2a$10$..., $2b$ or $2y$ of
// cost 4 to 16, and in the PHC string format
//
//	$argon2id$v=19$m=65536,t=3,p=4$SALT$KEY
//	$scrypt$ln=15,r=8,p=1$SALT$KEY
//	$pbkdf2-sha256$i=600000$SALT$KEY
//
// where PBKDF2 is also pbkdf2-sha1 or pbkdf2-sha512, and SALT and KEY are base64 without padding. The error wraps
// ErrHash.
func Parse(text string) (Hash, error) {
	if len(text) > maxText {
		return Hash{}, refuse("it is longer than %d bytes", maxText)
	}
	if strings.HasPrefix(text, "$2") {
		return parseBcrypt(text)
	}
	head, key, ok := cutLast(text)
	head, salt, ok2 := cutLast(head)
	if !ok || !ok2 {
		return Hash{}, refuse("it is not one of bcrypt, argon2id, scrypt or PBKDF2 as described in the documentation")
	}
	s, err := parseScheme(head)
	if err != nil {
		return Hash{}, err
	}
	h := Hash{scheme: s}
	if h.salt, err = decode(salt); err != nil {
		return Hash{}, err
	}
	if h.key, err = decode(key); err != nil {
		return Hash{}, err
	}
	if err := h.check(); err != nil {
		return Hash{}, err
	}
	if h.String() != text {
		return Hash{}, refuse("it is not written in the usual way: it would be %s...", s.prefix())
	}
	return h, nil
}

// parseScheme parses an algorithm with its costs, without the $ at the end.
func parseScheme(text string) (scheme, error) {
	name, costs, _ := strings.Cut(strings.TrimPrefix(text, "$"), "$")
	switch name {
	case "argon2id":
		return parseArgon2id(costs)
	case "scrypt":
		return parseScrypt(costs)
	case "pbkdf2-sha1", "pbkdf2-sha256", "pbkdf2-sha512":
		return parsePBKDF2(name, costs)
	}
	return nil, refuse("its algorithm is not supported: use bcrypt, argon2id, scrypt, pbkdf2-sha1, pbkdf2-sha256 or " +
		"pbkdf2-sha512")
}

// check returns why a hash with a key is not usable.
func (h Hash) check() error {
	if len(h.salt) == 0 || len(h.salt) > maxSalt {
		return refuse("the salt must have 1 to %d bytes, not %d", maxSalt, len(h.salt))
	}
	if len(h.key) < minKey || len(h.key) > maxKey {
		return refuse("the key must have %d to %d bytes, not %d", minKey, maxKey, len(h.key))
	}
	return h.scheme.check()
}

// Foreign parses a hash that was made by another system and returns it as it is stored here. A bcrypt hash can have
// cost 4 to 15. It is stored as $2b$ or $2y$ even if it was $2a$, which computes the same: $2a$ are those of this
// server. The error wraps ErrHash.
func Foreign(text string) (Hash, error) {
	h, err := Parse(text)
	if err != nil {
		return Hash{}, err
	}
	if b, ok := h.scheme.(bcryptCost); ok {
		if b.cost > maxForeignBcrypt {
			return Hash{}, refuse("the cost of bcrypt must be %d to %d, not %d", minBcrypt, maxForeignBcrypt, b.cost)
		}
		if b.minor == 'a' {
			b.minor = 'b'
			h.scheme = b
		}
	}
	return h, nil
}

// String returns the text that Parse accepts. It is secret.
func (h Hash) String() string {
	switch s := h.scheme.(type) {
	case nil:
		return ""
	case bcryptCost:
		return s.prefix() + string(h.key)
	default:
		return s.prefix() + encoding.EncodeToString(h.salt) + "$" + encoding.EncodeToString(h.key)
	}
}

// Own reports whether the hash is one that this server makes.
func (h Hash) Own() bool {
	b, ok := h.scheme.(bcryptCost)
	return ok && b.minor == 'a'
}

// Cost returns the algorithm and its costs, such as "$2a$12$": the beginning of the hash, which is no secret. Hashes of
// one cost take the same time to compute.
func (h Hash) Cost() string {
	if h.scheme == nil {
		return ""
	}
	return h.scheme.prefix()
}

// BcryptCost returns the cost of a bcrypt hash, and zero for others.
func (h Hash) BcryptCost() int {
	b, _ := h.scheme.(bcryptCost)
	return b.cost
}

// Matches reports whether the hash is that of the password. It compares in constant time. How long it takes depends on
// the cost of the hash, and on how many other hashes that need much memory it has to wait for.
//
// A password of more than 72 bytes matches no bcrypt hash of this server. Other systems cut such passwords, so it
// matches a hash of theirs as it did there.
func (h Hash) Matches(password string) bool {
	if h.scheme == nil {
		return false
	}
	if needed := h.scheme.memory(); needed > 0 {
		memory.Lock()
		defer memory.Unlock()
		if needed >= collectFrom {
			defer runtime.GC()
		}
	}
	if b, ok := h.scheme.(bcryptCost); ok {
		return b.matches(h.String(), password)
	}
	derived := h.scheme.derive(password, h.salt, h.key)
	return len(derived) >= minKey && subtle.ConstantTimeCompare(derived, h.key[:len(derived)]) == 1
}

// CostOf returns the Cost of the hash in a text, of which a bcrypt hash may be cut after the cost, or an empty text if
// it is no hash.
func CostOf(text string) string {
	if len(text) >= bcryptPrefix && strings.HasPrefix(text, "$2") {
		b, err := parseBcryptCost(text[:bcryptPrefix])
		if err != nil {
			return ""
		}
		return b.prefix()
	}
	h, err := Parse(text)
	if err != nil {
		return ""
	}
	return h.Cost()
}

// OfNobody returns a hash with a Cost that matches no password. It returns the zero Hash if the cost is not valid.
func OfNobody(cost string) Hash {
	if strings.HasPrefix(cost, "$2") {
		h, err := parseBcrypt(cost + bcryptOfNobody)
		if err != nil {
			return Hash{}
		}
		return h
	}
	s, err := parseScheme(strings.TrimSuffix(cost, "$"))
	if err != nil || s.check() != nil {
		return Hash{}
	}
	return Hash{scheme: s, salt: make([]byte, 16), key: make([]byte, 32)}
}

// encoding is that of the PHC string format.
var encoding = base64.RawStdEncoding.Strict()

func decode(text string) ([]byte, error) {
	b, err := encoding.DecodeString(text)
	if err != nil {
		return nil, refuse("the salt or the key is not base64 without padding")
	}
	return b, nil
}

// cutLast cuts a text at the last $.
func cutLast(text string) (before, after string, found bool) {
	i := strings.LastIndexByte(text, '$')
	if i < 0 {
		return text, "", false
	}
	return text[:i], text[i+1:], true
}

// refuse returns an ErrHash with a reason.
func refuse(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrHash, fmt.Sprintf(format, args...))
}
