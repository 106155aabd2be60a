package revocation_test

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hallpass-auth/hallpass/shared/keyring"
	"github.com/hallpass-auth/hallpass/shared/statuslist"
	"github.com/hallpass-auth/hallpass/shared/token"

	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
	"github.com/hallpass-auth/hallpass/authserver/internal/revocation"
)

// apiTimeout is how long an API waits for a list.
const apiTimeout = 2 * time.Second

type ending struct {
	at     int64
	number int64
}

func (r ending) compare(other ending) int {
	return cmp.Or(cmp.Compare(r.at, other.at), cmp.Compare(r.number, other.number))
}

// slow is a database that takes its time, by the clock of a synctest bubble: it looks, and
// then takes as long as the rows that it has found cost.
type slow struct {
	t        *testing.T
	provider *revocation.Provider
	ring     *keyring.Ring
	page     time.Duration // what a page costs
	row      time.Duration // and each of its rows

	mu      sync.Mutex
	revoked []ending // in order
	pages   int
	most    int           // rows in the largest page
	busy    time.Duration // how long statements have taken, all in all
	err     error
}

func newSlow(t *testing.T, revoked ...ending) *slow {
	t.Helper()
	s := &slow{t: t, revoked: revoked, page: time.Millisecond}
	set, err := keyring.Generate(keyring.HS256, time.Now().AddDate(0, 0, -1), rand.Reader)
	if err == nil {
		s.ring, err = keyring.Parse(set)
	}
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(s.revoked, ending.compare)
	s.provider = revocation.NewProvider(revocation.Config{
		Lifetime: lifetime, Lists: lists, Grants: s, APIs: s,
		Signer: &token.Signer{Keys: s.ring, Audience: audience}, Now: time.Now,
	})
	return s
}

// many are revocations of the first grants, at some time ago.
func many(count int64, ago time.Duration) []ending {
	list := make([]ending, count)
	for i := range list {
		list[i] = ending{at: time.Now().Add(-ago).Unix(), number: int64(i + 1)}
	}
	return list
}

func (s *slow) revoke(number int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := ending{at: time.Now().Unix(), number: number}
	i, _ := slices.BinarySearchFunc(s.revoked, r, ending.compare)
	s.revoked = slices.Insert(s.revoked, i, r)
}

// sweep deletes some rows.
func (s *slow) sweep(from, to int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.revoked = slices.Delete(slices.Clone(s.revoked), from, to)
}

// costs sets how long a page takes from now on.
func (s *slow) costs(page time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.page = page
}

// fails sets the error of each page from now on.
func (s *slow) fails(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

// RevokedAfter fails if its context ends.
func (s *slow) RevokedAfter(ctx context.Context, at time.Time, number int64, limit int) (numbers []int64,
	last time.Time, err error) {
	s.mu.Lock()
	i, found := slices.BinarySearchFunc(s.revoked, ending{at.Unix(), number}, ending.compare)
	if found {
		i++
	}
	rest := s.revoked[i:]
	rest = rest[:min(limit, len(rest))]
	for _, r := range rest {
		numbers, last = append(numbers, r.number), time.Unix(r.at, 0)
	}
	took := s.page + time.Duration(len(rest))*s.row
	s.pages, s.most, s.busy, err = s.pages+1, max(s.most, len(rest)), s.busy+took, s.err
	s.mu.Unlock()
	if took == 0 { // the race detector of Go 1.26 breaks down over timers that are over as they begin (its issue 78156)
		return numbers, last, err
	}
	select {
	case <-ctx.Done():
		return nil, last, ctx.Err()
	case <-time.After(took):
		return numbers, last, err
	}
}

func (s *slow) LastGrant(context.Context) (int64, error) { return grant.ListSize - 1, nil }

func (s *slow) Epochs(context.Context) ([]string, error) { return nil, nil }

func (s *slow) Audiences(context.Context, time.Time) (map[string]bool, error) {
	return map[string]bool{audience: true}, nil
}

// ask requests the list as an API does, with a timeout.
func (s *slow) ask() (list *statuslist.List, took time.Duration, err error) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), apiTimeout)
	defer cancel()
	began := time.Now()
	form, err := s.provider.List(ctx, defaultList)
	if err != nil {
		return nil, time.Since(began), err
	}
	said, err := statuslist.Verify(form.Token, statuslist.Expected{URI: defaultList.URI, Keys: s.ring, Audience: audience,
		Now: time.Now()})
	if err != nil {
		s.t.Fatal(err)
	}
	return said.List, time.Since(began), nil
}

// first requests the list until there is one.
func (s *slow) first() *statuslist.List {
	s.t.Helper()
	for range 100 {
		list, _, err := s.ask()
		if err == nil {
			return list
		}
		if !errors.Is(err, context.DeadlineExceeded) {
			s.t.Fatal(err)
		}
	}
	s.t.Fatal("there is still no list")
	return nil
}

// expect checks whether grants are revoked.
func (s *slow) expect(list *statuslist.List, want map[int64]bool) {
	s.t.Helper()
	for number, want := range want {
		if got, _ := list.Revoked(number); got != want {
			s.t.Errorf("%v: grant %d: revoked %v, want %v", time.Now(), number, got, want)
		}
	}
}

// A server that has just started publishes no list before it has read all revocations. It reads
// them once, in short pages, however long that takes and however many requests are canceled.
func TestFirstReadOutlivesItsRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSlow(t, many(200_000, time.Hour)...)
		s.row = 100 * time.Microsecond // so that all take 20 seconds
		began := time.Now()
		list := s.first()
		s.expect(list, map[int64]bool{0: false, 1: true, 100_000: true, 200_000: true, 200_001: false})
		if took := time.Since(began); took > 21*time.Second {
			t.Errorf("the first list took %v", took)
		}
		if s.pages > 23 || s.most > 10_000 {
			t.Errorf("%d pages, of up to %d rows", s.pages, s.most)
		}
	})
}

// The first list has what was revoked while it was being read.
func TestFirstReadMissesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSlow(t, many(15_000, time.Hour)...)
		s.row = time.Millisecond
		time.AfterFunc(14*time.Second, func() { s.revoke(500_000) }) // after the last page was read, before it is returned
		s.expect(s.first(), map[int64]bool{1: true, 15_000: true, 500_000: true})
	})
}

// While all revocations are read again, no request waits, and no revocation is missing then or
// afterwards. Grants whose tokens have expired are dropped.
func TestReadingAllAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSlow(t, many(60_000, grant.MaxTokenLifetime-2*time.Minute)...)
		s.row = 100 * time.Microsecond
		s.revoke(900_000)
		s.first()
		time.Sleep(time.Second)
		s.sweep(30_000, 60_000)
		for number := int64(500_000); number < 500_000+5*60; number++ { // five minutes
			s.revoke(number)
			time.Sleep(time.Second)
			list, took, err := s.ask()
			if err != nil || took > 100*time.Millisecond {
				t.Fatalf("%v after %v", err, took)
			}
			s.expect(list, map[int64]bool{number: true, 500_000: true, number + 1: false, 900_000: true, 1: true})
		}
		list, _, _ := s.ask()
		s.expect(list, map[int64]bool{30_000: true, 30_001: false, 60_000: false})
	})
}

// Slow updates do not keep the database busy all the time, and lists are not much older than an
// update takes.
func TestSlowUpdates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSlow(t)
		s.first()
		s.costs(time.Second)
		began, before := time.Now(), s.busy
		revoked := map[int64]time.Time{}
		for number := int64(1); time.Since(began) < 40*time.Second; number++ {
			s.revoke(number)
			revoked[number] = time.Now()
			time.Sleep(100 * time.Millisecond)
			list, took, err := s.ask()
			if err != nil {
				t.Fatalf("%v after %v", err, took)
			}
			for n, at := range revoked {
				if known, _ := list.Revoked(n); !known && time.Since(at) > 2*time.Second+took {
					t.Fatalf("grant %d was revoked %v ago", n, time.Since(at))
				}
			}
		}
		if busy := s.busy - before; busy > 22*time.Second {
			t.Errorf("the database was busy for %v of %v", busy, time.Since(began))
		}
	})
}

// A first read that fails is tried again, and the requests that waited get the error.
func TestFirstReadFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSlow(t, many(5, time.Hour)...)
		s.fails(errBroken)
		for range 3 {
			if _, _, err := s.ask(); !errors.Is(err, errBroken) {
				t.Fatal(err)
			}
			time.Sleep(50 * time.Millisecond)
		}
		s.fails(nil)
		list, _, err := s.ask()
		if err != nil {
			t.Fatal(err)
		}
		s.expect(list, map[int64]bool{5: true, 6: false})
	})
}

// A request that is canceled stops waiting.
func TestRequestIsCanceled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSlow(t)
		s.costs(time.Minute)
		if _, took, err := s.ask(); !errors.Is(err, context.DeadlineExceeded) || took != apiTimeout {
			t.Errorf("%v after %v", err, took)
		}
		time.Sleep(time.Minute) // until the update has ended
	})
}

// While the database hangs, an API gets the list as it was before it gives up.
func TestListWhileTheDatabaseHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSlow(t)
		s.revoke(7)
		s.first()
		s.costs(time.Hour)
		time.Sleep(time.Second)
		for range 30 {
			list, took, err := s.ask()
			if err != nil || took >= apiTimeout {
				t.Fatalf("%v after %v", err, took)
			}
			s.expect(list, map[int64]bool{7: true, 8: false})
			time.Sleep(time.Second)
		}
		s.costs(time.Millisecond)
		time.Sleep(time.Minute)
	})
}

// A query that hangs does not block updates for ever.
func TestStatementThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSlow(t)
		s.costs(time.Hour)
		_, _, _ = s.ask()
		s.costs(time.Millisecond)
		time.Sleep(time.Minute)
		if _, _, err := s.ask(); err != nil {
			t.Error(err)
		}
	})
}
