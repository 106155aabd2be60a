package console

import (
	"net/http"
	"time"

	"github.com/hallpass-auth/hallpass/authserver/internal/adminapi"
	"github.com/hallpass-auth/hallpass/authserver/internal/audit"
)

// Bounds of what the overview shows.
const (
	failingSince = time.Hour
	maxFailing   = 10
	maxLatest    = 8
)

// overview serves GET /admin: the last day, what fails now, and what needs somebody's attention.
func (c *Console) overview(v *visit) (page, error) {
	p := page{Title: "Overview", Done: done(v)}
	for _, part := range []func(*visit) (section, error){c.attention, c.lastDay, c.failing, c.latest} {
		s, err := part(v)
		if err != nil {
			return page{}, err
		}
		if s.Title != "" {
			p.Sections = append(p.Sections, s)
		}
	}
	return p, nil
}

// attention returns what somebody should do; an empty section if there is nothing.
func (c *Console) attention(v *visit) (section, error) {
	t := &table{Caption: "What needs your attention", Columns: []string{"What", "Where"}}
	add := func(what, path, where string) {
		t.Rows = append(t.Rows, []cell{text(what), {Text: where, Href: path}})
	}
	if c.cfg.WithoutSecondFactor {
		add("A password alone opens this console.", auditPath, "Audit log")
	}
	keys, err := c.api.ListKeys(v.ctx(), &struct{}{})
	switch {
	case err == nil:
		if warning := keyWarning(keys.Body.Items, c.cfg.Now()); warning != "" {
			add(warning, keysPath, "Keys")
		}
	case adminapi.ProblemOf(err).Status >= http.StatusInternalServerError:
		return section{}, err
	}
	hooks, err := c.api.ListWebhooks(v.ctx(), &struct{}{})
	if err != nil {
		return section{}, err
	}
	for _, w := range hooks.Body.Items {
		if w.Dead > 0 {
			add(count(w.Dead, "request")+" to "+w.URL+" could not be delivered.", address(webhookPath, "id", w.ID), "Webhook")
		}
	}
	if len(t.Rows) == 0 {
		return section{}, nil
	}
	return section{Title: "Needs attention", Table: t}, nil
}

// lastDay returns the picture of the last day.
func (c *Console) lastDay(v *visit) (section, error) {
	out, err := c.api.GetAuditDay(v.ctx(), &struct{}{})
	if err != nil {
		return section{}, err
	}
	var hours []hour
	var logins, failed int64
	for _, h := range out.Body.Hours {
		hours = append(hours, hour{h.Begins, h.Logins, h.Failed})
		logins, failed = logins+h.Logins, failed+h.Failed
	}
	return section{
		Title: "The last 24 hours", Facts: []fact{{"Logins", number(logins)}, {"Failed logins", number(failed)}},
		Chart: newChart(hours),
	}, nil
}

// failing returns what has failed in the last hour.
func (c *Console) failing(v *visit) (section, error) {
	in := &adminapi.ListAuditIn{Limit: maxFailing}
	in.Outcome, in.Since = string(audit.Failure), c.cfg.Now().Add(-failingSince)
	out, err := c.api.ListAudit(v.ctx(), in)
	if err != nil {
		return section{}, err
	}
	t := auditTable("What has failed in the last hour, newest first", out.Body.Items)
	t.Empty = "Nothing has failed in the last hour."
	return section{
		Title: "What fails now", Table: t,
		Links: []link{to(address(auditPath, "outcome", string(audit.Failure)), "All failures")},
	}, nil
}

// latest returns what administrators and users have done lately.
func (c *Console) latest(v *visit) (section, error) {
	out, err := c.api.ListAudit(v.ctx(), &adminapi.ListAuditIn{Limit: maxLatest})
	if err != nil {
		return section{}, err
	}
	return section{
		Title: "Latest events", Table: auditTable("The latest events, newest first", out.Body.Items),
		Links: []link{to(auditPath, "Audit log")},
	}, nil
}

// loginsOf returns the last logins of the user of the page, and those that have failed.
func (c *Console) loginsOf(v *visit) (section, error) {
	return c.eventsAbout(v, section{Title: "Last logins and failures", Table: &table{
		Caption: "The last logins of the user and those that have failed, newest first", Empty: "Nobody has tried to log in.",
	}}, audit.Login+"*")
}

// eventsOf returns the latest events about the user of the page.
func (c *Console) eventsOf(v *visit) (section, error) {
	return c.eventsAbout(v, section{Title: "Events", Table: &table{
		Caption: "The latest events about the user, newest first", Empty: "There are no events about the user.",
	}}, "")
}

// eventsAbout fills the table of a section with the latest events about the user of the page.
func (c *Console) eventsAbout(v *visit, s section, event string) (section, error) {
	in := v.userIn()
	user, err := c.api.GetUser(v.ctx(), &in)
	if err != nil {
		return section{}, err
	}
	list := &adminapi.ListAuditIn{Limit: maxLatest}
	list.About, list.Event = user.Body.ID, event
	out, err := c.api.ListAudit(v.ctx(), list)
	if err != nil {
		return section{}, err
	}
	empty := s.Table.Empty
	s.Table = auditTable(s.Table.Caption, out.Body.Items)
	s.Table.Empty = empty
	if out.Body.Next != "" {
		s.Links = []link{to(address(auditPath, "about", user.Body.ID, "event", event), "All of them")}
	}
	return s, nil
}
