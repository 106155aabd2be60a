package account

import (
	"context"
	"encoding/binary"
	"slices"
	"strings"
	"sync"
	"time"
)

// CostCount is how many stored hashes have a cost, as passwordhash.Hash.Cost returns it, such as "$2a$12$".
type CostCount struct {
	Cost  string
	Count int64
}

// costsAge is how long the counts of the stored costs are used before they are read again.
const costsAge = 10 * time.Second

// storedCosts knows the costs of the stored hashes, so that a login with an unknown username
// takes as long as one with a username that exists. The zero value is ready to use.
type storedCosts struct {
	mu     sync.Mutex
	readAt time.Time
	counts []CostCount // by cost
}

// current returns the counts. It reads them if they are older than costsAge.
func (s *storedCosts) current(ctx context.Context, store LoginStore, now time.Time) ([]CostCount, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	age := now.Sub(s.readAt)
	if s.counts != nil && age >= 0 && age < costsAge {
		return s.counts, nil
	}
	counts, err := store.PasswordCosts(ctx)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(counts, func(a, b CostCount) int { return strings.Compare(a.Cost, b.Cost) })
	s.counts, s.readAt = counts, now
	return counts, nil
}

// costOf returns the cost of the hash that an unknown user would have. The digest chooses it
// in proportion to the counts, so that a name has the same one each time, and that nobody
// without the key of the digest can tell which. It returns none without counts.
func costOf(digest []byte, counts []CostCount, none string) string {
	var total, below float64
	for _, c := range counts {
		total += float64(c.Count)
	}
	point := float64(binary.BigEndian.Uint64(digest)>>11) / (1 << 53) * total
	for _, c := range counts {
		if below += float64(c.Count); point < below {
			return c.Cost
		}
	}
	return none
}
