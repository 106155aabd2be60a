package web_test

import (
	"database/sql"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
)

// The owner of a deleted account gets a mail, in the language of the account, after nothing else is left of it.
func TestMailAboutDeletedAccount(t *testing.T) {
	t.Parallel()
	s := newRecoverySite(t)
	cookie := s.sessionCookie()
	r := pageForm("/account/delete", map[string][]string{
		"user": {s.userID(john)}, "username": {john}, "password": {password},
	})
	s.serve(withCookie(r, cookie)).leadsTo("the deletion", "/account/deleted")
	s.serve(httptest.NewRequest(http.MethodGet, issuer+"/account/deleted", nil)).
		says("what is kept", http.StatusOK, "except a record of logins and changes that does not have your name")
	sent := s.sendMails()
	if len(sent) != 1 || sent[0].To != johnsEmail ||
		sent[0].Subject != "Your account at login.example was deleted" || strings.Contains(sent[0].Text, john) {
		t.Errorf("got the mails %+v", sent)
	}
	s.forgot(johnsEmail).says("a forgotten password", http.StatusOK, "Check your email")
	if again := s.sendMails(); len(again) != 0 {
		t.Errorf("got the mails %+v", again)
	}
}

// An administrator's command sends the same mail.
func TestMailAboutDeletionByCommand(t *testing.T) {
	t.Parallel()
	s := newRecoverySite(t)
	s.must(s.data.DeleteUser(t.Context(), john, s.clock()))
	if sent := s.sendMails(); len(sent) != 1 || sent[0].To != johnsEmail {
		t.Errorf("got the mails %+v", sent)
	}
}

// A deletion that fails changes nothing, so the user can try again.
func TestDeletionFails(t *testing.T) {
	t.Parallel()
	s := newAccountSite(t)
	_, err := s.data.UpdateUser(t.Context(), john, s.clock(), func(u account.User) (account.User, error) {
		u.Email, u.EmailVerified = johnsEmail, true
		return u, nil
	})
	s.must(err)
	s.must(s.data.CreateSignUpLink(t.Context(), account.SignUpLink{
		Digest: "link", Email: johnsEmail, CreatedAt: s.clock(), ExpiresAt: s.clock().Add(account.LinkLifetime),
	}))
	s.execute("CREATE TRIGGER broken BEFORE DELETE ON sign_ups BEGIN SELECT RAISE(ABORT, 'broken'); END")
	remove := func() answer { return s.submit("/account/delete", "username", john, "password", password) }
	remove().says("a failure", http.StatusServiceUnavailable, "Temporarily unavailable")
	s.execute("DROP TRIGGER broken")
	remove().leadsTo("another try", "/account/deleted")
	s.expectEvent("account_deleted", "user=usr_x address=192.0.2.1")
}

// execute runs a statement in the file of the database, beside the server.
func (s *site) execute(query string) {
	s.t.Helper()
	db, err := sql.Open("sqlite", "file:"+s.file+"?_pragma=busy_timeout(60000)")
	s.must(err)
	defer db.Close()
	_, err = db.ExecContext(s.t.Context(), query)
	s.must(err)
}

// The last administrator stays, so that somebody can administer the server; of two, one can go.
func TestLastAdministratorIsNotDeleted(t *testing.T) {
	t.Parallel()
	s := newAccountSite(t)
	for _, name := range []string{john, jane} {
		_, err := s.data.UpdateUser(t.Context(), name, s.clock(), func(u account.User) (account.User, error) {
			u.Groups = []string{account.AdminGroup}
			return u, nil
		})
		s.must(err)
	}
	s.must(s.data.DisableUser(t.Context(), jane, s.clock()))
	remove := func() answer { return s.submit("/account/delete", "username", john, "password", password) }
	remove().says("the last one", http.StatusBadRequest, "Nobody else administers this server.")
	s.must(s.data.EnableUser(t.Context(), jane, s.clock()))
	remove().leadsTo("one of two", "/account/deleted")
}
