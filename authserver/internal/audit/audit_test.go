package audit_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/hallpass-auth/hallpass/authserver/internal/audit"
)

var at = time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)

func sample() audit.Record {
	return audit.Record{
		ID: "0195515a-3e00-7000-8000-000000000001", At: at, Event: "login", Outcome: audit.Success,
		Actor: audit.Actor{
			Kind: audit.User, ID: "usr_1", Name: "john", Address: "192.0.2.1", ClientID: "app", RequestID: "req",
		},
		Subject: audit.Subject{Kind: "user", ID: "usr_1"}, Count: 1, Details: map[string]string{"methods": "pwd", "a": "ü"},
	}
}

// The hash is that of the fields as netstrings, which another program can compute as deploy/docs/audit.md says.
func TestHashOf(t *testing.T) {
	t.Parallel()
	const encoded = "16:hallpass audit 1,64:0000000000000000000000000000000000000000000000000000000000000000,1:1," +
		"36:0195515a-3e00-7000-8000-000000000001,10:1772366400,5:login,7:success,4:user,5:usr_1,4:user,5:usr_1," +
		"9:192.0.2.1,3:app,3:req,1:1,26:{\"a\":\"ü\",\"methods\":\"pwd\"},"
	sum := sha256.Sum256([]byte(encoded))
	got, err := audit.HashOf(audit.Genesis, 1, sample())
	if want := hex.EncodeToString(sum[:]); got != want || err != nil {
		t.Errorf("got %s, %v, want %s", got, err, want)
	}
	renamed := sample()
	renamed.Actor.Name, renamed.Subject.Name = "", "other"
	if other, _ := audit.HashOf(audit.Genesis, 1, renamed); other != got {
		t.Error("the hash depends on a name, which is deleted with the account")
	}
}

func TestNewRecord(t *testing.T) {
	t.Parallel()
	e := audit.Event{
		Name: "logout", At: at.Add(999 * time.Millisecond), Subject: audit.Subject{Kind: audit.SubjectUser, ID: "usr_1"},
		ClientID: "app", Details: audit.Details("long", strings.Repeat("x", 5000), "bad", "a\x00\xff", "empty", ""),
	}
	r, err := audit.NewRecord(e, audit.Actor{Kind: audit.User, ClientID: "other"})
	if err != nil {
		t.Fatal(err)
	}
	if r.Actor.ID != "usr_1" || r.Actor.ClientID != "app" || r.Outcome != audit.Success || r.Count != 1 ||
		!r.At.Equal(at) {
		t.Errorf("got %+v", r)
	}
	e.Outcome = audit.Failure
	if r, err := audit.NewRecord(e, audit.Actor{Kind: audit.User}); err != nil || r.Actor.ID != "" {
		t.Errorf("who failed to log in as somebody is recorded as %q, %v", r.Actor.ID, err)
	}
	if len(r.Details["long"]) > 1000 || r.Details["bad"] != "a\uFFFD\uFFFD" || len(r.Details) != 2 {
		t.Errorf("details %q", r.Details)
	}
	id, err := uuid.Parse(r.ID)
	if err != nil || id.Version() != 7 || id.Variant() != uuid.RFC4122 {
		t.Errorf("id %s, %v, want a UUIDv7", r.ID, err)
	}
	seconds, nanos := id.Time().UnixTime()
	if made := time.Unix(seconds, nanos).UTC(); !made.Equal(e.At) {
		t.Errorf("the id is of %v, want %v", made, e.At)
	}
	next, err := audit.NewID(e.At)
	if err != nil || next <= r.ID {
		t.Errorf("the next id %s, %v, is not after %s", next, err, r.ID)
	}
	if first := audit.FirstID(e.At).String(); first > r.ID || first <= audit.FirstID(at).String() {
		t.Errorf("the first id %s of the time is not before %s", first, r.ID)
	}
}

// No cell of an export is a formula in a spreadsheet.
func TestExport(t *testing.T) {
	t.Parallel()
	r := sample()
	r.Actor.ID, r.Actor.ClientID, r.Event = `=HYPERLINK("https://evil.example")`, "@SUM(A1)", "-2+3"
	var out bytes.Buffer
	e, err := audit.NewExporter(&out, audit.CSV)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(e.Write(r), e.Flush()); err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(&out).ReadAll()
	if err != nil || len(rows) != 2 || len(rows[0]) != len(rows[1]) {
		t.Fatalf("rows %q, %v", rows, err)
	}
	for i, cell := range rows[1] {
		if strings.ContainsAny(cell[:min(1, len(cell))], "=+-@\t\r\n") {
			t.Errorf("%s is a formula: %s", rows[0][i], cell)
		}
	}
	out.Reset()
	if e, err = audit.NewExporter(&out, audit.JSONLines); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(e.Write(r), e.Write(r), e.Flush()); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	var got audit.Shown
	if err := json.Unmarshal([]byte(lines[0]), &got); err != nil || len(lines) != 2 {
		t.Fatalf("lines %q, %v", lines, err)
	}
	if diff := cmp.Diff(audit.Show(r), got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if _, err := audit.NewExporter(&out, "xml"); err == nil {
		t.Error("an unknown format is accepted")
	}
}

// Whatever is typed, no cell begins a formula, and nothing else is changed.
func FuzzNeutral(f *testing.F) {
	for _, seed := range []string{"", "=1", "+1", "-1", "@x", "\t=1", "\r", "\n=", "'", "plain", "ü"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, cell string) {
		got := audit.Neutral(cell)
		if strings.ContainsAny(got[:min(1, len(got))], "=+-@\t\r\n") {
			t.Errorf("%q is a formula", got)
		}
		if got != cell && got != "'"+cell {
			t.Errorf("%q became %q", cell, got)
		}
	})
}

// memory keeps events. Before each, it calls before, if set, and returns its error.
type memory struct {
	events []audit.Event
	before func() error
}

func (m *memory) Record(ctx context.Context, e audit.Event) error {
	if m.before != nil {
		if err := m.before(); err != nil {
			return err
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	m.events = append(m.events, e)
	return nil
}

// flood is a Failures with a clock.
type flood struct {
	memory
	*audit.Failures
	now time.Time
}

func newFlood() *flood {
	f := &flood{now: at}
	f.Failures = audit.NewFailures(f, func() time.Time { return f.now }, slog.New(slog.DiscardHandler))
	return f
}

func (f *flood) fail(user, name, network string) {
	f.Failed(context.Background(), audit.Event{
		Name: audit.LoginFailed, Subject: audit.Subject{Kind: audit.SubjectUser, ID: user},
	}, name, network)
}

// count returns how many failures the records stand for, and how many records there are.
func (f *flood) count() (failures int64, records int) {
	f.now = f.now.Add(time.Minute)
	f.Flush(context.Background())
	for _, e := range f.events {
		failures += max(e.Count, 1)
	}
	return failures, len(f.events)
}

// A server that stops records what waits, and what it has counted in the minute that is not over.
func TestFailuresOfTheLastMinute(t *testing.T) {
	t.Parallel()
	f := newFlood()
	for range 1000 {
		f.fail("usr_1", "usr_1", "192.0.2.1")
	}
	stopped, stop := context.WithCancel(t.Context())
	stop()
	f.Run(stopped)
	if last := f.events[len(f.events)-1]; len(f.events) != 4 || last.Count != 997 {
		t.Errorf("%d records, the last one of %d failures, want 4 and 997", len(f.events), last.Count)
	}
}

// A guesser at one account gets a few records a minute, and the count of the rest.
func TestFailuresOfOneAccount(t *testing.T) {
	t.Parallel()
	f := newFlood()
	for range 1000 {
		f.fail("usr_1", "usr_1", "192.0.2.1")
	}
	f.fail("usr_1", "usr_1", "192.0.2.2") // the user, elsewhere
	if failures, records := f.count(); failures != 1001 || records != 5 {
		t.Errorf("%d failures in %d records, want 1001 in 5", failures, records)
	}
	if last := f.events[4]; last.Count != 997 || last.Subject.ID != "usr_1" || last.Outcome != audit.Failure {
		t.Errorf("the last record is %+v", last)
	}
	f.fail("usr_1", "usr_1", "192.0.2.1")
	if failures, records := f.count(); failures != 1002 || records != 6 {
		t.Errorf("in the next minute, %d failures in %d records", failures, records)
	}
}

// Strangers who try names that nobody has, from many networks, cannot fill the disk, nor keep a failure of a user from
// being recorded.
func TestFloodOfFailures(t *testing.T) {
	t.Parallel()
	f := newFlood()
	for i := range 10_000 {
		f.fail("", fmt.Sprint(i), fmt.Sprint("network ", i))
	}
	f.fail("usr_1", "usr_1", "192.0.2.1")
	failures, records := f.count()
	if failures != 10_001 || records != 62 {
		t.Errorf("%d failures in %d records, want 10001 in 62", failures, records)
	}
	for i := range 10_000 {
		f.fail(fmt.Sprint("usr_", i), fmt.Sprint("usr_", i), fmt.Sprint("network ", i))
	}
	f.events = nil
	if failures, records := f.count(); failures != 10_000 || records != 301 {
		t.Errorf("%d failures of users in %d records, want 10000 in 301", failures, records)
	}
}

// The response to a failed login waits for no record. What waits is bounded also if the database does not respond.
func TestFailuresWait(t *testing.T) {
	t.Parallel()
	f := newFlood()
	for minute := range 10 {
		for i := range 400 {
			f.fail(fmt.Sprint("usr_", i), fmt.Sprint("usr_", i), fmt.Sprint("network ", minute))
		}
		f.now = f.now.Add(time.Minute)
	}
	if len(f.events) != 0 {
		t.Errorf("%d records were written before the responses", len(f.events))
	}
	f.Flush(context.Background())
	if len(f.events) != 1000 {
		t.Errorf("%d records waited, want 1000", len(f.events))
	}
	if failures, records := f.count(); failures != 4000 || records != 1001 {
		t.Errorf("%d failures in %d records, want 4000 in 1001", failures, records)
	}
}

// Nothing that waits is lost because the server stops while it writes, or because the database does not respond: the
// next Flush writes it. Only a record that cannot be written is.
func TestFailuresThatAreNotWritten(t *testing.T) {
	t.Parallel()
	f := newFlood()
	for i := range 50 {
		f.fail(fmt.Sprint("usr_", i), fmt.Sprint("usr_", i), "192.0.2.1")
	}
	stopping, stop := context.WithCancel(t.Context())
	f.before = func() error {
		if len(f.events) == 5 {
			stop()
		}
		return nil
	}
	f.Flush(stopping)
	f.Run(stopping)
	if len(f.events) != 50 {
		t.Errorf("%d of 50 failures are recorded after a stop", len(f.events))
	}

	f = newFlood()
	for i := range 50 {
		f.fail(fmt.Sprint("usr_", i), fmt.Sprint("usr_", i), "192.0.2.1")
	}
	f.before = func() error { return errors.New("no database") }
	f.Flush(t.Context())
	f.before = nil
	f.Flush(t.Context())
	if len(f.events) != 49 {
		t.Errorf("%d failures are recorded after an outage, want all but the one that met it", len(f.events))
	}
}

// Ids of one millisecond sort in the order in which they were made, and are UUIDv7 (RFC 9562 section 5.7).
func TestIDsSortAsMade(t *testing.T) {
	at := time.UnixMilli(1_700_000_000_000)
	last := ""
	for range 10_000 { // more than rand_a alone could count
		id, err := audit.NewID(at)
		if err != nil {
			t.Fatal(err)
		}
		if id <= last {
			t.Fatalf("%s was made after %s", id, last)
		}
		last = id
	}
	id := uuid.MustParse(last)
	sec, nsec := id.Time().UnixTime()
	if id.Version() != 7 || id.Variant() != uuid.RFC4122 || !time.Unix(sec, nsec).Equal(at) {
		t.Errorf("%s has version %v, variant %v and time %v", last, id.Version(), id.Variant(), time.Unix(sec, nsec))
	}
}
