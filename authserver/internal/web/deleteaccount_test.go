package web_test

import (
	"net/http"
	"strings"
	"testing"
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
	sent := s.sendMails()
	if len(sent) != 1 || sent[0].To != johnsEmail ||
		sent[0].Subject != "Your account at login.example was deleted" || strings.Contains(sent[0].Text, john) {
		t.Errorf("got the mails %+v", sent)
	}
	s.forgot(johnsEmail).says("a forgotten password", http.StatusOK, "Look at your mail")
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
