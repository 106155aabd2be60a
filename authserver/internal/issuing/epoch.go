package issuing

import (
	"context"
	"sync"
	"time"

	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
)

// epochInterval is how often the current epoch is read. Tokens that a server issues in the time after
// 'authserver restore' until it has read the new epoch are refused: they refer to lists of the previous
// one.
const epochInterval = time.Second

// currentLists has the status lists of the current epoch. It is safe for concurrent use.
type currentLists struct {
	store *store.Store
	now   func() time.Time

	mu    sync.Mutex
	lists grant.Lists
	read  time.Time // when the epoch was read; zero before the first time
}

// get returns the lists. It reads the epoch if it has not been read for epochInterval.
func (c *currentLists) get(ctx context.Context) (grant.Lists, error) {
	now := c.now()
	c.mu.Lock()
	lists, age := c.lists, now.Sub(c.read)
	c.mu.Unlock()
	if age >= 0 && age < epochInterval { // negative if the clock was put back
		return lists, nil
	}
	epochs, err := c.store.Epochs(ctx)
	if err != nil {
		return grant.Lists{}, err
	}
	lists.Epoch = ""
	if n := len(epochs); n > 0 {
		lists.Epoch = epochs[n-1]
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lists, c.read = lists, now
	return lists, nil
}
