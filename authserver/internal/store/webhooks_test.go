package store_test

import (
	"testing"
	"time"

	"github.com/hallpass-auth/hallpass/shared/database/databasetest"

	"github.com/hallpass-auth/hallpass/authserver/internal/audit"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
	"github.com/hallpass-auth/hallpass/authserver/internal/store/storetest"
	"github.com/hallpass-auth/hallpass/authserver/internal/webhook"
)

// A webhook of which webhook.MaxWaiting deliveries wait gets no further ones, also within a batch. They are counted.
func TestDeliveriesAreDropped(t *testing.T) {
	s, err := store.Open(t.Context(), "sqlite:"+storetest.SQLite(t), databasetest.Pool)
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	check(err)
	t.Cleanup(func() { _ = s.Close() })
	now := time.Now()
	for _, id := range []string{"busy", "idle"} {
		check(s.AddWebhook(t.Context(), webhook.Webhook{ID: id, URL: "https://hook.example", Events: []string{"test"},
			CreatedAt: now}))
	}
	check(s.Exec(t.Context(), "WITH RECURSIVE n (i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < 10000) "+
		"INSERT INTO webhook_deliveries (webhook, record, created_at, due_at) SELECT 'busy', i, 0, 0 FROM n"))
	for range 3 {
		check(s.Record(t.Context(), audit.Event{Name: "test", At: now}))
	}
	if n, err := s.SealAudit(t.Context(), 100); err != nil || n != 5 {
		t.Fatalf("sealed %d, %v", n, err)
	}
	hooks, err := s.Webhooks(t.Context())
	check(err)
	if hooks[0].Waiting != webhook.MaxWaiting || hooks[1].Waiting != 3 || s.DroppedDeliveries() != 2 {
		t.Errorf("%d and %d wait, %d dropped", hooks[0].Waiting, hooks[1].Waiting, s.DroppedDeliveries())
	}
}
