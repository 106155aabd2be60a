package dpop

import (
	"context"
	"crypto/sha256"
	"errors"
	"sync"
	"time"
)

// DefaultMemory is a limit for NewMemory. It is enough for 30,000 proofs a second, which take about 150 MiB.
const DefaultMemory = 4 << 20

// ErrFull is returned by Memory.Use when the limit on remembered proofs is reached.
var ErrFull = errors.New("too many DPoP proofs at once to remember them")

// Memory remembers in memory which proofs were used. It forgets a proof some time after the proof has expired, so its
// size depends on the number of requests in the last two minutes. It is safe for concurrent use.
type Memory struct {
	limit int

	mu         sync.Mutex
	started    time.Time // when young was made
	young, old map[shortID]struct{}
}

// shortID is the beginning of Proof.ID. It is long enough that nobody can find a proof whose shortID equals another's.
type shortID [16]byte

// NewMemory returns a Memory of at most limit proofs.
func NewMemory(limit int) *Memory {
	return &Memory{limit: limit, young: map[shortID]struct{}{}}
}

// Use implements Replays. It returns ErrReplayed or ErrFull. When full, it does not forget proofs early, because they
// could then be used again.
func (m *Memory) Use(_ context.Context, id [sha256.Size]byte, _, now time.Time) error {
	short := shortID(id[:])
	m.mu.Lock()
	defer m.mu.Unlock()
	m.forget(now)
	if _, used := m.young[short]; used {
		return ErrReplayed
	}
	if _, used := m.old[short]; used {
		return ErrReplayed
	}
	if len(m.young)+len(m.old) >= m.limit {
		return ErrFull
	}
	m.young[short] = struct{}{}
	return nil
}

// forget manages two generations of proofs: it drops the old one when every proof in it has expired.
func (m *Memory) forget(now time.Time) {
	switch age := now.Sub(m.started); {
	case age < validity:
		return
	case age < 2*validity:
		m.old = m.young
	default:
		m.old = nil
	}
	m.young, m.started = map[shortID]struct{}{}, now
}
