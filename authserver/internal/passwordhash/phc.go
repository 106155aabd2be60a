package passwordhash

import (
	"crypto/pbkdf2"
	"crypto/sha1" //nolint:gosec // only to verify what another system has made
	"crypto/sha256"
	"crypto/sha512"
	"fmt"
	"hash"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/scrypt"
)

// Limits on argon2id, scrypt and PBKDF2. The work of argon2id is its memory times its passes: less memory may take
// more passes, such as the 5 passes over 7 MiB that are the default of Keycloak.
const (
	maxMemory       = 64 << 20 // bytes
	maxArgon2Passes = 4        // over maxMemory
	maxPasses       = 16       // over less
	maxThreads      = 16
	maxScryptP      = 4
	maxIterations   = 1_000_000
)

// argon2id is RFC 9106.
type argon2id struct {
	kib, passes uint32
	threads     uint8
}

func parseArgon2id(costs string) (a argon2id, err error) {
	if _, err := fmt.Sscanf(costs, "v=19$m=%d,t=%d,p=%d", &a.kib, &a.passes, &a.threads); err != nil {
		return a, refuse("the costs of argon2id must be like v=19$m=65536,t=3,p=4")
	}
	return a, nil
}

// NewArgon2id returns a hash of argon2id, version 1.3, from its parts. The memory is in KiB. The error wraps ErrHash.
func NewArgon2id(kib, passes uint32, threads uint8, salt, key []byte) (Hash, error) {
	h := Hash{argon2id{kib, passes, threads}, salt, key}
	return h, h.check()
}

func (a argon2id) prefix() string {
	return fmt.Sprintf("$argon2id$v=19$m=%d,t=%d,p=%d$", a.kib, a.passes, a.threads)
}

func (a argon2id) check() error {
	const most = maxMemory >> 10
	work := uint64(a.kib) * uint64(a.passes)
	switch {
	case a.threads < 1 || a.threads > maxThreads:
		return refuse("the parallelism of argon2id must be 1 to %d, not %d", maxThreads, a.threads)
	case a.kib < 8*uint32(a.threads) || a.kib > most:
		return refuse("the memory of argon2id must be %d to %d KiB, not %d", 8*int(a.threads), most, a.kib)
	case a.passes < 1 || a.passes > maxPasses || work > maxArgon2Passes*most:
		return refuse("argon2id can have %d passes over %d KiB, or up to %d over less; not %d over %d KiB",
			maxArgon2Passes, most, maxPasses, a.passes, a.kib)
	}
	return nil
}

func (a argon2id) memory() uint64 { return uint64(a.kib) << 10 }

func (a argon2id) derive(password string, salt, key []byte) []byte {
	return argon2.IDKey([]byte(password), salt, a.passes, a.kib, a.threads, uint32(len(key))) //nolint:gosec // <= maxKey
}

// scryptCosts is RFC 7914 with N = 2^logN.
type scryptCosts struct{ logN, r, p uint8 }

func parseScrypt(costs string) (s scryptCosts, err error) {
	if _, err := fmt.Sscanf(costs, "ln=%d,r=%d,p=%d", &s.logN, &s.r, &s.p); err != nil {
		return s, refuse("the costs of scrypt must be like ln=15,r=8,p=1")
	}
	return s, nil
}

func (s scryptCosts) prefix() string {
	return fmt.Sprintf("$scrypt$ln=%d,r=%d,p=%d$", s.logN, s.r, s.p)
}

func (s scryptCosts) check() error {
	switch {
	case s.r < 1 || s.p < 1 || s.p > maxScryptP || s.logN < 1:
		return refuse("scrypt must have r=1 or more and p=1 to p=%d", maxScryptP)
	case s.logN > 30 || s.memory() > maxMemory:
		return refuse("scrypt must not need more than %d MiB: 128 bytes times r times 2 to the power of ln", maxMemory>>20)
	}
	return nil
}

func (s scryptCosts) memory() uint64 { return uint64(s.r) * 128 << s.logN }

func (s scryptCosts) derive(password string, salt, key []byte) []byte {
	derived, err := scrypt.Key([]byte(password), salt, 1<<s.logN, int(s.r), int(s.p), len(key))
	if err != nil {
		return nil
	}
	return derived
}

// pbkdf2Costs is RFC 8018 section 5.2 with HMAC.
type pbkdf2Costs struct {
	name       string // such as pbkdf2-sha256
	iterations uint32
}

func parsePBKDF2(name, costs string) (scheme, error) {
	p := pbkdf2Costs{name: name}
	if _, err := fmt.Sscanf(costs, "i=%d", &p.iterations); err != nil {
		return nil, refuse("the costs of %s must be like i=600000", name)
	}
	return p, nil
}

// NewPBKDF2 returns a hash of pbkdf2-sha1, pbkdf2-sha256 or pbkdf2-sha512 from its parts. The error wraps ErrHash.
func NewPBKDF2(name string, iterations uint32, salt, key []byte) (Hash, error) {
	switch name {
	case "pbkdf2-sha1", "pbkdf2-sha256", "pbkdf2-sha512":
	default:
		return Hash{}, refuse("its algorithm is not supported")
	}
	h := Hash{pbkdf2Costs{name, iterations}, salt, key}
	return h, h.check()
}

func (p pbkdf2Costs) prefix() string { return fmt.Sprintf("$%s$i=%d$", p.name, p.iterations) }

func (p pbkdf2Costs) check() error {
	if p.iterations < 1 || p.iterations > maxIterations {
		return refuse("PBKDF2 must have 1 to %d iterations, not %d", maxIterations, p.iterations)
	}
	return nil
}

func (p pbkdf2Costs) memory() uint64 { return 0 }

// derive returns the first block of the key. The blocks do not depend on each other: each is as hard to guess as all,
// and each costs all iterations again.
func (p pbkdf2Costs) derive(password string, salt, key []byte) []byte {
	newHash := map[string]func() hash.Hash{
		"pbkdf2-sha1": sha1.New, "pbkdf2-sha256": sha256.New, "pbkdf2-sha512": sha512.New,
	}[p.name]
	derived, err := pbkdf2.Key(newHash, password, salt, int(p.iterations), min(len(key), newHash().Size()))
	if err != nil {
		return nil
	}
	return derived
}
