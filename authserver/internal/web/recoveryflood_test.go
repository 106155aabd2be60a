package web_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"testing"
	"time"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/mail"
)

// forgotAt sends the form for a forgotten password from an address, with the cookies of a browser, and returns how many
// mails that sent.
func (s *recoverySite) forgotAt(b *testBrowser, address, typed string) int {
	s.t.Helper()
	r := pageForm("/forgot", url.Values{"username": {typed}})
	r.RemoteAddr = address + ":1234"
	b.do(r).says(address, http.StatusOK, "Check your email")
	return len(s.sendMails())
}

// A stranger who asks for mails about a user again and again does not keep the owner from getting one.
func TestStrangerCannotSilenceRecovery(t *testing.T) {
	t.Parallel()
	s := newRecoverySite(t)
	mails := 0
	for range 2 * mail.MaxRequestsOfName {
		mails += s.forgotAt(s.newBrowser(), "203.0.113.7", john)
	}
	if mails != mail.MaxRequestsOfNameByNetwork {
		t.Errorf("%d mails for the stranger, want %d", mails, mail.MaxRequestsOfNameByNetwork)
	}
	if s.forgotAt(s.newBrowser(), "198.51.100.7", john) != 1 {
		t.Error("the owner gets no mail")
	}
}

// Many strangers make the server send few mails, and the mailbox always has one whose link works.
func TestManyStrangersAskForMails(t *testing.T) {
	t.Parallel()
	s := newRecoverySite(t)
	var sent []time.Time
	const minutes = 180
	for minute := range minutes {
		for i := range 3 {
			address := "203.0." + strconv.Itoa(minute) + "." + strconv.Itoa(i)
			for range s.forgotAt(s.newBrowser(), address, john) {
				sent = append(sent, s.clock())
			}
		}
		if age := s.clock().Sub(sent[len(sent)-1]); age >= account.LinkLifetime {
			t.Fatalf("after %d minutes, the latest link is %s old", minute, age)
		}
		s.wait(time.Minute)
	}
	if most := mail.MaxRequestsOfName * minutes * int(time.Minute) / int(mail.NamePeriod); len(sent) > most {
		t.Errorf("%d mails in %d minutes, want at most %d", len(sent), minutes, most)
	}
}

// While many strangers ask for mails, requests from a browser or an address that the owner has logged in from have a
// limit of their own.
func TestRecoveryFromAKnownPlace(t *testing.T) {
	t.Parallel()
	s := newRecoverySite(t)
	owner := s.newBrowser()
	login := loginForm()
	login.RemoteAddr = "198.51.100.7:1234"
	owner.arrives("the login", owner.do(login))
	s.sendMails()
	jane := s.john()
	jane.ID, jane.Username, jane.Email, jane.EmailVerified = "usr_jane", "jane.smith", "", false
	s.must(s.data.CreateUser(t.Context(), jane))
	other := s.newBrowser() // of another user, at another address
	login = loginFormOf(jane.Username, password)
	login.RemoteAddr = "198.51.100.8:1234"
	other.arrives("the login of another user", other.do(login))
	s.sendMails()
	for i := range 2 * mail.MaxRequestsOfName {
		s.forgotAt(s.newBrowser(), "203.0.113."+strconv.Itoa(i), john)
		s.forgotAt(s.newBrowser(), "203.0.113."+strconv.Itoa(i), johnsEmail)
	}
	for _, typed := range []string{john, johnsEmail} {
		if s.forgotAt(s.newBrowser(), "192.0.2.99", typed) != 0 {
			t.Errorf("%s: a mail for one more stranger", typed)
		}
		if s.forgotAt(other, "198.51.100.8", typed) != 0 {
			t.Errorf("%s: a mail for another user", typed)
		}
		for place, mails := range map[string]int{
			"the browser": s.forgotAt(owner, "192.0.2.1", typed),
			"the address": s.forgotAt(s.newBrowser(), "198.51.100.7", typed),
		} {
			if mails != 1 {
				t.Errorf("%s: %d mails from %s of the owner, want 1", typed, mails, place)
			}
		}
	}
	mails := 0
	for range 2 * mail.MaxRequestsOfName {
		mails += s.forgotAt(owner, "192.0.2.1", john)
	}
	if mails != mail.MaxRequestsOfNameByNetwork-1 {
		t.Errorf("%d more mails in the browser of the owner, want %d", mails, mail.MaxRequestsOfNameByNetwork-1)
	}
}

// The owner uses any of the links that strangers have asked for.
func TestLinkOfAStrangersRequest(t *testing.T) {
	t.Parallel()
	s := newRecoverySite(t)
	r := pageForm("/forgot", url.Values{"username": {john}})
	r.RemoteAddr = "203.0.113.7:1234"
	s.serve(r).says("the stranger", http.StatusOK, "Check your email")
	s.must(s.sender.Send(t.Context()))
	s.wait(account.LinkLifetime - time.Minute)
	s.serve(httptest.NewRequest(http.MethodGet, issuer+"/reset?link="+url.QueryEscape(s.link()), nil)).
		says("the link", http.StatusOK, "Choose a new password")
}
