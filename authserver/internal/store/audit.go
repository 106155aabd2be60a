package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/audit"
)

// Record adds an event to the audit log that comes with no change of the database.
func (s *Store) Record(ctx context.Context, e audit.Event) error {
	return s.inTx(ctx, "record event", func(ctx context.Context, tx transaction) error { return addRecord(ctx, tx, e) })
}

// addRecord adds an event to the audit log, in the transaction of the change. The actor comes with the context. It
// locks nothing.
func addRecord(ctx context.Context, tx transaction, e audit.Event) error {
	r, err := audit.NewRecord(e, audit.ActorFrom(ctx))
	if err != nil {
		return err
	}
	details, err := r.DetailsText()
	if err != nil {
		return err
	}
	_, err = changed(ctx, tx, "record event",
		"INSERT INTO audit_records (id, at, event, outcome, actor_kind, actor_id, subject_kind, subject_id, address, "+
			"client_id, request_id, count, details) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
		r.ID, seconds(r.At), r.Event, string(r.Outcome), string(r.Actor.Kind), r.Actor.ID, r.Subject.Kind, r.Subject.ID,
		r.Actor.Address, r.Actor.ClientID, r.Actor.RequestID, r.Count, details)
	if err != nil {
		return err
	}
	_, err = changed(ctx, tx, "queue record", "INSERT INTO audit_queue (id) VALUES ($1)", r.ID)
	return err
}

// auditUser adds an event about a user to the audit log, in the transaction of the change. The details are alternating
// names and values.
func auditUser(ctx context.Context, tx transaction, event, userID string, at time.Time, details ...string) error {
	return addRecord(ctx, tx, audit.Event{
		Name: event, At: at, Details: audit.Details(details...),
		Subject: audit.Subject{Kind: audit.SubjectUser, ID: userID},
	})
}

// auditUserAtClient does what auditUser does for something that a user has done with a client.
func auditUserAtClient(
	ctx context.Context,
	tx transaction,
	event, userID, clientID string,
	at time.Time,
	details ...string,
) error {
	return addRecord(ctx, tx, audit.Event{
		Name: event, At: at, ClientID: clientID, Details: audit.Details(details...),
		Subject: audit.Subject{Kind: audit.SubjectUser, ID: userID},
	})
}

// ended returns byAdministrator if somebody else acts on the user, and byUser if it is the user.
func ended(ctx context.Context, userID, byUser, byAdministrator string) string {
	if audit.ActorFrom(ctx).ActsOn(userID) {
		return byAdministrator
	}
	return byUser
}

// auditThing adds an event about something other than a user to the audit log, such as client_added. Its kind is the
// first word of the event.
func auditThing(ctx context.Context, tx transaction, event, id string, at time.Time, details ...string) error {
	return addRecord(ctx, tx, audit.Event{
		Name: event, At: at, Details: audit.Details(details...),
		Subject: audit.Subject{Kind: audit.KindOf(event), ID: id},
	})
}

// auditAdmin adds what an administrator has done to the audit log, and to the events that the servers log, in the
// transaction of the change. The subject is a username, a client id, or the email address of an invitation, as the
// first word of the event says. The details are alternating names and values, for the audit log. Call it before the
// user is deleted.
func auditAdmin(
	ctx context.Context,
	tx transaction,
	event, subject string,
	at time.Time,
	details ...string,
) error {
	_, err := changed(ctx, tx, "record event",
		"INSERT INTO admin_events (event, subject, at) VALUES ($1, $2, $3)", event, subject, seconds(at))
	if err != nil {
		return err
	}
	id := subject
	switch audit.KindOf(event) {
	case audit.SubjectUser:
		id, err = userIDOf(ctx, tx, subject)
	case audit.SubjectInvitation:
		id, err = pseudonymOf(ctx, tx, subject, at)
	}
	if err != nil {
		return err
	}
	return auditThing(ctx, tx, event, id, at, details...)
}

// rights is the detail of a record that says whether the right to administer the server was given or taken. Users have
// it from joining the group of administrators until they leave it, or are deleted.
const rights = "administrator"

// rightsChange returns the value of the detail rights for two versions of a user's groups; empty if the right stays.
func rightsChange(was, is []string) string {
	return rightsGiven(slices.Contains(was, account.AdminGroup), slices.Contains(is, account.AdminGroup))
}

// rightsGiven returns the value of the detail rights for somebody who was (was) and is (is) an administrator.
func rightsGiven(was, is bool) string {
	switch {
	case is && !was:
		return "given"
	case was && !is:
		return "taken"
	}
	return ""
}

// userIDOf returns the id of a user, or nothing if nobody has the name.
func userIDOf(ctx context.Context, tx transaction, username string) (id string, err error) {
	err = tx.QueryRowContext(ctx, "SELECT id FROM users WHERE username = $1", username).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return id, unavailable("read user", err)
}

// auditColumns are the columns of a record and its place in the chain, with the names of people who still exist.
const auditColumns = "r.id, r.at, r.event, r.outcome, r.actor_kind, r.actor_id, r.subject_kind, r.subject_id, " +
	"r.address, r.client_id, r.request_id, r.count, r.details"

// auditRow holds the columns of a record, all of which are NULL where a join finds none.
type auditRow struct {
	id, event, outcome, actorKind, actorID, subjectKind, subjectID, address, clientID, requestID, details sql.NullString
	at, count                                                                                             sql.NullInt64
}

func (a *auditRow) columns() []any {
	return []any{
		&a.id, &a.at, &a.event, &a.outcome, &a.actorKind, &a.actorID, &a.subjectKind, &a.subjectID,
		&a.address, &a.clientID, &a.requestID, &a.count, &a.details,
	}
}

func (a *auditRow) record() audit.Record {
	return audit.Record{
		ID: a.id.String, At: timeOf(a.at), Event: a.event.String, Outcome: audit.Outcome(a.outcome.String),
		Actor: audit.Actor{
			Kind: audit.Kind(a.actorKind.String), ID: a.actorID.String, Address: a.address.String,
			ClientID: a.clientID.String, RequestID: a.requestID.String,
		},
		Subject: audit.Subject{Kind: a.subjectKind.String, ID: a.subjectID.String},
		Count:   a.count.Int64,
		Details: audit.ParseDetails(a.details.String),
	}
}

const selectAudit = "SELECT " + auditColumns + ", actors.username, COALESCE(subjects.username, audit_names.name), " +
	"audit_chain.number, audit_chain.hash FROM audit_records AS r " +
	"LEFT JOIN users AS actors ON actors.id = r.actor_id LEFT JOIN users AS subjects ON subjects.id = r.subject_id " +
	"LEFT JOIN audit_names ON audit_names.id = r.subject_id LEFT JOIN audit_chain ON audit_chain.record = r.id "

func scanAudit(row row) (audit.Record, error) {
	var columns auditRow
	var actor, subject, hash sql.NullString
	var number sql.NullInt64
	err := row.Scan(append(columns.columns(), &actor, &subject, &number, &hash)...)
	if errors.Is(err, sql.ErrNoRows) {
		return audit.Record{}, errNoAuditRecord
	}
	r := columns.record()
	r.Actor.Name, r.Subject.Name, r.Number, r.Hash = actor.String, subject.String, number.Int64, hash.String
	return r, unavailable("read audit record", err)
}

// AuditRecord returns the record with an id, or record.ErrNotFound.
func (s *Store) AuditRecord(ctx context.Context, id string) (audit.Record, error) {
	return one(ctx, s.read, scanAudit, selectAudit+"WHERE r.id = $1", id)
}

// AuditRecords returns a page of the records that a filter selects, newest first, or oldest first if the page says so.
// Every filter uses an index, except those of an outcome or of the beginning of events: they read records from the
// newest on until the page is full.
func (s *Store) AuditRecords(ctx context.Context, f audit.Filter, page audit.Page) ([]audit.Record, error) {
	var all []audit.Record
	each := f.EachID()
	for _, one := range each { // each has an index
		records, err := s.auditRecords(ctx, one, page)
		if err != nil {
			return nil, err
		}
		all = append(all, records...)
	}
	if len(each) == 1 {
		return all, nil
	}
	slices.SortFunc(all, func(a, b audit.Record) int {
		if page.OldestFirst {
			return strings.Compare(a.ID, b.ID)
		}
		return strings.Compare(b.ID, a.ID)
	})
	all = slices.CompactFunc(all, func(a, b audit.Record) bool { return a.ID == b.ID })
	return all[:min(len(all), cmp.Or(page.Limit, audit.MaxPage))], nil
}

// auditRecords is AuditRecords for a filter with one id of a kind at most.
func (s *Store) auditRecords(ctx context.Context, f audit.Filter, page audit.Page) ([]audit.Record, error) {
	where, args := auditConditions(f, page)
	order := "DESC"
	if page.OldestFirst {
		order = "ASC"
	}
	args = append(args, cmp.Or(page.Limit, audit.MaxPage))
	return list(ctx, s.read, "list audit records", scanAudit,
		selectAudit+"WHERE "+where+" ORDER BY r.id "+order+" LIMIT $"+placeholder(args), args...)
}

// auditConditions returns the condition of a page of records, and its arguments. The filter is one of EachID.
func auditConditions(f audit.Filter, page audit.Page) (where string, args []any) {
	conditions := []string{"r.id > ''"}
	and := func(condition string, arg any) {
		args = append(args, arg)
		conditions = append(conditions, strings.ReplaceAll(condition, "$", "$"+placeholder(args)))
	}
	for _, c := range []struct{ condition, value string }{
		{"r.actor_id = $", strings.Join(f.Actor, "")},
		{"r.subject_id = $", strings.Join(f.Subject, "")},
		{"r.client_id = $ AND r.client_id <> ''", f.ClientID},
		{"r.address = $ AND r.address <> ''", f.Address},
		{"r.outcome = $", string(f.Outcome)},
		{"(r.subject_id = $ OR r.actor_id = $)", strings.Join(f.About, "")},
	} {
		if c.value != "" {
			and(c.condition, c.value)
		}
	}
	if prefix, ok := strings.CutSuffix(f.Event, "*"); ok {
		// Without an index: with that of events, all records that match would be sorted before the first ones are known.
		and("r.event || '' >= $", prefix)
		if end := afterPrefix(prefix); end != "" {
			and("r.event || '' < $", end)
		}
	} else if f.Event != "" {
		and("r.event = $", f.Event)
	}
	if !f.Since.IsZero() {
		and("r.id >= $", audit.FirstID(f.Since).String())
	}
	if !f.Until.IsZero() {
		and("r.id < $", audit.FirstID(f.Until).String())
	}
	switch {
	case page.After != "" && page.OldestFirst:
		and("r.id > $", page.After)
	case page.After != "":
		and("r.id < $", page.After)
	}
	return strings.Join(conditions, " AND "), args
}

// AuditHours returns how often an event happened in each hour from a time on, by the beginning of the hour. Hours
// without it are left out. It reads one index.
func (s *Store) AuditHours(ctx context.Context, event string, since time.Time) (map[time.Time]int64, error) {
	type hour struct{ number, count int64 }
	rows, err := list(ctx, s.read, "count audit records", func(r row) (h hour, err error) {
		return h, unavailable("count audit records", r.Scan(&h.number, &h.count))
	}, "SELECT at / 3600, CAST(SUM(count) AS BIGINT) FROM audit_records WHERE event = $1 AND id >= $2 GROUP BY at / 3600",
		event, audit.FirstID(since).String())
	hours := map[time.Time]int64{}
	for _, h := range rows {
		hours[time.Unix(h.number*3600, 0).UTC()] = h.count
	}
	return hours, err
}
