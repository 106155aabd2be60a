package passwordhash

// HoldMemory makes hashes that need much memory wait until free is called.
func HoldMemory() (free func()) {
	memory.Lock()
	return memory.Unlock
}

// CostsAreLimited reports whether the costs are within the limits of the documentation.
func (h Hash) CostsAreLimited() bool {
	switch s := h.scheme.(type) {
	case bcryptCost:
		return s.cost >= 4 && s.cost <= 16
	case argon2id:
		return s.kib <= 64<<10 && uint64(s.kib)*uint64(s.passes) <= 4*64<<10 && s.threads <= 16
	case scryptCosts:
		return s.logN < 64 && 128*uint64(s.r)<<s.logN <= 64<<20 && s.p <= 4
	case pbkdf2Costs:
		return s.iterations <= 1_000_000
	}
	return false
}
