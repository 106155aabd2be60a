package server

import (
	"context"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/hallpass-auth/hallpass/authserver/internal/outbound"
	"github.com/hallpass-auth/hallpass/authserver/internal/secondfactor"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
	"github.com/hallpass-auth/hallpass/authserver/internal/webhook"
)

// startWebhooks starts what calls webhooks, until ctx ends.
func (s *Settings) startWebhooks(
	ctx context.Context,
	data *store.Store,
	vault *secondfactor.Vault,
	guard *outbound.Guard,
	registry prometheus.Registerer,
	log *slog.Logger,
) {
	attempts := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "hallpass_webhook_attempts_total",
		Help: "Requests to webhooks by result: sent, failed with another attempt to follow, or dead after the last one.",
	}, []string{"result"})
	for _, result := range webhook.Results {
		attempts.WithLabelValues(result)
	}
	registry.MustRegister(attempts)
	sender := &webhook.Sender{
		Queue: data, Sealer: vault, Guard: guard, Now: s.Now, Log: log,
		Observe: func(result string) { attempts.WithLabelValues(result).Inc() },
	}
	go sender.Run(ctx)
}
