package adminapi

import (
	"bytes"
	"context"
	"net/url"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/hallpass-auth/hallpass/authserver/internal/audit"
	"github.com/hallpass-auth/hallpass/authserver/internal/record"
)

// AuditFilterIn selects records of the audit log.
type AuditFilterIn struct {
	Since   time.Time `query:"since" doc:"Only records from this time on"`
	Until   time.Time `query:"until" doc:"Only records before this time"`
	Actor   string    `query:"actor" maxLength:"1000" doc:"Only what this user, client or user of an operating system has done: a username or an id"`
	Subject string    `query:"subject" maxLength:"1000" doc:"Only what was done to this user, client, API or scope: a username or an id"`
	About   string    `query:"about" maxLength:"1000" doc:"Only records whose actor or subject it is"`
	Event   string    `query:"event" maxLength:"100" doc:"Only this event, or, with * at the end, all that begin with the text before it"`
	Outcome string    `query:"outcome" enum:"success,failure" doc:"Only this outcome"`
	Client  string    `query:"client" maxLength:"1000" doc:"Only what was done with this client"`
	Address string    `query:"address" maxLength:"100" doc:"Only what was done from this IP address"`
}

// filter returns the filter, with the ids of users in place of their names.
func (a *API) filter(ctx context.Context, in AuditFilterIn) (f audit.Filter, err error) {
	f = audit.Filter{
		Since: in.Since, Until: in.Until, Event: in.Event, Outcome: audit.Outcome(in.Outcome), ClientID: in.Client,
		Address: in.Address,
	}
	for _, text := range []string{in.Actor, in.Subject, in.About, in.Event, in.Client, in.Address} {
		if !record.IsText(text) {
			return f, huma.Error400BadRequest("filters must be text in UTF-8")
		}
	}
	for into, text := range map[*[]string]string{&f.Actor: in.Actor, &f.Subject: in.Subject, &f.About: in.About} {
		if *into, err = a.cfg.Admin.IDs(ctx, text); err != nil {
			return f, err
		}
	}
	return f, nil
}

// audit returns what reads the audit log.
func (a *API) audit() *audit.Service { return &audit.Service{Store: a.cfg.Admin.Store, Now: a.cfg.Now} }

// values returns the filter as the query of a link.
func (in AuditFilterIn) values() url.Values {
	query := url.Values{}
	for name, value := range map[string]string{
		"actor": in.Actor, "subject": in.Subject, "about": in.About, "event": in.Event, "outcome": in.Outcome,
		"client": in.Client, "address": in.Address, "since": timeText(in.Since), "until": timeText(in.Until),
	} {
		if value != "" {
			query.Set(name, value)
		}
	}
	return query
}

// timeText returns a time as a parameter of a query; empty for the zero time.
func timeText(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Format(time.RFC3339Nano)
}

// ListAuditIn selects a page of the audit log.
type ListAuditIn struct {
	AuditFilterIn
	After string `query:"after" maxLength:"1024" doc:"Cursor: next of the page before"`
	Limit int    `query:"limit" minimum:"1" maximum:"200" default:"50" doc:"Maximum number of entries"`
}

// ListAudit lists records of the audit log, newest first.
func (a *API) ListAudit(ctx context.Context, in *ListAuditIn) (*PageOut[audit.Shown], error) {
	filter, err := a.filter(ctx, in.AuditFilterIn)
	if err != nil {
		return nil, err
	}
	after, err := decodeCursor(in.After)
	if err != nil {
		return nil, huma.Error400BadRequest(err.Error())
	}
	page := PageIn{Limit: in.Limit}
	read, err := a.audit().List(ctx, filter, audit.Page{After: after, Limit: page.limit() + 1})
	if err != nil {
		return nil, err
	}
	out := pageOut(a, "/audit", page, read, audit.Show, func(r audit.Record) string { return r.ID })
	if out.Body.Next != "" {
		query := in.values()
		query.Set("after", out.Body.Next)
		query.Set("limit", strconv.Itoa(page.limit()))
		out.Link = "<" + a.cfg.Issuer + Path + "/audit?" + query.Encode() + `>; rel="next"`
	}
	return out, nil
}

// AuditRecordIn names a record.
type AuditRecordIn struct {
	ID string `path:"id" maxLength:"36"`
}

// AuditRecordOut is the response with a record.
type AuditRecordOut struct{ Body audit.Shown }

// GetAudit shows a record of the audit log.
func (a *API) GetAudit(ctx context.Context, in *AuditRecordIn) (*AuditRecordOut, error) {
	r, err := a.audit().Get(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	return &AuditRecordOut{Body: audit.Show(r)}, nil
}

// ExportAuditIn selects what to export.
type ExportAuditIn struct {
	AuditFilterIn
	After  string `query:"after" maxLength:"1024" doc:"Cursor: X-Next of the part before"`
	Format string `query:"format" enum:"jsonl,csv" default:"jsonl" doc:"jsonl, one JSON object per line, or csv, a table without formulas"`
}

// ExportAuditOut is a part of an export.
type ExportAuditOut struct {
	ContentType        string `header:"Content-Type"`
	ContentDisposition string `header:"Content-Disposition"`
	Next               string `header:"X-Next" doc:"Cursor of the next part; absent on the last one"`
	Body               []byte
}

// exportPages is how many pages of audit.MaxPage records one export has at most.
const exportPages = 20

// ExportAudit exports up to 20,000 records, oldest first, as JSON lines or CSV. X-Next has the cursor of what is left.
func (a *API) ExportAudit(ctx context.Context, in *ExportAuditIn) (*ExportAuditOut, error) {
	filter, err := a.filter(ctx, in.AuditFilterIn)
	if err != nil {
		return nil, err
	}
	after, err := decodeCursor(in.After)
	if err != nil {
		return nil, huma.Error400BadRequest(err.Error())
	}
	format := audit.Format(in.Format)
	if format == "" {
		format = audit.JSONLines
	}
	var text bytes.Buffer
	next, err := a.audit().ExportPart(ctx, filter, format, after, exportPages, &text)
	if err != nil {
		return nil, err
	}
	out := &ExportAuditOut{ContentType: "application/jsonl", Next: encodeCursor(next), Body: text.Bytes()}
	if format == audit.CSV {
		out.ContentType = "text/csv; charset=utf-8; header=present"
	}
	out.ContentDisposition = `attachment; filename="audit.` + string(format) + `"`
	return out, nil
}

// AuditHead is the end of the chain.
type AuditHead struct {
	Number  int64  `json:"number" doc:"How many records were sealed"`
	Hash    string `json:"hash" doc:"The hash of all of them: write it down elsewhere, and give it to the verification later"`
	Waiting int64  `json:"waiting" doc:"Records that are not sealed yet"`
}

// AuditHeadOut is the response with the end of the chain.
type AuditHeadOut struct{ Body AuditHead }

// GetAuditHead shows the end of the chain.
func (a *API) GetAuditHead(ctx context.Context, _ *struct{}) (*AuditHeadOut, error) {
	head, err := a.audit().Head(ctx)
	if err != nil {
		return nil, err
	}
	waiting, _, err := a.cfg.Admin.Store.AuditWaiting(ctx)
	return &AuditHeadOut{AuditHead{head.Number, head.Hash, waiting}}, err
}

// AuditHour counts the logins of an hour.
type AuditHour struct {
	Begins time.Time `json:"begins" doc:"When the hour begins"`
	Logins int64     `json:"logins" doc:"Logins that succeeded"`
	Failed int64     `json:"failed" doc:"Logins that failed"`
}

// AuditDayOut is the response with the last day.
type AuditDayOut struct {
	Body struct {
		Hours []AuditHour `json:"hours" nullable:"false" doc:"The last 24 hours, oldest first; the last one is not over"`
	}
}

// GetAuditDay counts the logins of the last day by hour.
func (a *API) GetAuditDay(ctx context.Context, _ *struct{}) (*AuditDayOut, error) {
	hours, err := a.audit().LastDay(ctx)
	if err != nil {
		return nil, err
	}
	out := &AuditDayOut{}
	for _, h := range hours {
		out.Body.Hours = append(out.Body.Hours, AuditHour(h))
	}
	return out, nil
}
