package web_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-auth/hallpass/authserver/internal/audit"
)

// The copy has what the audit log says about the user, but nothing that it says about others.
func TestCopyOfRecords(t *testing.T) {
	t.Parallel()
	s := newAccountSite(t)
	janeID := s.userID(jane)
	record := func(by audit.Actor, userID string) {
		t.Helper()
		s.must(s.data.Record(audit.WithActor(t.Context(), by), audit.Event{
			Name: "user_changed", At: s.clock(), Subject: audit.Subject{Kind: audit.SubjectUser, ID: userID},
			Details: audit.Details("changed", "groups"),
		}))
	}
	her := audit.Actor{Kind: audit.User, ID: janeID, Address: "198.51.100.9", ClientID: "console"}
	his := audit.Actor{Kind: audit.User, ID: s.user.ID, Address: "192.0.2.1", ClientID: "console"}
	record(her, s.user.ID)
	record(his, janeID)
	record(her, janeID)
	got := s.submit("/account/data")
	var data struct {
		Records []map[string]any `json:"audit_records"`
	}
	got.decode(&data)
	const at = "2026-03-01T12:00:00Z"
	changed := map[string]any{"changed": "groups"}
	want := []map[string]any{
		{
			"at": at, "event": "user_changed", "outcome": "success", "count": 1.0, "client_id": "console",
			"address": "192.0.2.1", "subject": "user", "details": changed,
		},
		{"at": at, "event": "user_changed", "outcome": "success", "count": 1.0, "by": "somebody else", "details": changed},
		{
			"at": at, "event": "login", "outcome": "success", "count": 1.0, "address": "192.0.2.1",
			"details": map[string]any{"methods": "pwd"},
		},
		{"at": at, "event": "user_added", "outcome": "success", "count": 1.0},
	}
	if diff := cmp.Diff(want, data.Records); diff != "" {
		t.Errorf("the records (-want +got):\n%s", diff)
	}
	for _, text := range []string{janeID, her.Address} {
		got.lacks("the records", text)
	}
}
