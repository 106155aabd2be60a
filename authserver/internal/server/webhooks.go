package server

import (
	"context"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/hallpass-auth/hallpass/authserver/internal/backchannel"
	"github.com/hallpass-auth/hallpass/authserver/internal/outbound"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
	"github.com/hallpass-auth/hallpass/authserver/internal/web"
	"github.com/hallpass-auth/hallpass/authserver/internal/webhook"
)

// startWebhooks starts what tells clients of logouts and calls webhooks, until ctx ends.
func (s *Settings) startWebhooks(
	ctx context.Context,
	data *store.Store,
	cfg *web.Config,
	guard *outbound.Guard,
	registry prometheus.Registerer,
) {
	go backchannel.New(backchannel.Config{
		Store: data, Tokens: cfg.Tokens, Guard: guard, Now: s.Now, Log: cfg.Log,
	}).Run(ctx)
	attempts := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "hallpass_webhook_attempts_total",
		Help: "Requests to webhooks by result: sent, failed with another attempt to follow, or dead after the last one.",
	}, []string{"result"})
	for _, result := range webhook.Results {
		attempts.WithLabelValues(result)
	}
	registry.MustRegister(attempts)
	sender := &webhook.Sender{
		Queue: data, Sealer: cfg.SecondFactors.Vault, Guard: guard, Now: s.Now, Log: cfg.Log,
		Observe: func(result string) { attempts.WithLabelValues(result).Inc() },
	}
	go sender.Run(ctx)
	registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
		Name: "hallpass_webhook_dropped_total",
		Help: "Deliveries to webhooks that this server has dropped because too many of the webhook waited.",
	}, func() float64 { return float64(data.DroppedDeliveries()) }))
	go logDropped(ctx, data.DroppedDeliveries, time.NewTicker(logDroppedEvery).C, cfg.Log)
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

// newWebhooks returns what adds webhooks.
func (s *Settings) newWebhooks(cfg *web.Config, data *store.Store, guard *outbound.Guard) *webhook.Service {
	return &webhook.Service{Store: data, Sealer: cfg.SecondFactors.Vault, URLs: guard, Now: s.Now}
}
