package console

import (
	"cmp"
	"context"
	"net/http"
	"strings"

	"github.com/hallpass-auth/hallpass/authserver/internal/adminapi"
	"github.com/hallpass-auth/hallpass/authserver/internal/outbound"
)

// webhooksTrail leads to the list of webhooks.
var webhooksTrail = []link{to(webhooksPath, "Webhooks")}

// listWebhooks serves GET /admin/webhooks.
func (c *Console) listWebhooks(v *visit) (page, error) {
	out, err := c.api.ListWebhooks(v.ctx(), &struct{}{})
	if err != nil {
		return page{}, err
	}
	t := &table{
		Caption: "Webhooks, oldest first", Columns: []string{"URL", "Events", "Waiting", "Dead", "Added"},
		Empty: "There is no webhook.",
	}
	for _, w := range out.Body.Items {
		url := cell{Text: w.URL, Href: address(webhookPath, "id", w.ID)}
		if w.Dead > 0 {
			url.Badge, url.Bad = "not delivered", true
		}
		events := list(w.Events)
		if len(w.Events) == 0 {
			events = cell{Text: "all", Soft: true}
		}
		t.Rows = append(t.Rows, []cell{url, events, number(w.Waiting), number(w.Dead), at(w.CreatedAt)})
	}
	return page{Title: "Webhooks", Done: done(v), Sections: []section{{
		Text: []string{"A webhook gets new records of the audit log in signed requests (Standard Webhooks), each " +
			"at least once. " +
			"A delivery whose last attempt has failed is dead, until somebody tries it again."},
		Table: t,
	}, {
		Title: "Add a webhook",
		Form: &form{
			Fields: []*field{
				hidden("seen", webhooksTag(out.Body.Items)),
				{Kind: kindText, Name: "url", Label: "URL", Required: true, Max: 2048,
					Hint:   "Where the requests go: an https URL outside your own network.",
					Faults: []error{outbound.ErrRefused}},
				{Kind: kindLines, Name: "events", Label: "Events", Hint: "One per line, such as user_* or login_failed. Empty " +
					"for all."},
			},
			Button: "Add the webhook",
		},
	}}}, nil
}

// webhooksTag changes with the list of webhooks. With it, a form that is sent twice adds one.
func webhooksTag(hooks []adminapi.Webhook) string {
	var ids []string
	for _, w := range hooks {
		ids = append(ids, w.ID)
	}
	return adminapi.ETag(ids)
}

// addWebhook serves POST /admin/webhooks. The page that follows has the secret, which cannot be shown again.
func (c *Console) addWebhook(v *visit) (page, error) {
	list, err := c.api.ListWebhooks(v.ctx(), &struct{}{})
	if err != nil {
		return page{}, err
	}
	if webhooksTag(list.Body.Items) != v.form.Get("seen") {
		return page{}, errListChanged
	}
	in := adminapi.AddWebhookIn{}
	in.Body.URL, in.Body.Events = v.typed("url"), v.words("events")
	out, err := c.api.AddWebhook(v.ctx(), &in)
	if err != nil {
		return page{}, err
	}
	return page{Title: "New webhook", Trail: webhooksTrail, Done: "The webhook was added.", Sections: []section{{
		Warning: "The secret is shown only once. Copy it now: the program at the URL verifies the signatures with it.",
		Facts:   []fact{{"URL", code(out.Body.URL)}, {"ID", code(out.Body.ID)}},
	}, {
		Copies: []copyText{{"Secret", out.Body.Secret}},
	}}}, nil
}

// errListChanged is the response to a form that was sent twice, or after somebody else has changed the list.
var errListChanged = &refusal{
	http.StatusPreconditionFailed, "The list has changed",
	"The list of webhooks was changed after you opened this page. Look at it, and send the form again if you still " +
		"want to.",
}

// webhook returns the webhook of the page.
func (c *Console) webhook(v *visit) (adminapi.Webhook, error) {
	out, err := c.api.ListWebhooks(v.ctx(), &struct{}{})
	if err != nil {
		return adminapi.Webhook{}, err
	}
	for _, w := range out.Body.Items {
		if w.ID == v.query("id") {
			return w, nil
		}
	}
	return adminapi.Webhook{}, &refusal{http.StatusNotFound, "Not found", "There is no such webhook, or it was deleted."}
}

// showWebhook serves GET /admin/webhook: a webhook and its dead deliveries.
func (c *Console) showWebhook(v *visit) (page, error) {
	w, err := c.webhook(v)
	if err != nil {
		return page{}, err
	}
	dead, err := c.api.ListDead(v.ctx(), &adminapi.WebhookIn{ID: w.ID})
	if err != nil {
		return page{}, err
	}
	about := section{
		Facts: []fact{
			{"URL", code(w.URL)}, {"Events", text(cmp.Or(strings.Join(w.Events, ", "), "all"))},
			{"Waiting", number(w.Waiting)}, {"Added", at(w.CreatedAt)}, {"ID", code(w.ID)},
		},
		Links: []link{{Path: address(webhookPath+"/delete", "id", w.ID), Text: "Delete", Bad: true}},
	}
	deliveries := section{Title: "Dead deliveries", Table: &table{
		Caption: "Deliveries whose last attempt has failed, newest first",
		Columns: []string{"Time", "Record", "Why", "Try again"}, Empty: "There are no dead deliveries.",
	}}
	for _, d := range dead.Body.Items {
		deliveries.Table.Rows = append(deliveries.Table.Rows, []cell{
			at(d.CreatedAt), {Text: d.Record, Href: address(auditPath+"/record", "id", d.Record)}, text(d.Reason),
			{Act: &act{
				address(webhookPath+"/retry", "id", w.ID, "record", d.Record), "Try again", "the delivery of " + day(d.CreatedAt),
			}},
		})
	}
	if len(dead.Body.Items) > 0 {
		deliveries.Links = []link{to(address(webhookPath+"/retry", "id", w.ID), "Try all again")}
	}
	return page{Title: "Webhook", Trail: webhooksTrail, Done: done(v), Sections: []section{about, deliveries}}, nil
}

// retrying serves /admin/webhook/retry.
func (c *Console) retrying(v *visit) (confirmation, error) {
	w, err := c.webhook(v)
	back := address(webhookPath, "id", w.ID)
	what := "all its dead deliveries, " + decimal(w.Dead) + " of them,"
	if v.query("record") != "" {
		what = "this dead delivery"
	}
	return confirmation{
		title: "Try again?", trail: append(webhooksTrail[:1:1], to(back, "Webhook")),
		says: []string{"The server sends " + what + " to " + w.URL + " again."}, button: "Try again",
		back: back, next: address(webhookPath, "id", w.ID, "done", "retried"),
		do: func(ctx context.Context, v *visit) error {
			_, err := c.api.Retry(ctx, &adminapi.RetryIn{WebhookIn: adminapi.WebhookIn{ID: w.ID}, Record: v.query("record")})
			return err
		},
	}, err
}

// deletingWebhook serves /admin/webhook/delete.
func (c *Console) deletingWebhook(v *visit) (confirmation, error) {
	w, err := c.webhook(v)
	back := address(webhookPath, "id", w.ID)
	return confirmation{
		title: "Delete this webhook?", trail: append(webhooksTrail[:1:1], to(back, "Webhook")),
		says: []string{w.URL + " gets no more requests. This deletes its deliveries: " +
			decimal(w.Waiting) + " waiting, " + decimal(w.Dead) + " dead."},
		button: "Delete the webhook", bad: true, back: back, next: address(webhooksPath, "done", "deleted"),
		do: func(ctx context.Context, _ *visit) error {
			_, err := c.api.DeleteWebhook(ctx, &adminapi.WebhookIn{ID: w.ID})
			return err
		},
	}, err
}
