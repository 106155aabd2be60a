package webhook

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/hallpass-auth/hallpass/authserver/internal/audit"
	"github.com/hallpass-auth/hallpass/authserver/internal/outbound"
	"github.com/hallpass-auth/hallpass/authserver/internal/record"
)

// notification is the kind of the requests.
var notification = &outbound.Kind{Name: "webhook", SecretURLs: true}

const (
	// every is how often a server looks for deliveries.
	every = time.Second
	// perRound is how many deliveries of a webhook a server makes, one after the other, before it looks for more.
	perRound = 10
	// lease is how long one may take. The guard gives each request three seconds.
	lease = time.Minute
	// sweepEvery is how often dead deliveries are deleted that are too old or too many.
	sweepEvery = time.Hour
	// maxReason is how many bytes of the reason of a failure are kept.
	maxReason = 300
)

// pauses are the times from each failed attempt to the next one. A delivery is dead when the attempt after the last
// pause has failed.
var pauses = []time.Duration{
	10 * time.Second, time.Minute, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 6 * time.Hour, 12 * time.Hour,
}

// Queue stores the deliveries. It is safe for concurrent use.
type Queue interface {
	// DueWebhooks returns the webhooks that have a delivery that is due.
	DueWebhooks(ctx context.Context, now time.Time) ([]Webhook, error)
	// TakeDeliveries leases deliveries of a webhook that are due, until a time. It counts an attempt of each.
	TakeDeliveries(ctx context.Context, webhook string, now, until time.Time, limit int) ([]Delivery, error)
	// FinishDelivery deletes a delivery that was made.
	FinishDelivery(ctx context.Context, d Delivery) error
	// PostponeDelivery makes a delivery due again at a time, or dead if that is zero, and records the reason. uncounted
	// says that the attempt does not count.
	PostponeDelivery(ctx context.Context, d Delivery, until time.Time, uncounted bool) error
	// ForgetDeliveries deletes dead deliveries that are older than a time, or more than most of a webhook.
	ForgetDeliveries(ctx context.Context, before time.Time, most int) error
	// AuditRecord returns a record, or record.ErrNotFound.
	AuditRecord(ctx context.Context, id string) (audit.Record, error)
}

// Sender makes deliveries. All fields but Observe are required. It is safe for concurrent use.
type Sender struct {
	Queue  Queue
	Sealer Sealer
	// Guard sends the requests.
	Guard *outbound.Guard
	Now   func() time.Time
	Log   *slog.Logger
	// Observe, unless nil, is called with the result of each attempt: one of Results.
	Observe func(result string)

	busy  sync.Map // ids of webhooks that this server is sending to
	sends sync.WaitGroup
}

// Results are the results of attempts: sent, failed with another attempt to follow, or dead after the last one.
var Results = []string{"sent", "failed", "dead"}

// Run makes deliveries as they become due, until ctx ends.
func (s *Sender) Run(ctx context.Context) {
	ticker, sweep := time.NewTicker(every), time.NewTicker(sweepEvery)
	defer ticker.Stop()
	defer sweep.Stop()
	for {
		var err error
		select {
		case <-ctx.Done():
			s.sends.Wait()
			return
		case <-ticker.C:
			err = s.Start(ctx)
		case <-sweep.C:
			err = s.Queue.ForgetDeliveries(ctx, s.Now().Add(-deadMemory), MaxDead)
		}
		if err != nil && ctx.Err() == nil {
			s.Log.DebugContext(ctx, "cannot read which webhooks to call", "error", err)
		}
	}
}

// Start begins the deliveries that are due. Each webhook has a goroutine of its own, so that a slow one delays no
// other. Start skips webhooks that this server is still sending to.
func (s *Sender) Start(ctx context.Context) error {
	due, err := s.Queue.DueWebhooks(ctx, s.Now())
	if err != nil {
		return err
	}
	for _, w := range due {
		if _, sending := s.busy.LoadOrStore(w.ID, true); sending {
			continue
		}
		s.sends.Go(func() {
			defer s.busy.Delete(w.ID)
			if err := s.sendTo(ctx, w); err != nil && ctx.Err() == nil {
				s.Log.WarnContext(ctx, "cannot call a webhook", "webhook", w.ID, "error", err)
			}
		})
	}
	return nil
}

// sendTo makes the deliveries of a webhook that are due. The error is the database's or the sealer's.
func (s *Sender) sendTo(ctx context.Context, w Webhook) error {
	secret, err := s.Sealer.Open(ctx, w.Secret, purpose(w.ID))
	if err != nil {
		return err
	}
	for range min(w.Waiting, perRound) {
		now := s.Now()
		taken, err := s.Queue.TakeDeliveries(ctx, w.ID, now, now.Add(lease), 1) // counts as an attempt, even after a crash
		if err != nil || len(taken) == 0 {
			return err
		}
		if err := s.send(ctx, w, secret, taken[0]); err != nil {
			return err
		}
	}
	return nil
}

// send makes a delivery, and deletes or postpones it.
func (s *Sender) send(ctx context.Context, w Webhook, secret string, d Delivery) error {
	r, err := s.Queue.AuditRecord(ctx, d.RecordID)
	if errors.Is(err, record.ErrNotFound) { // it was dropped because it is old
		return s.Queue.FinishDelivery(ctx, d)
	}
	if err != nil {
		return errors.Join(err, s.unsent(ctx, d, lease))
	}
	switch err := s.post(ctx, w, secret, r); {
	case errors.Is(err, outbound.ErrBusy): // others share the host: this one has not failed
		return s.unsent(ctx, d, every)
	case err != nil:
		return s.failed(ctx, w, d, err)
	}
	s.observe("sent")
	return s.Queue.FinishDelivery(context.WithoutCancel(ctx), d) // it was sent, also if the server stops now
}

// unsent makes a delivery that was not sent due again after a pause, also if the server stops now. The attempt does not
// count.
func (s *Sender) unsent(ctx context.Context, d Delivery, pause time.Duration) error {
	return s.Queue.PostponeDelivery(context.WithoutCancel(ctx), d, s.Now().Add(pause), true)
}

// post sends a signed request about a record.
func (s *Sender) post(ctx context.Context, w Webhook, secret string, r audit.Record) error {
	body, err := bodyOf(r)
	if err != nil {
		return err
	}
	now := s.Now()
	signature, err := sign(secret, r.ID, now, body)
	if err != nil {
		return err
	}
	return s.Guard.PostSigned(ctx, notification, w.URL, http.Header{
		"Content-Type":      {"application/json"},
		"Webhook-Id":        {r.ID},
		"Webhook-Timestamp": {strconv.FormatInt(now.Unix(), 10)},
		"Webhook-Signature": {signature},
	}, body)
}

// failed logs a failed attempt, and makes the delivery due again or dead.
func (s *Sender) failed(ctx context.Context, w Webhook, d Delivery, reason error) error {
	if ctx.Err() != nil {
		return ctx.Err() // the server stops: another one sends it when the lease has ended
	}
	d.Reason = shorten(reason.Error())
	fields := []any{"webhook", w.ID, "record", d.RecordID, "attempt", d.Attempts, "reason", reason}
	if d.Attempts > int64(len(pauses)) {
		s.observe("dead")
		s.Log.ErrorContext(ctx, "a webhook could not be called, and no attempt follows: 'authserver webhook retry' makes one",
			append([]any{"event", "webhook_dead"}, fields...)...)
		return s.Queue.PostponeDelivery(ctx, d, time.Time{}, false)
	}
	s.observe("failed")
	pause := pauses[max(d.Attempts, 1)-1]
	s.Log.WarnContext(ctx, "a webhook could not be called: another attempt follows",
		append([]any{"event", "webhook_failed", "again_in", pause.String()}, fields...)...)
	return s.Queue.PostponeDelivery(ctx, d, s.Now().Add(pause), false)
}

// shorten returns the beginning of a reason, as every database stores it: valid UTF-8 without NUL. The receiver may
// have chosen a part of the text.
func shorten(reason string) string {
	reason = reason[:min(len(reason), maxReason)]
	return strings.ToValidUTF8(strings.ReplaceAll(reason, "\x00", ""), "")
}

func (s *Sender) observe(result string) {
	if s.Observe != nil {
		s.Observe(result)
	}
}
