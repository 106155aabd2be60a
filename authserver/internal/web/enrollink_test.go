package web_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/admin"
	"github.com/hallpass-auth/hallpass/authserver/internal/web"
)

// newAdminSite returns a site with an admin API, whose user is an administrator without a second factor.
func newAdminSite(t *testing.T) (*factorSite, *admin.Service) {
	t.Helper()
	s := newFactorSite(t, func(c *web.Config) { c.AdminAPI = http.NotFoundHandler() })
	service := &admin.Service{Store: s.data, Now: s.clock}
	_, err := service.ChangeUser(t.Context(), john, admin.UserPatch{AddGroups: []string{account.AdminGroup}}, nil)
	s.must(err)
	return s, service
}

// enrolPage returns the path of the page of a new link.
func (s *factorSite) enrolPage(service *admin.Service) string {
	s.t.Helper()
	link, err := service.EnrolLink(s.t.Context(), john)
	s.must(err)
	s.hide(link)
	return account.EnrolPath + "?link=" + link
}

// An administrator adds the first second factor by a link, from any browser. It works once, and opening it changes
// nothing, as mail scanners and previews do.
func TestEnrolByLink(t *testing.T) {
	s, service := newAdminSite(t)
	path := s.enrolPage(service)
	for range 3 {
		s.newBrowser().visit(path).says("a scanner", http.StatusOK, john)
	}
	page := s.visit(path)
	s.form(page, "password", guess).says("a wrong password", http.StatusBadRequest, "Wrong username or password.")
	other := s.newBrowser() // has begun too
	otherApp := other.follow(other.follow(other.form(other.visit(path), "password", password)))
	app := s.follow(s.follow(s.form(page, "password", password)))
	s.keep(app)
	s.keepCodes(s.form(app, "code", s.code(0)))
	other.form(otherApp, "code", s.code(0)).says("the other browser", http.StatusBadRequest, "Please start again")
	s.newBrowser().visit(path).says("again", http.StatusBadRequest, "This link does not work")
	s.wait(time.Minute)

	// From now on, the administrator adds and removes factors as everybody does.
	s.visit("/account/second-factors/new-app").says("another app", http.StatusOK, "otpauth://")
	if _, err := service.EnrolLink(t.Context(), john); err == nil {
		t.Error("a link is made for a user who has a second factor")
	}
}

// Without a link, the password of an administrator adds no second factor: not on the account page, and not in a login.
func TestEnrolmentNeedsLink(t *testing.T) {
	s, _ := newAdminSite(t)
	s.form(s.visit("/account"), "username", john, "password", password)
	for _, path := range []string{"/account/second-factors/new-app", "/account/second-factors/new-passkey"} {
		s.visit(path).says(path, http.StatusBadRequest, "You need a link")
	}
	b := s.newBrowser()
	b.follow(b.password("acr_values", "2", "scope", "profile")).says("a login", http.StatusBadRequest, "You need a link")
	b.visit("/login/new-app").says("a login", http.StatusBadRequest, "You need a link")
}

// A link ends after half an hour, with a new password, with a newer link, and when the user is disabled. A bad one is
// told apart from nothing.
func TestEnrolLinkThatDoesNotWork(t *testing.T) {
	for name, end := range map[string]func(*factorSite, *admin.Service){
		"expired":    func(s *factorSite, _ *admin.Service) { s.wait(account.LinkLifetime + time.Second) },
		"replaced":   func(s *factorSite, service *admin.Service) { s.enrolPage(service) },
		"password":   func(s *factorSite, _ *admin.Service) { s.must(s.data.SetPassword(s.t.Context(), john, "x", s.clock())) },
		"disabled":   func(s *factorSite, _ *admin.Service) { s.must(s.data.DisableUser(s.t.Context(), john, s.clock())) },
		"no factors": nil,
	} {
		s, service := newAdminSite(t)
		path := s.enrolPage(service)
		page := s.visit(path)
		if end == nil {
			page.says(name, http.StatusOK, john)
			continue
		}
		end(s, service)
		s.visit(path).says(name, http.StatusBadRequest, "This link does not work")
		s.form(page, "password", password).says(name, http.StatusBadRequest, "This link does not work")
	}
	s, _ := newAdminSite(t)
	for _, path := range []string{"/enrol", "/enrol?link=", "/enrol?link=x"} {
		s.visit(path).says(path, http.StatusBadRequest, "This link does not work")
	}
}
