package store

import (
	"context"
	"database/sql"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/hallpass-auth/hallpass/authserver/internal/audit"
	"github.com/hallpass-auth/hallpass/authserver/internal/record"
	"github.com/hallpass-auth/hallpass/authserver/internal/webhook"
)

var errNoWebhook = fmt.Errorf("webhook %w", record.ErrNotFound)

// AddWebhook adds a webhook. It returns webhook.ErrTooMany if there are webhook.MaxWebhooks.
func (s *Store) AddWebhook(ctx context.Context, w webhook.Webhook) error {
	return s.inTx(ctx, "add webhook", func(ctx context.Context, tx transaction) error {
		if err := s.lock(ctx, tx, "webhooks", w.CreatedAt); err != nil {
			return err
		}
		err := changedOne(ctx, tx, "add webhook", webhook.ErrTooMany,
			"INSERT INTO webhooks (id, url, events, secret, created_at) "+
				"SELECT $1, $2, $3, $4, $5 WHERE (SELECT COUNT(*) FROM webhooks) < $6",
			w.ID, w.URL, strings.Join(w.Events, " "), w.Secret, seconds(w.CreatedAt), webhook.MaxWebhooks)
		if err != nil {
			return err
		}
		return auditThing(ctx, tx, "webhook_added", w.ID, w.CreatedAt, "events", strings.Join(w.Events, " "))
	})
}

const selectWebhooks = "SELECT id, url, events, secret, created_at, " +
	"(SELECT COUNT(*) FROM webhook_deliveries WHERE webhook = webhooks.id AND due_at IS NOT NULL), " +
	"(SELECT COUNT(*) FROM webhook_deliveries WHERE webhook = webhooks.id AND due_at IS NULL) FROM webhooks "

func scanWebhook(r row) (w webhook.Webhook, err error) {
	var events string
	var created sql.NullInt64
	err = r.Scan(&w.ID, &w.URL, &events, &w.Secret, &created, &w.Waiting, &w.Dead)
	w.Events, w.CreatedAt = words(events), timeOf(created)
	return w, unavailable("list webhooks", err)
}

// Webhooks returns all webhooks, oldest first.
func (s *Store) Webhooks(ctx context.Context) ([]webhook.Webhook, error) {
	return list(ctx, s.read, "list webhooks", scanWebhook, selectWebhooks+"ORDER BY id")
}

// DueWebhooks returns the webhooks that have a delivery that is due at a time.
func (s *Store) DueWebhooks(ctx context.Context, now time.Time) ([]webhook.Webhook, error) {
	return list(ctx, s.read, "list webhooks", scanWebhook, selectWebhooks+"WHERE EXISTS "+
		"(SELECT 1 FROM webhook_deliveries WHERE webhook = webhooks.id AND due_at <= $1) ORDER BY id", seconds(now))
}

// DeleteWebhook deletes a webhook with its deliveries. It returns record.ErrNotFound for an unknown one.
func (s *Store) DeleteWebhook(ctx context.Context, id string, now time.Time) error {
	return s.inTx(ctx, "delete webhook", func(ctx context.Context, tx transaction) error {
		err := changedOne(ctx, tx, "delete webhook", errNoWebhook, "DELETE FROM webhooks WHERE id = $1", id)
		if err != nil {
			return err
		}
		return auditThing(ctx, tx, "webhook_deleted", id, now)
	})
}

// DroppedDeliveries returns how many deliveries this process has dropped because webhook.MaxWaiting others waited.
func (s *Store) DroppedDeliveries() int64 { return s.droppedDeliveries.Load() }

// addDeliveries stores a delivery of a record for each webhook that wants it, and counts them as waiting. Those of
// which too many deliveries wait get none: it returns how many these are.
func addDeliveries(
	ctx context.Context,
	tx transaction,
	hooks []webhook.Webhook,
	r audit.Record,
) (dropped int64, err error) {
	for i := range hooks {
		switch w := &hooks[i]; {
		case !w.Matches(r.Event):
		case w.Waiting >= webhook.MaxWaiting:
			dropped++
		default:
			w.Waiting++
			_, err := changed(ctx, tx, "add delivery", "INSERT INTO webhook_deliveries (webhook, record, created_at, due_at) "+
				"SELECT id, $2, $3, $3 FROM webhooks WHERE id = $1 ON CONFLICT DO NOTHING", w.ID, r.ID, seconds(r.At))
			if err != nil {
				return 0, err
			}
		}
	}
	return dropped, nil
}

// TakeDeliveries returns up to limit deliveries of a webhook that are due at now, oldest first. It leases them until
// the given time: until then no server takes them again.
func (s *Store) TakeDeliveries(
	ctx context.Context,
	id string,
	now, until time.Time,
	limit int,
) ([]webhook.Delivery, error) {
	return list(ctx, s.write, "take deliveries", scanDelivery,
		"WITH due AS MATERIALIZED (SELECT record FROM webhook_deliveries WHERE webhook = $1 AND due_at <= $2 "+
			"ORDER BY due_at, record LIMIT $4 "+s.dialect.skipLocked+") "+
			"UPDATE webhook_deliveries SET due_at = $3, attempts = attempts + 1 WHERE webhook = $1 "+
			"AND record IN (SELECT record FROM due) RETURNING webhook, record, created_at, attempts, reason",
		id, seconds(now), seconds(until), limit)
}

func scanDelivery(r row) (d webhook.Delivery, err error) {
	var created sql.NullInt64
	err = r.Scan(&d.Webhook, &d.RecordID, &created, &d.Attempts, &d.Reason)
	d.CreatedAt = timeOf(created)
	return d, unavailable("read delivery", err)
}

// FinishDelivery deletes a delivery that was made. It does nothing if another server has taken it since.
func (s *Store) FinishDelivery(ctx context.Context, d webhook.Delivery) error {
	_, err := s.exec(ctx, "finish delivery", "DELETE FROM webhook_deliveries WHERE webhook = $1 AND record = $2 "+
		"AND attempts = $3", d.Webhook, d.RecordID, d.Attempts)
	return err
}

// PostponeDelivery makes a delivery due again at a time, or dead if that is zero, and records the reason. uncounted
// says that the attempt does not count. It does nothing if another server has taken the delivery since.
func (s *Store) PostponeDelivery(ctx context.Context, d webhook.Delivery, until time.Time, uncounted bool) error {
	_, err := s.exec(ctx, "postpone delivery", "UPDATE webhook_deliveries SET due_at = $4, reason = $5, "+
		"attempts = attempts - $6 WHERE webhook = $1 AND record = $2 AND attempts = $3",
		d.Webhook, d.RecordID, d.Attempts, seconds(until), d.Reason, number(uncounted))
	return err
}

// DeadDeliveries returns up to limit deliveries of a webhook whose last attempt has failed, newest first. It returns
// record.ErrNotFound for an unknown webhook.
func (s *Store) DeadDeliveries(ctx context.Context, id string, limit int) ([]webhook.Delivery, error) {
	dead, err := list(ctx, s.read, "list dead deliveries", scanDelivery,
		"SELECT webhook, record, created_at, attempts, reason FROM webhook_deliveries "+
			"WHERE webhook = $1 AND due_at IS NULL ORDER BY record DESC LIMIT $2", id, limit)
	if err != nil || len(dead) > 0 {
		return dead, err
	}
	return nil, s.findWebhook(ctx, id)
}

// findWebhook returns record.ErrNotFound if there is no webhook with an id.
func (s *Store) findWebhook(ctx context.Context, id string) error {
	var found bool
	err := s.read.scanRow(ctx, "SELECT EXISTS (SELECT 1 FROM webhooks WHERE id = $1)", []any{id}, &found)
	if err == nil && !found {
		return errNoWebhook
	}
	return unavailable("find webhook", err)
}

// RetryDeliveries makes dead deliveries of a webhook due again: that of a record, or all if recordID is empty. It
// returns how many. It returns record.ErrNotFound for an unknown webhook.
func (s *Store) RetryDeliveries(ctx context.Context, id, recordID string, now time.Time) (n int64, err error) {
	err = s.inTx(ctx, "retry deliveries", func(ctx context.Context, tx transaction) (err error) {
		n, err = changed(ctx, tx, "retry deliveries", "UPDATE webhook_deliveries SET due_at = $3, attempts = 0 "+
			"WHERE webhook = $1 AND due_at IS NULL AND (record = $2 OR $2 = '')", id, recordID, seconds(now))
		if err != nil || n == 0 {
			return err
		}
		return auditThing(ctx, tx, "webhook_retried", id, now,
			"deliveries", strconv.FormatInt(n, 10), "record", recordID)
	})
	if err == nil && n == 0 {
		err = s.findWebhook(ctx, id)
	}
	return n, err
}

// ForgetDeliveries deletes dead deliveries that are older than a time, and all but the newest most of each webhook.
func (s *Store) ForgetDeliveries(ctx context.Context, before time.Time, most int) error {
	_, err := s.sweep(ctx, "webhook_deliveries", "DELETE FROM webhook_deliveries WHERE due_at IS NULL "+
		"AND (created_at < $1 OR (webhook, record) IN (SELECT webhook, record FROM (SELECT webhook, record, "+
		"ROW_NUMBER() OVER (PARTITION BY webhook ORDER BY record DESC) AS place FROM webhook_deliveries "+
		"WHERE due_at IS NULL) AS dead WHERE place > $2))", seconds(before), most)
	return err
}
