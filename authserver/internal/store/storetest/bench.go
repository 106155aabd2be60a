package storetest

import (
	"context"
	"errors"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
	"github.com/hallpass-auth/hallpass/authserver/internal/secret"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
)

// benchUsers is the number of users that log in during a benchmark. With one, all logins would
// wait for one row.
const benchUsers = 100

// Bench measures the calls of a login, sequentially and in parallel. open is as in Run.
func Bench(b *testing.B, open func(testing.TB) *store.Store) {
	for _, bb := range []struct {
		name string
		call func(ctx context.Context, s *store.Store, i int) error
	}{
		{"StartGrant", func(ctx context.Context, s *store.Store, i int) error {
			_, err := s.StartGrant(ctx, newGrant(newUser(benchUser(i)), newClient("app")))
			return err
		}},
		{"RotateRefresh", func(ctx context.Context, s *store.Store, i int) error {
			first := newRefresh()
			g := grant.Grant{Number: int64(1 + i%benchUsers), ExpiresAt: start.Add(idle), Refresh: first}
			_, err := s.RotateRefresh(ctx, g, first, start, start.Add(idle))
			return err
		}},
		{"GrantByNumber", func(ctx context.Context, s *store.Store, i int) error {
			_, err := s.GrantByNumber(ctx, int64(1+i%benchUsers))
			return err
		}},
		{"ServiceGrant", func(ctx context.Context, s *store.Store, _ int) error {
			_, err := s.ServiceGrant(ctx, "app", digestOf("app"), start)
			return err
		}},
		{"UserByUsername", func(ctx context.Context, s *store.Store, i int) error {
			_, err := s.UserByUsername(ctx, benchUser(i))
			return err
		}},
		{"ClientByID", func(ctx context.Context, s *store.Store, _ int) error {
			_, err := s.ClientByID(ctx, "app")
			return err
		}},
		{"ReserveTry", func(ctx context.Context, s *store.Store, i int) error {
			_, err := s.ReserveTry(ctx, account.NewFailureKey(benchUser(i), "192.0.2.1"), start)
			return err
		}},
	} {
		b.Run(bb.name+"/sequential", func(b *testing.B) {
			s := openFilled(b, open)
			for i := 0; b.Loop(); i++ {
				must(b, bb.call(b.Context(), s, i))
			}
		})
		b.Run(bb.name+"/parallel", func(b *testing.B) {
			s := openFilled(b, open)
			var next atomic.Int64
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if err := bb.call(b.Context(), s, int(next.Add(1))); err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	}
}

// BenchRotations measures how many refresh tokens are rotated in a second by a number of callers at
// once. Each caller has a grant of its own, which it reads and then rotates, as a refresh does.
func BenchRotations(b *testing.B, open func(testing.TB) *store.Store) {
	for _, callers := range []int{1, 8, 64} {
		b.Run(strconv.Itoa(callers), func(b *testing.B) {
			s := openFilled(b, open)
			last, err := s.LastGrant(b.Context())
			must(b, err)
			var next atomic.Int64
			b.ResetTimer()
			for _, err := range atOnce(b.Context(), callers, func(ctx context.Context, i int) error {
				for n := next.Add(1); n <= int64(b.N); n = next.Add(1) {
					if err := rotateOnce(ctx, s, last-int64(i), start.Add(time.Duration(n)*time.Second)); err != nil {
						return err
					}
				}
				return nil
			}) {
				must(b, err)
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "rotations/s")
		})
	}
}

// Rotate starts grants, and rotates the refresh token of each of them a number of times, once a day.
func Rotate(t testing.TB, s *store.Store, grants, rotations int) {
	t.Helper()
	u, c := addUser(t, s, "john.doe"), addClient(t, s, "app")
	var numbers []int64
	for range grants {
		g := newGrant(u, c)
		g.Refresh = newRefresh()
		g.ExpiresAt = g.Refresh.EndsAt.Add(lifetime)
		numbers = append(numbers, startGrant(t, s, g).Number)
	}
	for i := range rotations {
		for _, number := range numbers {
			must(t, rotateOnce(t.Context(), s, number, start.Add(time.Duration(i)*24*time.Hour)))
		}
	}
}

// rotateOnce reads a grant and rotates its refresh token at a time. The grace period of the previous
// token has passed by then.
func rotateOnce(ctx context.Context, s *store.Store, number int64, now time.Time) error {
	g, err := s.GrantByNumber(ctx, number)
	if err != nil {
		return err
	}
	next := rotated(grant.Refresh{Current: g.Refresh.Current}, secret.Digest(g.Refresh.Current), now)
	next.ExpiresAt = now.Add(idle)
	ok, err := s.RotateRefresh(ctx, g, next, now, g.Refresh.EndsAt.Add(lifetime))
	if err == nil && !ok {
		err = errors.New("the refresh token was not rotated")
	}
	return err
}

func benchUser(i int) string { return "user" + strconv.Itoa(i%benchUsers) }

// openFilled opens a database with one client and benchUsers users, each with a grant that can
// be refreshed.
func openFilled(b *testing.B, open func(testing.TB) *store.Store) *store.Store {
	s := open(b)
	c := addClient(b, s, "app")
	for i := range benchUsers {
		addRefreshable(b, s, addUser(b, s, benchUser(i)), c)
	}
	return s
}
