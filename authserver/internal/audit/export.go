package audit

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// Party is an actor or a subject as it is shown.
type Party struct {
	Kind string `json:"kind" doc:"What it is: user, client, command or server for actors; also api, scope, invitation and more for subjects."`
	ID   string `json:"id,omitempty" doc:"Its id. It stays when a user is deleted."`
	Name string `json:"name,omitempty" doc:"The username, or the email address of an invitation, while it exists."`
}

// Shown is a record as programs read it, in JSON. The names are looked up and not part of what is sealed.
type Shown struct {
	ID        string            `json:"id" doc:"Its id, a UUIDv7. Ids sort by time."`
	At        time.Time         `json:"at" doc:"When it was done."`
	Event     string            `json:"event" doc:"What was done."`
	Outcome   Outcome           `json:"outcome" enum:"success,failure" doc:"How it ended."`
	Count     int64             `json:"count" doc:"How often it was done; more than 1 for failed logins that were counted."`
	Actor     Party             `json:"actor" doc:"Who did it."`
	Subject   Party             `json:"subject" doc:"Whom or what it was done to."`
	Address   string            `json:"address,omitempty" doc:"The IP address that it was done from."`
	ClientID  string            `json:"client_id,omitempty" doc:"The client that it was done with."`
	RequestID string            `json:"request_id,omitempty" doc:"The id of the request in the log of the server."`
	Details   map[string]string `json:"details" doc:"More about it."`
	Number    int64             `json:"number,omitempty" doc:"Its place in the chain; 0 until it is sealed."`
	Hash      string            `json:"hash,omitempty" doc:"The hash of the chain up to there."`
}

// Show returns a record as programs read it.
func Show(r Record) Shown {
	return Shown{
		ID: r.ID, At: r.At, Event: r.Event, Outcome: r.Outcome, Count: r.Count,
		Actor:   Party{string(r.Actor.Kind), r.Actor.ID, r.Actor.Name},
		Subject: Party{r.Subject.Kind, r.Subject.ID, r.Subject.Name},
		Address: r.Actor.Address, ClientID: r.Actor.ClientID, RequestID: r.Actor.RequestID,
		Details: r.Details, Number: r.Number, Hash: r.Hash,
	}
}

// Format is the format of an export.
type Format string

// The formats of exports.
const (
	// JSONLines is one JSON object a line.
	JSONLines Format = "jsonl"
	// CSV is a table for spreadsheets (RFC 4180). Texts that a spreadsheet would take for formulas begin with a quote.
	CSV Format = "csv"
)

// exporter writes records in a format. It buffers: call Flush at the end.
type exporter struct {
	json *json.Encoder
	csv  *csv.Writer
}

// csvHeader names the columns of a CSV export.
var csvHeader = []string{
	"id", "at", "event", "outcome", "count", "actor_kind", "actor_id", "actor_name", "subject_kind", "subject_id",
	"subject_name", "address", "client_id", "request_id", "details", "number", "hash",
}

// newExporter returns an exporter that writes to w. It returns an error for an unknown format, or that of w.
func newExporter(w io.Writer, format Format) (*exporter, error) {
	switch format {
	case JSONLines:
		return &exporter{json: json.NewEncoder(w)}, nil
	case CSV:
		e := &exporter{csv: csv.NewWriter(w)}
		return e, e.csv.Write(csvHeader)
	}
	return nil, fmt.Errorf("unknown format %q: it must be %s or %s", format, JSONLines, CSV)
}

// Write writes a record.
func (e *exporter) Write(r Record) error {
	if e.json != nil {
		return e.json.Encode(Show(r))
	}
	details, err := r.DetailsText()
	if err != nil {
		return err
	}
	row := []string{
		r.ID, r.At.Format(time.RFC3339), r.Event, string(r.Outcome), strconv.FormatInt(r.Count, 10),
		string(r.Actor.Kind), r.Actor.ID, r.Actor.Name, r.Subject.Kind, r.Subject.ID, r.Subject.Name,
		r.Actor.Address, r.Actor.ClientID, r.Actor.RequestID, details, strconv.FormatInt(r.Number, 10), r.Hash,
	}
	for i, cell := range row {
		row[i] = neutral(cell)
	}
	return e.csv.Write(row)
}

// Flush writes what is buffered.
func (e *exporter) Flush() error {
	if e.csv == nil {
		return nil
	}
	e.csv.Flush()
	return e.csv.Error()
}

// neutral returns a cell of a table that no spreadsheet takes for a formula: one that begins with =, +, -, @, a tab or
// a line break gets a quote before it.
func neutral(cell string) string {
	if cell != "" && strings.ContainsRune("=+-@\t\r\n", rune(cell[0])) {
		return "'" + cell
	}
	return cell
}
