package account

import "github.com/hallpass-auth/hallpass/authserver/internal/passwordhash"

// KeyFrom returns the key of a login from an address that is not known.
func KeyFrom(account, address string) FailureKey {
	return NewFailureKey(account, address).from(account, address)
}

// CountWork makes the Hasher call count with the cost of each bcrypt computation, or zero for another hash. A hash
// and a comparison at the same cost do the same work.
func (h *Hasher) CountWork(count func(cost int)) {
	generate := h.generate
	h.generate = func(password []byte, cost int) ([]byte, error) {
		hash, err := generate(password, cost)
		if err == nil {
			count(cost)
		}
		return hash, err
	}
	h.CountComparisons(func(hash passwordhash.Hash) { count(hash.BcryptCost()) })
}

// CountComparisons makes the Hasher call count with each hash that it compares a password with.
func (h *Hasher) CountComparisons(count func(passwordhash.Hash)) {
	compare := h.compare
	h.compare = func(hash passwordhash.Hash, password string) bool {
		count(hash)
		return compare(hash, password)
	}
}

// PrepareEmail, PrepareUsername and the limits are those of this package.
var (
	PrepareEmail      = prepareEmail
	PrepareUsername   = prepareUsername
	SprayLimit        = sprayLimit
	NeighborhoodLimit = neighborhoodLimit
)
