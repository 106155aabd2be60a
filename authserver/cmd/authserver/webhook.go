package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/hallpass-auth/hallpass/shared/keyring"
	"github.com/hallpass-auth/hallpass/shared/program"

	"github.com/hallpass-auth/hallpass/authserver/internal/outbound"
	"github.com/hallpass-auth/hallpass/authserver/internal/secondfactor"
	"github.com/hallpass-auth/hallpass/authserver/internal/server"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
	"github.com/hallpass-auth/hallpass/authserver/internal/webhook"
)

// webhookCommands are the commands that manage webhooks.
type webhookCommands struct {
	Add    webhookAddCommand    `cmd:"" help:"Add a webhook, and print the secret of its signatures. Nobody can read it later."`
	List   webhookListCommand   `cmd:"" help:"List the webhooks, and how many deliveries wait or are dead."`
	Delete webhookDeleteCommand `cmd:"" help:"Delete a webhook and its deliveries."`
	Dead   webhookDeadCommand   `cmd:"" help:"List the deliveries of a webhook whose last attempt has failed."`
	Retry  webhookRetryCommand  `cmd:"" help:"Retry dead deliveries of a webhook."`
}

type webhookAddCommand struct {
	server.Database   `embed:""`
	Keys              keyring.Settings `embed:""`
	URL               string           `arg:"" help:"https URL of a public address."`
	Event             []string         `placeholder:"EVENT" sep:"none" help:"Only this event; * stands for any text, as in login*. Repeat for more. By default all events."`
	InsecureFetchFrom string           `env:"HALLPASS_INSECURE_FETCH_FROM" placeholder:"HOST:PORT" help:"Loopback address that is accepted, also without TLS, as set for serve: for tests and examples on this machine only."`
}

// Run adds the webhook.
func (c *webhookAddCommand) Run(ctx context.Context, streams program.Streams) error {
	exception, err := outbound.ParseException(c.InsecureFetchFrom)
	if err != nil {
		return program.WithCode(program.ExitUsage, err)
	}
	log := slog.New(slog.DiscardHandler)
	keys, err := c.Keys.Open(ctx, log)
	if err != nil {
		return program.WithCode(program.ExitUsage, err)
	}
	return withStore(ctx, c.Database, func(s *store.Store) error {
		hooks := &webhook.Service{
			Store:  s,
			Sealer: secondfactor.NewVault(s, keys, time.Now, log),
			URLs:   outbound.New(outbound.Config{Exception: exception}),
			Now:    time.Now,
		}
		w, secret, err := hooks.Add(ctx, c.URL, c.Event)
		if err != nil {
			return exitError("", err)
		}
		return printTable(streams.Out, []any{"webhook", w.ID}, [][]any{{"secret", secret}})
	})
}

// shownWebhook is a webhook as the commands print it, without its secret.
type shownWebhook struct {
	ID        string    `json:"id"`
	URL       string    `json:"url"`
	Events    []string  `json:"events"`
	CreatedAt time.Time `json:"created_at"`
	Waiting   int64     `json:"waiting"`
	Dead      int64     `json:"dead"`
}

type webhookListCommand struct {
	server.Database `embed:""`
	JSON            bool `help:"Print JSON."`
}

// Run lists the webhooks.
func (c *webhookListCommand) Run(ctx context.Context, streams program.Streams) error {
	return withWebhooks(ctx, c.Database, func(s *webhook.Service) error {
		hooks, err := s.List(ctx)
		if err != nil {
			return err
		}
		shown := each(hooks, func(w webhook.Webhook) shownWebhook {
			return shownWebhook{w.ID, w.URL, append([]string{}, w.Events...), w.CreatedAt, w.Waiting, w.Dead}
		})
		return printList(streams.Out, c.JSON, shown, []any{"ID", "URL", "EVENTS", "WAITING", "DEAD"},
			func(w shownWebhook) []any {
				return []any{w.ID, w.URL, cmp.Or(strings.Join(w.Events, " "), "*"), w.Waiting, w.Dead}
			})
	})
}

// withWebhooks calls work with a Service for the webhooks of a database. It has no Sealer, so it cannot add any.
func withWebhooks(ctx context.Context, database server.Database, work func(*webhook.Service) error) error {
	return withStore(ctx, database, func(s *store.Store) error {
		return work(&webhook.Service{Store: s, Now: time.Now})
	})
}

// webhookTarget is the webhook that a command works on.
type webhookTarget struct {
	server.Database `embed:""`
	ID              string `arg:"" help:"The webhook's id."`
}

// do runs work on the webhooks of the database.
func (t *webhookTarget) do(ctx context.Context, work func(*webhook.Service) error) error {
	return exitError(t.ID, withWebhooks(ctx, t.Database, work))
}

type webhookDeleteCommand struct{ webhookTarget }

// Run deletes the webhook.
func (c *webhookDeleteCommand) Run(ctx context.Context, streams program.Streams) error {
	return c.do(ctx, func(s *webhook.Service) error {
		if err := s.Delete(ctx, c.ID); err != nil {
			return err
		}
		fmt.Fprintf(streams.Out, "webhook %s: deleted\n", c.ID)
		return nil
	})
}

type webhookDeadCommand struct {
	webhookTarget
	JSON bool `help:"Print JSON."`
}

// shownDelivery is a dead delivery as the commands print it.
type shownDelivery struct {
	Record    string    `json:"record"`
	CreatedAt time.Time `json:"created_at"`
	Reason    string    `json:"reason"`
}

// Run lists the dead deliveries.
func (c *webhookDeadCommand) Run(ctx context.Context, streams program.Streams) error {
	return c.do(ctx, func(s *webhook.Service) error {
		dead, err := s.Dead(ctx, c.ID)
		if err != nil {
			return err
		}
		shown := each(dead, func(d webhook.Delivery) shownDelivery {
			return shownDelivery{d.RecordID, d.CreatedAt, d.Reason}
		})
		return printList(streams.Out, c.JSON, shown, []any{"RECORD", "TIME", "REASON"}, func(d shownDelivery) []any {
			return []any{d.Record, d.CreatedAt.Format(time.RFC3339), d.Reason}
		})
	})
}

type webhookRetryCommand struct {
	webhookTarget
	Record string `arg:"" optional:"" help:"Record of the delivery. By default all dead deliveries of the webhook."`
}

// Run makes deliveries due again. Without a record, it also succeeds if none is dead.
func (c *webhookRetryCommand) Run(ctx context.Context, streams program.Streams) error {
	return c.do(ctx, func(s *webhook.Service) error {
		n, err := s.Retry(ctx, c.ID, c.Record)
		if err != nil && !errors.Is(err, webhook.ErrNoneDead) {
			return err
		}
		fmt.Fprintf(streams.Out, "webhook %s: %s will be made again\n", c.ID, deliveries(n))
		return nil
	})
}

// deliveries returns a number of deliveries with its noun.
func deliveries(n int64) string {
	if n == 1 {
		return "1 delivery"
	}
	return fmt.Sprintf("%d deliveries", n)
}
