package storetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/hallpass-auth/hallpass/authserver/internal/audit"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
)

var takeTests = []test{
	{"no more is taken than was asked for", TakeNoMore},
}

// TakeNoMore checks that what takes up to a number of rows takes exactly that many if there are more.
func TakeNoMore(t *testing.T, s *store.Store) {
	const waiting, limit = 10, 2
	ctx, until := t.Context(), start.Add(time.Minute)
	addWebhook(t, s, "hook", audit.LoginFailed)
	addNotices(t, s, addUser(t, s, "john.doe"), addTold(t, s, "app"), waiting)
	for i := range waiting {
		must(t, s.RequestMail(ctx, newMail(fmt.Sprint("user ", i), fmt.Sprint("network ", i))))
		must(t, s.Record(ctx, audit.Event{Name: audit.LoginFailed, At: start}))
		addUser(t, s, fmt.Sprint("user ", i)) // an event of an administrator
	}
	_, err := s.SealAudit(ctx, 1000)
	must(t, err)
	for what, take := range map[string]func() (int, error){
		"mails": func() (int, error) {
			taken, err := s.TakeMailRequests(ctx, start, until, limit)
			return len(taken), err
		},
		"logout notices": func() (int, error) {
			taken, err := s.TakeLogoutNotices(ctx, start, until, waiting, limit)
			return len(taken), err
		},
		"events": func() (int, error) {
			taken, err := s.TakeAdminEvents(ctx, limit)
			return len(taken), err
		},
		"deliveries": func() (int, error) {
			taken, err := s.TakeDeliveries(ctx, "hook", start, until, limit)
			return len(taken), err
		},
	} {
		for range 2 {
			n, err := take()
			must(t, err)
			same(t, what, limit, n)
		}
	}
}
