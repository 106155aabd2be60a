package adminapi

import (
	"context"
	"time"

	"github.com/hallpass-auth/hallpass/authserver/internal/webhook"
)

// Webhook is a webhook without its secret.
type Webhook struct {
	ID        string    `json:"id"`
	URL       string    `json:"url"`
	Events    []string  `json:"events" nullable:"false" doc:"Names of events, in which * stands for any text; none means all events"`
	CreatedAt time.Time `json:"created_at"`
	Waiting   int64     `json:"waiting" doc:"Deliveries that are not made yet"`
	Dead      int64     `json:"dead" doc:"Deliveries whose last attempt has failed"`
}

func showWebhook(w webhook.Webhook) Webhook {
	return Webhook{w.ID, w.URL, append([]string{}, w.Events...), w.CreatedAt, w.Waiting, w.Dead}
}

// ListWebhooks lists the webhooks, oldest first.
func (a *API) ListWebhooks(ctx context.Context, _ *struct{}) (*ListOut[Webhook], error) {
	hooks, err := a.cfg.Webhooks.List(ctx)
	return listOut(hooks, err, showWebhook)
}

// AddWebhookIn is the input of AddWebhook.
type AddWebhookIn struct {
	Body struct {
		URL    string   `json:"url" maxLength:"2000" doc:"https URL of a public address"`
		Events []string `json:"events,omitempty" nullable:"false" maxItems:"50" doc:"Names of events, in which * stands for any text; none means all events"`
	}
}

// AddWebhookOut is the response with a new webhook.
type AddWebhookOut struct {
	Body struct {
		Webhook
		Secret string `json:"secret" doc:"Secret of the signatures. Nobody can read it later."`
	}
}

// AddWebhook adds a webhook. The response has its secret.
func (a *API) AddWebhook(ctx context.Context, in *AddWebhookIn) (*AddWebhookOut, error) {
	w, secret, err := a.cfg.Webhooks.Add(ctx, in.Body.URL, in.Body.Events)
	if err != nil {
		return nil, err
	}
	out := &AddWebhookOut{}
	out.Body.Webhook, out.Body.Secret = showWebhook(w), secret
	return out, nil
}

// WebhookIn names a webhook.
type WebhookIn struct {
	ID string `path:"id" maxLength:"64"`
}

// DeleteWebhook deletes a webhook with its deliveries.
func (a *API) DeleteWebhook(ctx context.Context, in *WebhookIn) (*None, error) {
	return nothing(a.cfg.Webhooks.Delete(ctx, in.ID))
}

// DeadDelivery is a delivery whose last attempt has failed.
type DeadDelivery struct {
	Record    string    `json:"record" doc:"Id of the record of the audit log"`
	CreatedAt time.Time `json:"created_at"`
	Reason    string    `json:"reason" doc:"Why the last attempt has failed"`
}

// ListDead lists the dead deliveries of a webhook, newest first.
func (a *API) ListDead(ctx context.Context, in *WebhookIn) (*ListOut[DeadDelivery], error) {
	dead, err := a.cfg.Webhooks.Dead(ctx, in.ID)
	return listOut(dead, err, func(d webhook.Delivery) DeadDelivery {
		return DeadDelivery{d.RecordID, d.CreatedAt, d.Reason}
	})
}

// RetryIn names the deliveries to retry.
type RetryIn struct {
	WebhookIn
	Record string `query:"record" maxLength:"36" doc:"Record of the delivery; by default all dead ones of the webhook"`
}

// Retry makes dead deliveries of a webhook due again.
func (a *API) Retry(ctx context.Context, in *RetryIn) (*None, error) {
	_, err := a.cfg.Webhooks.Retry(ctx, in.ID, in.Record)
	return nothing(err)
}
