package web_test

import (
	"net/http"
	"net/url"
	"strconv"
	"testing"
	"time"

	"github.com/hallpass-auth/hallpass/authserver/internal/audit"
)

// A user cannot fill the audit log with changes. Each login has a limit of its own: a thief who is logged in to the
// account must not keep the user from ending that login.
func TestManyForms(t *testing.T) {
	t.Parallel()
	s := newAccountSite(t)
	s.addCodeApp()
	s.wait(time.Second)
	stolen := s.cookie
	s.cookie = s.logInWith(firefox, john, password, "/account").cookie()
	post := func(path string, form url.Values) answer { return s.serve(withCookie(pageForm(path, form), stolen)) }
	statuses := map[int]int{}
	for i := range 100 {
		got := post("/account/name", s.form("name", "Name "+strconv.Itoa(i)))
		statuses[got.status]++
		if got.status == http.StatusTooManyRequests {
			got.says("a refusal", http.StatusTooManyRequests, "Too many changes at once. Try again in 10 seconds.")
		}
	}
	if statuses[303] != 60 || statuses[429] != 40 {
		t.Errorf("statuses %v", statuses)
	}
	consent := s.form("continue", codeRequest().Encode(), "decision", "allow")
	if got := post("/consent", consent); got.status != http.StatusTooManyRequests {
		t.Errorf("consent: status %d", got.status)
	}
	if got := post("/device", s.form("user_code", "BCDF-GHJK", "decision", "allow")); got.status != 429 {
		t.Errorf("a device: status %d", got.status)
	}
	records, err := s.data.AuditRecords(t.Context(), audit.Filter{Subject: []string{s.user.ID}}, audit.Page{Limit: 1000})
	if n := len(records); n > 70 || err != nil {
		t.Errorf("%d records, %v", n, err)
	}
	s.submit("/account/logins", "others", "end").leadsTo("ending the other login", "/account?done=logins")
}
