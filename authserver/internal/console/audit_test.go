package console_test

import (
	"encoding/csv"
	"encoding/json"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hallpass-auth/hallpass/authserver/internal/audit"
)

// record adds an event to the audit log.
func (s *site) record(e audit.Event) {
	s.t.Helper()
	e.At = s.clock()
	if err := s.data.Record(s.t.Context(), e); err != nil {
		s.t.Fatal(err)
	}
}

// What an administrator does in the console is recorded, with who did it and from where.
func TestConsoleIsRecorded(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := s.logIn("ada")
	b.post("/admin/user/disable?name=grace").went(t, "/admin/user?done=disabled&name=grace")
	records, err := s.data.AuditRecords(t.Context(), audit.Filter{Event: "user_disabled"}, audit.Page{Limit: 10})
	if err != nil || len(records) != 1 {
		t.Fatalf("%d records, %v", len(records), err)
	}
	r := records[0]
	if r.Actor.Kind != audit.User || r.Actor.ID != s.user("ada").ID || r.Actor.Address != "127.0.0.1" ||
		r.Subject.ID != s.user("grace").ID {
		t.Errorf("recorded as %+v", r)
	}
	for _, path := range []string{"/admin/audit", "/admin/user?name=grace", "/admin"} {
		if got := b.get(path); !got.has("user_disabled") || !got.has("/admin/user?name=grace") {
			t.Errorf("%s does not show it:\n%s", path, got.body)
		}
	}
	got := b.get("/admin/audit/record?id=" + r.ID)
	if got.heading() != "user_disabled" || !got.has(r.ID) || !got.has("127.0.0.1") {
		t.Errorf("%s", got.body)
	}
}

// The audit log is filtered, and what strangers have put into it is text.
func TestAuditFilters(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	grace := s.user("grace").ID
	subject := audit.Subject{Kind: audit.SubjectUser, ID: grace}
	s.record(audit.Event{Name: audit.LoginFailed, Outcome: audit.Failure, Subject: subject,
		ClientID: evil, Details: map[string]string{"reason": evil}})
	s.pass(48 * time.Hour)
	s.record(audit.Event{Name: audit.Login, Subject: subject, ClientID: "album"})
	b := s.logIn("ada")
	rows := regexp.MustCompile(`<th scope="row"`)
	for _, tt := range []struct {
		query string
		want  int
	}{
		{"?event=login*&about=grace", 2}, {"?event=login", 2}, {"?event=login*&outcome=failure", 1},
		{"?about=" + grace + "&event=login*", 2}, {"?client=album", 1}, {"?since=2026-03-02&event=login*", 2},
		{"?until=2026-03-01&event=login*", 1}, {"?since=2026-03-01&until=2026-03-03&event=login*", 3}, {"?event=none", 0},
	} {
		got := b.get("/admin/audit" + tt.query)
		if n := len(rows.FindAllString(got.body, -1)); got.status != http.StatusOK || n != tt.want {
			t.Errorf("%s: %d with %d rows, want %d", tt.query, got.status, n, tt.want)
		}
		if strings.Contains(got.body, "<script") {
			t.Errorf("%s:\n%s", tt.query, got.body)
		}
	}
	if got := b.get("/admin/audit?since=yesterday"); got.status != http.StatusBadRequest {
		t.Errorf("not a day: %d", got.status)
	}
	if got := b.get("/admin/audit?event=%3Cscript%3E"); strings.Contains(got.body, "<script") {
		t.Errorf("%s", got.body)
	}
	for _, id := range []string{"", "no-id", "019be000-0000-7000-8000-000000000000"} {
		if got := b.get("/admin/audit/record?id=" + id); got.status != http.StatusNotFound {
			t.Errorf("the record %q: %d", id, got.status)
		}
	}
}

// The filters go on from page to page, and into the export.
func TestAuditPages(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	for i := range 60 {
		s.record(audit.Event{Name: "tried", Subject: audit.Subject{Kind: "thing", ID: strconv.Itoa(i)},
			Details: map[string]string{"reason": "=HYPERLINK(1)"}})
	}
	s.record(audit.Event{Name: "other", Subject: audit.Subject{Kind: "thing", ID: "x"}})
	b := s.logIn("ada")
	first := b.get("/admin/audit?event=tried")
	link := regexp.MustCompile(`href="(/admin/audit\?after=[^"]*)"`).FindStringSubmatch(first.body)
	if link == nil {
		t.Fatalf("no next page:\n%s", first.body)
	}
	second := b.get(strings.ReplaceAll(link[1], "&amp;", "&"))
	if !second.has("thing 0") || second.has("thing x") || !second.has("First page") {
		t.Errorf("the second page:\n%s", second.body)
	}
	if !second.has("/admin/audit/export?event=tried&format=csv") {
		t.Errorf("the export is of something else:\n%s", second.body)
	}
	got := b.get("/admin/audit/export?event=tried&format=jsonl")
	lines := strings.Split(strings.TrimSpace(got.body), "\n")
	var shown audit.Shown
	if err := json.Unmarshal([]byte(lines[0]), &shown); err != nil || len(lines) != 60 || shown.Event != "tried" {
		t.Errorf("%d lines, %v, %s", len(lines), err, lines[0])
	}
	disposition, caching := got.header.Get("Content-Disposition"), got.header.Get("Cache-Control")
	if !strings.HasPrefix(disposition, "attachment") || caching != "no-store" {
		t.Errorf("headers %v", got.header)
	}
	got = b.get("/admin/audit/export?event=tried&format=csv")
	table, err := csv.NewReader(strings.NewReader(got.body)).ReadAll()
	if err != nil || len(table) != 61 {
		t.Errorf("%d rows, %v", len(table), err)
	}
	if got := b.get("/admin/audit/export?format=exe"); got.status != http.StatusBadRequest {
		t.Errorf("an unknown format: %d", got.status)
	}
	if got := s.logIn("grace").get("/admin/audit/export"); got.status != http.StatusForbidden {
		t.Errorf("a user: %d", got.status)
	}
}

// An event about nobody known says so, and an import says how many users came.
func TestAuditSubjects(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.record(audit.Event{Name: audit.LoginFailed, Outcome: audit.Failure, Subject: audit.Subject{Kind: audit.SubjectUser}})
	s.record(audit.Event{Name: "users_imported", Subject: audit.Subject{Kind: "users", ID: "100 users"}})
	got := s.logIn("ada").get("/admin/audit")
	if !got.has(">unknown<") || !got.has(">100 users<") || got.has("users 100 users") {
		t.Errorf("%s", got.body)
	}
}

// The overview has a picture of the last day, and the same numbers for those who do not see it.
func TestOverview(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	subject := audit.Subject{Kind: audit.SubjectUser, ID: s.user("grace").ID}
	for range 7 {
		s.record(audit.Event{Name: audit.LoginFailed, Outcome: audit.Failure, Subject: subject})
	}
	s.record(audit.Event{Name: audit.Login, Subject: subject})
	got := s.logIn("ada").get("/admin")
	for _, want := range []string{
		"2 logins and 7 failed logins", "12:00: 7 failed logins", "12:00: 2 logins", "The numbers as a table", "login_failed",
	} {
		if !got.has(want) {
			t.Errorf("the page does not have %q:\n%s", want, got.body)
		}
	}
	s.pass(2 * time.Hour)
	if got := s.logIn("ada").get("/admin"); !got.has("Nothing has failed in the last hour.") {
		t.Errorf("two hours later:\n%s", got.body)
	}
}
