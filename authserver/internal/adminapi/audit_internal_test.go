package adminapi

import (
	"strings"
	"testing"
	"time"

	"github.com/hallpass-auth/hallpass/shared/database/databasetest"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/admin"
	"github.com/hallpass-auth/hallpass/authserver/internal/audit"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
	"github.com/hallpass-auth/hallpass/authserver/internal/store/storetest"
)

// newAuditAPI returns an API whose database has a user with three sealed logins an hour apart.
func newAuditAPI(t *testing.T) *API {
	t.Helper()
	s, err := store.Open(t.Context(), "sqlite:"+storetest.SQLite(t), databasetest.Pool)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	now := time.Date(2026, time.March, 1, 12, 30, 0, 0, time.UTC)
	u := account.User{ID: "usr_1", Username: "ada", Name: "Ada", CreatedAt: now.Add(-48 * time.Hour)}
	if err := s.CreateUser(t.Context(), u); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		err := s.Record(t.Context(), audit.Event{
			Name: audit.Login, At: now.Add(-time.Duration(i) * time.Hour),
			Subject: audit.Subject{Kind: audit.SubjectUser, ID: u.ID},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.SealAudit(t.Context(), 10); err != nil {
		t.Fatal(err)
	}
	service := &admin.Service{Store: s, Now: func() time.Time { return now }}
	return &API{cfg: Config{Issuer: "https://login.example", Admin: service, Now: service.Now}}
}

func TestListAudit(t *testing.T) {
	t.Parallel()
	a := newAuditAPI(t)
	in := &ListAuditIn{AuditFilterIn: AuditFilterIn{Subject: "ada", Event: "login*"}, Limit: 2}
	first, err := a.ListAudit(t.Context(), in)
	if err != nil || len(first.Body.Items) != 2 || first.Body.Items[0].Subject.Name != "ada" {
		t.Fatalf("got %+v, %v", first, err)
	}
	if !strings.Contains(first.Link, "event=login%2A") || !strings.Contains(first.Link, "subject=ada") {
		t.Errorf("the link %q loses the filter", first.Link)
	}
	in.After = first.Body.Next
	second, err := a.ListAudit(t.Context(), in)
	if err != nil || len(second.Body.Items) != 1 || second.Body.Next != "" {
		t.Errorf("the second page is %+v, %v", second, err)
	}
	one, err := a.GetAudit(t.Context(), &AuditRecordIn{ID: second.Body.Items[0].ID})
	if err != nil || one.Body.Hash == "" {
		t.Errorf("one record: %+v, %v", one, err)
	}
	for _, bad := range []*ListAuditIn{{After: "!"}, {AuditFilterIn: AuditFilterIn{Subject: "a\x00"}}} {
		if _, err := a.ListAudit(t.Context(), bad); err == nil {
			t.Errorf("%+v is accepted", bad)
		}
	}
}

func TestAuditExportHeadAndDay(t *testing.T) {
	t.Parallel()
	a := newAuditAPI(t)
	out, err := a.ExportAudit(t.Context(), &ExportAuditIn{Format: "csv"})
	if err != nil || strings.Count(string(out.Body), "\n") != 5 || out.Next != "" {
		t.Errorf("got %q, %v, want a header and 4 records", out.Body, err)
	}
	head, err := a.GetAuditHead(t.Context(), nil)
	if err != nil || head.Body.Number != 4 || head.Body.Waiting != 0 || len(head.Body.Hash) != 64 {
		t.Errorf("the head is %+v, %v", head, err)
	}
	day, err := a.GetAuditDay(t.Context(), nil)
	if err != nil || len(day.Body.Hours) != 24 {
		t.Fatalf("the day is %+v, %v", day, err)
	}
	for i, h := range day.Body.Hours {
		want := int64(0)
		if i >= 21 {
			want = 1
		}
		if h.Logins != want || h.Failed != 0 {
			t.Errorf("hour %d is %+v, want %d logins", i, h, want)
		}
	}
}
