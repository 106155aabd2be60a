package console

import (
	"bytes"
	"cmp"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/hallpass-auth/hallpass/authserver/internal/adminapi"
	"github.com/hallpass-auth/hallpass/authserver/internal/audit"
)

// auditFilters are the parameters of the audit log, besides those of paging.
var auditFilters = []string{"event", "outcome", "actor", "subject", "about", "client", "address", "since", "until"}

// auditFilter returns the filter that the address of a page has. Days are whole days in UTC.
func auditFilter(v *visit) (f adminapi.AuditFilterIn, err error) {
	f = adminapi.AuditFilterIn{
		Event: v.query("event"), Outcome: v.query("outcome"), Actor: v.query("actor"), Subject: v.query("subject"),
		About: v.query("about"), Client: v.query("client"), Address: v.query("address"),
	}
	if f.Since, err = dayOf(v.query("since"), 0); err == nil {
		f.Until, err = dayOf(v.query("until"), 1)
	}
	return f, err
}

// dayOf returns the begin of a day, or of one some days later; the zero time for no day.
func dayOf(text string, later int) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.DateOnly, text)
	if err != nil {
		return time.Time{}, &refusal{http.StatusBadRequest, "This is not a date", "Write a date like 2026-03-01."}
	}
	return t.AddDate(0, 0, later), nil
}

// listAudit serves GET /admin/audit.
func (c *Console) listAudit(v *visit) (page, error) {
	filter, err := auditFilter(v)
	if err != nil {
		return page{}, err
	}
	out, err := c.api.ListAudit(v.ctx(), &adminapi.ListAuditIn{AuditFilterIn: filter, After: v.query("after"), Limit: 50})
	if err != nil {
		return page{}, err
	}
	s := section{
		Search: &search{auditPath, auditFields(v)},
		Links: []link{
			to(auditAddress(v, "format", string(audit.JSONLines)), "Export as JSON lines"),
			to(auditAddress(v, "format", string(audit.CSV)), "Export as CSV"),
		},
		Table: auditTable("Events, newest first", out.Body.Items),
	}
	s.Next, s.First = paging(v, auditPath, out.Body.Next)
	return page{Title: "Audit log", Sections: []section{s}}, nil
}

// exportAudit serves GET /admin/audit/export. It reads a part at a time. If reading fails, the connection breaks, so
// that nobody takes the file for whole.
func (c *Console) exportAudit(v *visit) (page, error) {
	filter, err := auditFilter(v)
	if err != nil {
		return page{}, err
	}
	in := &adminapi.ExportAuditIn{AuditFilterIn: filter, Format: v.query("format")}
	if f := audit.Format(in.Format); f != audit.JSONLines && f != audit.CSV {
		return page{}, &refusal{http.StatusBadRequest, "There is no such format", "The formats are jsonl and csv."}
	}
	for first := true; first || in.After != ""; first = false {
		out, err := c.api.ExportAudit(v.ctx(), in)
		switch {
		case err != nil && first:
			return page{}, err
		case err != nil:
			c.cfg.Log.ErrorContext(v.ctx(), "cannot export the audit log", "error", err)
			panic(http.ErrAbortHandler)
		case first:
			h := v.w.Header()
			h.Set("Cache-Control", "no-store")
			h.Set("Content-Type", out.ContentType)
			h.Set("Content-Disposition", out.ContentDisposition)
			h.Set("X-Content-Type-Options", "nosniff")
		case in.Format == string(audit.CSV):
			_, out.Body, _ = bytes.Cut(out.Body, []byte("\n")) // each part has the names of the columns
		}
		if _, err := v.w.Write(out.Body); err != nil {
			break // the browser has disconnected
		}
		in.After = out.Next
	}
	return page{}, errWritten
}

// auditAddress returns the address of the export with the filters of the page.
func auditAddress(v *visit, pairs ...string) string {
	for _, name := range auditFilters {
		pairs = append(pairs, name, v.query(name))
	}
	return address(auditPath+"/export", pairs...)
}

// auditFields returns the fields of the filters.
func auditFields(v *visit) []*field {
	text := func(name, label, hint string) *field {
		return &field{Kind: kindText, Name: name, Label: label, Hint: hint, Value: v.query(name), Max: 256,
			Complete: "search"}
	}
	return []*field{
		text("event", "Event", "Such as login, or user_* for all that begin with user_"),
		{Kind: kindChoice, Name: "outcome", Label: "Outcome", Value: v.query("outcome"), Options: []option{
			{"", "all"}, {string(audit.Success), "success"}, {string(audit.Failure), "failure"},
		}},
		text("about", "Actor or subject", "A username, or the id of a client or an API"),
		text("client", "Client", ""), text("address", "IP address", ""),
		{Kind: kindDate, Name: "since", Label: "From this day", Value: v.query("since"), Complete: "search"},
		{Kind: kindDate, Name: "until", Label: "To this day", Value: v.query("until"), Complete: "search"},
	}
}

// auditTable returns a table of events.
func auditTable(caption string, records []audit.Shown) *table {
	t := &table{
		Caption: caption, Columns: []string{"Time", "Event", "Who", "About", "From", "Details"},
		Empty: "No event matches.",
	}
	for _, r := range records {
		event := cell{Text: r.Event, Whole: true}
		if r.Outcome == audit.Failure {
			event.Badge, event.Bad = "failure", true
		}
		if r.Count > 1 {
			event.Badge = count(r.Count, "time")
		}
		t.Rows = append(t.Rows, []cell{
			{At: r.At, Href: address(auditPath+"/record", "id", r.ID)}, event, partyCell(r.Actor), aboutCell(r),
			{Text: r.Address, Whole: true}, detailsCell(r.Details),
		})
	}
	return t
}

// importedUsers is the kind of the subject of users_imported, whose id says how many.
const importedUsers = "users"

// maxWhole is the length of a name that stays on one line, in bytes.
const maxWhole = 20

// partyCell returns a link to who or what took part.
func partyCell(p audit.Party) cell {
	name := cmp.Or(p.Name, p.ID)
	c := cell{Text: p.Kind + " " + name}
	switch {
	case name == "" && p.Kind == audit.SubjectUser:
		c = cell{Text: "somebody", Soft: true}
	case name == "":
		c = cell{Text: p.Kind, Soft: true}
	case p.Kind == audit.SubjectUser && p.Name != "":
		c = cell{Text: name, Href: address(userPath, "name", p.Name)}
	case p.Kind == audit.SubjectClient:
		c = clientCell(p.ID, "")
	case p.Kind == importedUsers:
		c = cell{Text: name}
	}
	c.Whole = len(c.Text) <= maxWhole
	return c
}

// aboutCell returns a link to whom or what an event is about.
func aboutCell(r audit.Shown) cell {
	if r.Subject.Kind == audit.SubjectUser && r.Subject.ID == "" {
		return cell{Text: "unknown", Soft: true, Whole: true}
	}
	if r.Subject.Kind == r.Actor.Kind && r.Subject.ID == r.Actor.ID {
		return cell{Text: "the same", Soft: true, Whole: true}
	}
	return partyCell(r.Subject)
}

func detailsCell(details map[string]string) cell {
	var texts []string // of one cell
	for _, name := range slices.Sorted(maps.Keys(details)) {
		texts = append(texts, name+": "+details[name])
	}
	return cell{Text: strings.Join(texts, "; "), Soft: true}
}

// showRecord serves GET /admin/audit/record.
func (c *Console) showRecord(v *visit) (page, error) {
	out, err := c.api.GetAudit(v.ctx(), &adminapi.AuditRecordIn{ID: v.query("id")})
	if err != nil {
		return page{}, err
	}
	r := out.Body
	facts := []fact{
		{"Time", at(r.At)}, {"Outcome", text(string(r.Outcome))},
		{"Who", partyCell(r.Actor)}, {"About", partyCell(r.Subject)},
		{"IP address", orNone(r.Address)}, {"Client", orNone(r.ClientID)}, {"Request", orNone(r.RequestID)},
		{"Times", number(r.Count)},
	}
	for _, name := range slices.Sorted(maps.Keys(r.Details)) {
		facts = append(facts, fact{name, text(r.Details[name])})
	}
	if r.Hash == "" {
		facts = append(facts, fact{"Place in the chain", cell{Text: "not sealed yet", Soft: true}})
	} else {
		facts = append(facts, fact{"Place in the chain", number(r.Number)}, fact{"Hash", code(r.Hash)})
	}
	facts = append(facts, fact{"ID", code(r.ID)})
	return page{Title: r.Event, Trail: []link{to(auditPath, "Audit log")}, Sections: []section{{Facts: facts}}}, nil
}
