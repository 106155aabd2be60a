package passwordhash

import (
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/crypto/bcrypt"
)

// Limits on bcrypt. The server's own hashes can have a higher cost than those of others.
const (
	minBcrypt        = 4
	maxBcrypt        = 16
	maxForeignBcrypt = 15
	// maxBcryptPassword is how much of a password bcrypt uses, in bytes.
	maxBcryptPassword = 72
)

const (
	bcryptPrefix = len("$2a$12$")
	bcryptLength = 60
	// bcryptDigits are the digits of bcrypt's base64.
	bcryptDigits = "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
)

// bcryptOfNobody is a salt and a key that no password is known for.
var bcryptOfNobody = strings.Repeat(".", bcryptLength-bcryptPrefix)

// bcryptCost is bcrypt of a version, such as the b of $2b$, and a cost.
type bcryptCost struct {
	minor byte
	cost  int
}

// parseBcrypt parses a hash that begins with $2.
func parseBcrypt(text string) (Hash, error) {
	if len(text) != bcryptLength {
		return Hash{}, refuse("a bcrypt hash has %d characters, not %d", bcryptLength, len(text))
	}
	b, err := parseBcryptCost(text[:bcryptPrefix])
	if err != nil {
		return Hash{}, err
	}
	digits := text[bcryptPrefix:]
	if strings.Trim(digits, bcryptDigits) != "" {
		return Hash{}, refuse("a bcrypt hash cannot have such characters")
	}
	return Hash{scheme: b, key: []byte(digits)}, nil
}

// parseBcryptCost parses a text such as $2b$12$.
func parseBcryptCost(text string) (bcryptCost, error) {
	if !strings.HasPrefix(text, "$2") || text[3] != '$' || text[6] != '$' || !strings.ContainsRune("aby", rune(text[2])) {
		return bcryptCost{}, refuse("bcrypt hashes begin with $2a$, $2b$ or $2y$ and the cost")
	}
	cost, err := strconv.ParseUint(text[4:6], 10, 8)
	if err != nil {
		return bcryptCost{}, refuse("the cost of bcrypt is not a number")
	}
	b := bcryptCost{minor: text[2], cost: int(cost)}
	return b, b.check()
}

func (b bcryptCost) prefix() string { return fmt.Sprintf("$2%c$%02d$", b.minor, b.cost) }

func (b bcryptCost) check() error {
	if b.cost < minBcrypt || b.cost > maxBcrypt {
		return refuse("the cost of bcrypt must be %d to %d, not %d", minBcrypt, maxBcrypt, b.cost)
	}
	return nil
}

func (b bcryptCost) memory() uint64 { return 0 }

func (b bcryptCost) derive(string, []byte, []byte) []byte { return nil }

// matches compares a password with a whole hash. It does the same work for a password that is too long.
func (b bcryptCost) matches(hash, password string) bool {
	matched := bcrypt.CompareHashAndPassword([]byte(hash), []byte(password)) == nil
	return matched && (b.minor != 'a' || len(password) <= maxBcryptPassword)
}
