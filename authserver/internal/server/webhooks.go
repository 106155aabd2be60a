package server

import (
	"context"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/hallpass-auth/hallpass/authserver/internal/backchannel"
	"github.com/hallpass-auth/hallpass/authserver/internal/issuing"
	"github.com/hallpass-auth/hallpass/authserver/internal/outbound"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
	"github.com/hallpass-auth/hallpass/authserver/internal/web"
	"github.com/hallpass-auth/hallpass/authserver/internal/webhook"
)

// startNotices starts what tells clients of logouts.
func startNotices(s Settings, p Parts, tokens *issuing.Service, guard *outbound.Guard) {
	p.Background.run(backchannel.New(backchannel.Config{
		Store: p.Data, Tokens: tokens, Guard: guard, Now: s.Now, Log: p.Log,
	}).Run)
}

// startWebhooks starts what calls webhooks.
func startWebhooks(s Settings, p Parts, sealer webhook.Sealer, guard *outbound.Guard) {
	attempts := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "hallpass_webhook_attempts_total",
		Help: "Requests to webhooks by result: sent, failed with another attempt to follow, or dead after the last one.",
	}, []string{"result"})
	for _, result := range webhook.Results {
		attempts.WithLabelValues(result)
	}
	p.Registry.MustRegister(attempts)
	sender := &webhook.Sender{
		Queue: p.Data, Sealer: sealer, Guard: guard, Now: s.Now, Log: p.Log,
		Observe: func(result string) { attempts.WithLabelValues(result).Inc() },
	}
	p.Background.run(sender.Run)
	p.Registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
		Name: "hallpass_webhook_dropped_total",
		Help: "Deliveries to webhooks that this server has dropped because too many of the webhook waited.",
	}, func() float64 { return float64(p.Data.DroppedDeliveries()) }))
	p.Background.run(func(ctx context.Context) {
		logDropped(ctx, p.Data.DroppedDeliveries, time.NewTicker(logDroppedEvery).C, p.Log)
	})
}

// logDroppedEvery is how often a server logs that it drops deliveries.
const logDroppedEvery = time.Minute

// logDropped logs at each tick how many deliveries were dropped since the one before, if there are any, until ctx ends.
func logDropped(ctx context.Context, count func() int64, ticks <-chan time.Time, log *slog.Logger) {
	for before := int64(0); ; {
		select {
		case <-ctx.Done():
			return
		case <-ticks:
			now := count()
			if now > before {
				log.WarnContext(ctx, "deliveries to a webhook are dropped: too many wait", "event", "webhook_dropped",
					"count", now-before, "waiting_at_most", webhook.MaxWaiting)
			}
			before = now
		}
	}
}

// newWebhooks returns what manages webhooks.
func (s *Settings) newWebhooks(cfg *web.Config, data *store.Store, guard *outbound.Guard) *webhook.Service {
	return &webhook.Service{Store: data, Sealer: cfg.SecondFactors.Vault, URLs: guard, Now: s.Now}
}
