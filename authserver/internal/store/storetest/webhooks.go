package storetest

import (
	"strconv"
	"testing"
	"time"

	"github.com/hallpass-auth/hallpass/authserver/internal/record"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
	"github.com/hallpass-auth/hallpass/authserver/internal/webhook"
)

var webhookTests = []test{
	{"a sealed record is delivered to the webhooks that want it", testDeliveries},
	{"dead deliveries are kept, retried and forgotten", testDeadDeliveries},
	{"webhooks are limited and deleted", testWebhooks},
}

// addWebhook adds a webhook for events.
func addWebhook(t testing.TB, s *store.Store, id string, events ...string) {
	t.Helper()
	must(t, s.AddWebhook(t.Context(), webhook.Webhook{
		ID: id, URL: "https://example.com/" + id, Events: events, Secret: "sealed", CreatedAt: start,
	}))
}

func testDeliveries(t *testing.T, s *store.Store) {
	ctx, lease := t.Context(), start.Add(time.Minute)
	addWebhook(t, s, "logins", "login*")
	addWebhook(t, s, "logouts", "logout")
	for range 3 {
		addRecord(t, s, "login", "usr_1", start)
	}
	_, err := s.SealAudit(ctx, 100)
	must(t, err)
	due, err := s.DueWebhooks(ctx, start)
	must(t, err)
	if len(due) != 1 || due[0].ID != "logins" || due[0].Waiting != 3 {
		t.Errorf("due: %+v", due)
	}
	taken, err := s.TakeDeliveries(ctx, "logins", start, lease, 2)
	must(t, err)
	rest, err := s.TakeDeliveries(ctx, "logins", start, lease, 10)
	must(t, err)
	if len(taken) != 2 || len(rest) != 1 || taken[0].Attempts != 1 {
		t.Errorf("taken %+v, then %+v", taken, rest)
	}
	again, err := s.TakeDeliveries(ctx, "logins", lease, lease.Add(time.Minute), 10) // a server has stopped
	must(t, err)
	must(t, s.FinishDelivery(ctx, taken[0])) // which has gone on after all: the delivery is another server's now
	if hooks, err := s.Webhooks(ctx); err != nil || len(again) != 3 || hooks[0].Waiting != 3 {
		t.Errorf("after the lease: %+v, %+v, %v", again, hooks, err)
	}
	for _, d := range again {
		must(t, s.FinishDelivery(ctx, d))
	}
	if due, err := s.DueWebhooks(ctx, start.Add(time.Hour)); err != nil || len(due) != 0 {
		t.Errorf("in the end %+v, %v", due, err)
	}
}

func testDeadDeliveries(t *testing.T, s *store.Store) {
	ctx, later := t.Context(), start.Add(time.Hour)
	addWebhook(t, s, "hook", "login")
	for i := range 5 {
		addRecord(t, s, "login", "usr_1", start.Add(time.Duration(i)*time.Second))
	}
	_, err := s.SealAudit(ctx, 100)
	must(t, err)
	taken, err := s.TakeDeliveries(ctx, "hook", later, later.Add(time.Minute), 10)
	must(t, err)
	for i, d := range taken {
		d.Reason = "reason " + strconv.Itoa(i)
		must(t, s.PostponeDelivery(ctx, d, time.Time{}, false))
	}
	dead, err := s.DeadDeliveries(ctx, "hook", 10)
	must(t, err)
	if len(dead) != 5 || dead[0].Reason == "" || dead[0].RecordID <= dead[4].RecordID {
		t.Errorf("dead: %+v", dead)
	}
	must(t, s.ForgetDeliveries(ctx, start, 3))
	n, err := s.RetryDeliveries(ctx, "hook", dead[0].RecordID, later)
	must(t, err)
	same(t, "retried", int64(1), n)
	n, err = s.RetryDeliveries(ctx, "hook", "", later)
	must(t, err)
	same(t, "retried of those that were kept", int64(2), n)
	taken, err = s.TakeDeliveries(ctx, "hook", later, later.Add(time.Minute), 1)
	must(t, err)
	must(t, s.PostponeDelivery(ctx, taken[0], later.Add(time.Second), true))
	taken, err = s.TakeDeliveries(ctx, "hook", later.Add(time.Second), later.Add(time.Minute), 10)
	must(t, err)
	for _, d := range taken {
		same(t, "attempts, of which one did not count", int64(1), d.Attempts)
		must(t, s.PostponeDelivery(ctx, d, time.Time{}, false))
	}
	must(t, s.ForgetDeliveries(ctx, later, 10))
	dead, err = s.DeadDeliveries(ctx, "hook", 10)
	must(t, err)
	same(t, "dead ones after a month", 0, len(dead))
	n, err = s.RetryDeliveries(ctx, "hook", "", later)
	must(t, err)
	same(t, "retried after a month", int64(0), n)
}

func testWebhooks(t *testing.T, s *store.Store) {
	for i := range webhook.MaxWebhooks {
		addWebhook(t, s, "hook"+strconv.Itoa(i))
	}
	expect(t, "one more", s.AddWebhook(t.Context(), webhook.Webhook{ID: "x", CreatedAt: start}), webhook.ErrTooMany)
	_, err := s.SealAudit(t.Context(), 100)
	must(t, err)
	must(t, s.DeleteWebhook(t.Context(), "hook3", start))
	expect(t, "deleting again", s.DeleteWebhook(t.Context(), "hook3", start), record.ErrNotFound)
	_, err = s.DeadDeliveries(t.Context(), "hook3", 10)
	expect(t, "dead ones of a deleted webhook", err, record.ErrNotFound)
	_, err = s.RetryDeliveries(t.Context(), "hook3", "", start)
	expect(t, "retrying a deleted webhook", err, record.ErrNotFound)
	taken, err := s.TakeDeliveries(t.Context(), "hook3", start, start.Add(time.Minute), 10)
	must(t, err)
	same(t, "deliveries of a deleted webhook", 0, len(taken))
}
