package web

import (
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/hallpass-auth/hallpass/shared/httpserver"
	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/mail"
	"github.com/hallpass-auth/hallpass/authserver/internal/signup"
)

// signUpPath is the path of the page for asking for an account.
const signUpPath = "/signup"

// maxWaiting bounds the query of an authorization request that waits for a sign-up, in bytes: browsers drop a cookie
// of more than 4096 bytes.
const maxWaiting = 2900

// signUpLink returns the link of the login page for making an account, to continue with an authorization request
// whose query may be empty. It returns an empty text unless everybody may sign up.
func (e *endpoints) signUpLink(query string) string {
	switch {
	case e.cfg.SignUp == nil || e.cfg.SignUp.Policy.Mode != signup.Open:
		return ""
	case query == "":
		return signUpPath
	}
	return signUpPath + "?" + query
}

// showSignUp serves GET /signup. The query is that of the authorization request that the login page was about.
func (e *endpoints) showSignUp(w http.ResponseWriter, r *http.Request) error {
	e.showSignUpForm(w, r, http.StatusOK, r.URL.RawQuery, page{})
	return nil
}

// showSignUpForm writes the form for an email address. A query that is no authorization request is ignored.
func (e *endpoints) showSignUpForm(w http.ResponseWriter, r *http.Request, status int, query string, p page) {
	p.Title, p.InvitedOnly = say("Sign up"), e.cfg.SignUp.Policy.Mode == signup.Invitation
	if a, err := e.readAuthorization(r, query); err == nil {
		p.Client, p.ClientHost, p.Continue = a.client.Name, a.client.DocumentHost(), query
		p.LoginAgain = "/authorize?" + query
	}
	e.render(w, r, status, "signup", p)
}

// signUp serves POST /signup. The response is the same, and takes as long, whether or not anybody has the address.
func (e *endpoints) signUp(w http.ResponseWriter, r *http.Request) error {
	form, err := readForm(w, r, urlencodedOnly)
	if err != nil {
		return badForm(say("Open this page again."))
	}
	email, query := form.Get("email"), form.Get("continue")
	err = e.cfg.SignUp.Request(r.Context(), email, httpserver.Host(r.RemoteAddr), e.languageOf(r))
	if f := failureOf(err); err != nil && f.userText != nil && !f.unexpected {
		f.setRetryAfter(w)
		e.showSignUpForm(w, r, f.status, query, page{Email: email, Error: f.userText})
		return &handledError{f.code}
	}
	if err != nil {
		return err
	}
	text := say("An email to {email} is on its way. Its link works for {n} minutes.", email, linkMinutes)
	advice := say("No email? Look in your spam folder.")
	if e.cfg.SignUp.Policy.Mode == signup.Invitation {
		text = say("If {email} is invited, an email is on its way. Its link works for {n} minutes.", email, linkMinutes)
	}
	if _, err := e.readAuthorization(r, query); err == nil && len(query) <= maxWaiting {
		http.SetCookie(w, e.waitingCookie(email, query, account.LinkLifetime))
		advice = say("Open the link in this browser to continue to the app. No email? Look in your spam folder.")
	}
	e.message(w, r, http.StatusOK, say("Check your email"), text, advice)
	return nil
}

// showSignUpAccount serves GET /signup/account, the page of a link in a mail. It changes nothing.
func (e *endpoints) showSignUpAccount(w http.ResponseWriter, r *http.Request) error {
	query, err := readPageQuery(r.URL.RawQuery, emailAdvice)
	if err != nil {
		return err
	}
	text := query.Get(mail.LinkParameter)
	link, name, err := e.cfg.SignUp.Open(r.Context(), text)
	if err != nil {
		return err
	}
	return e.showAccountForm(w, r, http.StatusOK, page{Email: link.Email, Name: name, Link: text})
}

// showAccountForm writes the form for a new account. It names the user who is logged in, and says whether the new
// account ends that.
func (e *endpoints) showAccountForm(w http.ResponseWriter, r *http.Request, status int, p page) error {
	s, err := e.session(r)
	if err != nil {
		return err
	}
	p.Title, p.User = say("Create your account"), s.user.Username
	p.MinPassword = e.cfg.Passwords.MinPasswordOf(account.User{})
	var targets []string
	if a, _ := e.waitingRequest(r, p.Email); a != nil {
		targets, p.Continues = []string{formTarget(a.redirectURI)}, true
	}
	e.render(w, r, status, "signupaccount", p, targets...)
	return nil
}

// signUpAccount serves POST /signup/account. In the browser that asked for an account with the address, the user is
// logged in, and the authorization request goes on.
func (e *endpoints) signUpAccount(w http.ResponseWriter, r *http.Request) error {
	form, err := readForm(w, r, urlencodedOnly)
	if err != nil {
		return badForm(emailAdvice)
	}
	text := form.Get(mail.LinkParameter)
	link, _, err := e.cfg.SignUp.Open(r.Context(), text)
	if err != nil {
		return err
	}
	user, err := e.cfg.SignUp.SignUp(r.Context(), text, signup.Choice{
		Username: form.Get("username"), Name: form.Get("name"), Password: form.Get("password"), Language: e.languageOf(r),
	}, httpserver.Host(r.RemoteAddr))
	if f := failureOf(err); err != nil && f.userText != nil && !f.unexpected && f.title == nil {
		f.setRetryAfter(w)
		if err := e.showAccountForm(w, r, f.status, page{
			Email: link.Email, Username: form.Get("username"), Name: form.Get("name"), Link: text, Error: f.userText,
			Wrong: wrongField(err),
		}); err != nil {
			return err
		}
		return &handledError{f.code}
	}
	if err != nil {
		return err
	}
	return e.continueSignedUp(w, r, user)
}

// wrongField returns the name of the field of the account form that an error is about; empty if it is not known.
func wrongField(err error) string {
	switch {
	case errors.Is(err, account.ErrWeakPassword):
		return "password"
	case errors.Is(err, signup.ErrUsername):
		return "username"
	}
	return ""
}

// continueSignedUp goes on with the authorization request that waits in this browser, as the new user, if there is
// one.
func (e *endpoints) continueSignedUp(w http.ResponseWriter, r *http.Request, user account.User) error {
	a, query := e.waitingRequest(r, user.Email)
	if a == nil || a.wrongUser(user.ID) {
		return e.showSignedUp(w, r, user)
	}
	next, err := e.afterPassword(w, r, firstStep{
		user: user, continueAt: "/authorize?" + afterLogin(query), clientID: a.client.ID,
		grantType: oauth.GrantAuthorizationCode, needsFactor: a.needsSecondFactor,
	})
	if err != nil {
		return err
	}
	e.cfg.SignUp.Login.LogLogin(r.Context(), user, account.Attempt{
		Address: httpserver.Host(r.RemoteAddr), ClientID: a.client.ID, GrantType: oauth.GrantAuthorizationCode,
	})
	http.SetCookie(w, e.waitingCookie("", "", -time.Second))
	redirect(w, next)
	return nil
}

// showSignedUp writes the page that says that the account is made. It names another user who is logged in.
func (e *endpoints) showSignedUp(w http.ResponseWriter, r *http.Request, user account.User) error {
	s, err := e.session(r)
	if err != nil {
		return err
	}
	p := page{
		Title: say("You can log in now"), Text: say("Your account {username} is ready.", user.Username),
		Advice: say("Go back to the app and log in."),
	}
	if s.digest != "" {
		p.Advice = say("You are still logged in as {name} in this browser: log out first.", s.user.Username)
		p.OffersLogout = true
	}
	e.render(w, r, http.StatusOK, "message", p)
	return nil
}

// waitingName returns the name of the cookie that has an authorization request. Its prefix is that of cookieName.
func (e *endpoints) waitingName() string { return e.cookieName() + "_signup" }

// waitingCookie returns the cookie that has the query of an authorization request until the account for it is made, and
// the digest of the email address of that account. A negative maxAge deletes it. It is trusted no more than a link to
// /authorize.
func (e *endpoints) waitingCookie(email, query string, maxAge time.Duration) *http.Cookie {
	value := ""
	if maxAge > 0 {
		value = e.cfg.SignUp.AddressDigest(email) + "." + base64.RawURLEncoding.EncodeToString([]byte(query))
	}
	return e.cookie(e.waitingName(), value, maxAge)
}

// waitingRequest returns the authorization request that waits in this browser for an account with the email address,
// and its query; nil without one. So somebody who gets another person to open a link does not get the account with
// the address of the link into the app where that person asked for an account.
func (e *endpoints) waitingRequest(r *http.Request, email string) (*authorization, string) {
	cookie, err := r.Cookie(e.waitingName())
	if err != nil {
		return nil, ""
	}
	digest, encoded, _ := strings.Cut(cookie.Value, ".")
	if digest != e.cfg.SignUp.AddressDigest(email) {
		return nil, ""
	}
	query, err := base64.RawURLEncoding.DecodeString(encoded)
	if err != nil || len(query) == 0 || whyUnusable(string(query)) != "" {
		return nil, ""
	}
	if _, err := url.ParseQuery(string(query)); err != nil {
		return nil, ""
	}
	a, err := e.readAuthorization(r, string(query))
	if err != nil {
		return nil, ""
	}
	return a, string(query)
}
