package storetest

import (
	"context"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
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
			_, err := s.RotateRefresh(ctx, int64(1+i%benchUsers), first.Current, first, start, start.Add(idle))
			return err
		}},
		{"GrantByNumber", func(ctx context.Context, s *store.Store, i int) error {
			_, err := s.GrantByNumber(ctx, int64(1+i%benchUsers))
			return err
		}},
		{"ServiceGrant", func(ctx context.Context, s *store.Store, _ int) error {
			_, err := s.ServiceGrant(ctx, "app", start)
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
