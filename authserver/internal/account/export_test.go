package account

import "golang.org/x/crypto/bcrypt"

// KeyFrom returns the key of a login from an address that is not known.
func KeyFrom(account, address string) FailureKey {
	return NewFailureKey(account, address).from(account, address)
}

// CountWork makes the Hasher call count with the cost of each bcrypt computation. A hash
// and a comparison at the same cost do the same work.
func (h *Hasher) CountWork(count func(cost int)) {
	generate, compare := h.generate, h.compare
	h.generate = func(password []byte, cost int) ([]byte, error) {
		hash, err := generate(password, cost)
		if err == nil {
			count(cost)
		}
		return hash, err
	}
	h.compare = func(hash, password []byte) error {
		if cost, err := bcrypt.Cost(hash); err == nil {
			count(cost)
		}
		return compare(hash, password)
	}
}
