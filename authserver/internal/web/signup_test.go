package web_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/client"
	"github.com/hallpass-auth/hallpass/authserver/internal/mail"
	"github.com/hallpass-auth/hallpass/authserver/internal/record"
	"github.com/hallpass-auth/hallpass/authserver/internal/signup"
)

const (
	ada      = "ada"
	adaEmail = "ada@example.com"
)

// newSignUpSite starts a site where everybody may sign up.
func newSignUpSite(t *testing.T) *recoverySite {
	t.Helper()
	return newMailSite(t, signup.Policy{Mode: signup.Open})
}

// askForAccount sends the form for an email address.
func (s *recoverySite) askForAccount(email string) answer {
	s.t.Helper()
	return s.serve(pageForm("/signup", url.Values{"email": {email}}))
}

// signUpLink asks for an account and returns the secret of the link.
func (s *recoverySite) signUpLink(email string) string {
	s.t.Helper()
	s.askForAccount(email).says("the form", http.StatusOK, "Check your email")
	s.sendMails()
	return s.linkTo("/signup/account")
}

// accountForm returns the request for an account. The changes are pairs of a field and a value.
func accountForm(link string, changes ...string) *http.Request {
	form := url.Values{"link": {link}, "username": {ada}, "name": {"Ada Lovelace"}, "password": {newPassword}}
	for i := 0; i < len(changes); i += 2 {
		form.Set(changes[i], changes[i+1])
	}
	return pageForm("/signup/account", form)
}

// waitingCookie returns the cookie with which a browser continues after a sign-up, as the browser sends it.
func waitingCookie(a answer) string {
	cookie, _, _ := strings.Cut(a.header.Get("Set-Cookie"), ";")
	return cookie
}

func TestSignUp(t *testing.T) {
	t.Parallel()
	s := newSignUpSite(t)
	s.serve(httptest.NewRequest(http.MethodGet, issuer+"/signup", nil)).says("the form", http.StatusOK, "Send the email")
	asked := s.askForAccount(" ada@EXAMPLE.com ")
	asked.says("the form", http.StatusOK, "Check your email")
	if cookie := asked.header.Get("Set-Cookie"); cookie != "" {
		t.Errorf("a cookie without an authorization request: %q", cookie)
	}
	sent := s.sendMails()
	if len(sent) != 1 || sent[0].To != adaEmail || !strings.Contains(sent[0].Text, "30 minutes") {
		t.Fatalf("got the mails %+v", sent)
	}
	link := s.linkTo("/signup/account")
	for range 3 { // mail scanners open links
		s.serve(openPage("/signup/account", link)).says("the link", http.StatusOK, adaEmail)
	}
	s.serve(accountForm(link)).says("the account", http.StatusOK, "You can log in now")
	u, err := s.data.UserByUsername(t.Context(), ada)
	s.must(err)
	if u.Email != adaEmail || !u.EmailVerified || u.Name != "Ada Lovelace" || len(u.Groups) != 0 ||
		u.CreatedAt != s.clock() {
		t.Errorf("got the user %+v", u)
	}
	if got := s.serve(loginFormOf(ada, newPassword)); got.status != http.StatusSeeOther {
		t.Errorf("the login: %d\n%s", got.status, got.text)
	}
	s.serve(openPage("/signup/account", link)).says("a used link", http.StatusBadRequest, "This link does not work")
	s.serve(accountForm(link, "username", "eve")).says("a used link", http.StatusBadRequest, "This link does not work")
	if log := s.log.String(); !strings.Contains(log, "event=signed_up") || strings.Contains(log, adaEmail) {
		t.Errorf("the log is\n%s", log)
	}
}

// The authorization request that was interrupted goes on in the same browser.
func TestSignUpContinues(t *testing.T) {
	t.Parallel()
	s := newSignUpSite(t)
	query := codeRequest("state", "a b&c", "prompt", "login").Encode()
	login := s.serve(httptest.NewRequest(http.MethodGet, issuer+"/authorize?"+query, nil))
	href := `href="/signup?` + strings.NewReplacer("&", "&amp;", "+", "&#43;").Replace(query) + `"`
	login.says("the login page", http.StatusOK, href)
	s.serve(httptest.NewRequest(http.MethodGet, issuer+"/signup?"+query, nil)).says("the form", http.StatusOK, "Code App")
	ask := func(email string) (cookie, link string) {
		a := s.serve(pageForm("/signup", url.Values{"email": {email}, "continue": {query}}))
		a.says("the form", http.StatusOK, "Open the link in this browser")
		set := a.header.Get("Set-Cookie")
		if !strings.HasPrefix(set, "__Host-hallpass_signup=") || !strings.Contains(set, "; HttpOnly; Secure; SameSite=Lax") {
			t.Errorf("the cookie is %q", set)
		}
		s.sendMails()
		return waitingCookie(a), s.linkTo("/signup/account")
	}
	cookie, link := ask(adaEmail)
	page := s.serve(withCookie(openPage("/signup/account", link), cookie))
	if policy := page.header.Get("Content-Security-Policy"); !strings.HasSuffix(policy, "form-action 'self' https:") {
		t.Errorf("the form could not redirect to the app: %s", policy)
	}
	got := s.serve(withCookie(accountForm(link), cookie))
	if got.status != http.StatusSeeOther || !strings.HasPrefix(got.header.Get("Location"), "/authorize?") {
		t.Fatalf("got %d %v\n%s", got.status, got.header, got.text)
	}
	cookies := got.header.Values("Set-Cookie")
	if len(cookies) != 3 || !strings.HasPrefix(cookies[2], "__Host-hallpass_signup=; Path=/; Max-Age=0") {
		t.Fatalf("got the cookies %q", cookies)
	}
	session, _, _ := strings.Cut(cookies[0], ";")
	next := httptest.NewRequest(http.MethodGet, issuer+got.header.Get("Location"), nil)
	s.serve(withCookie(next, session)).says("the next page", http.StatusSeeOther, "https://app.example/back?code=")
	s.expectEvent("login", "user=usr_x username=ada address=192.0.2.1 client=code-app grant_type=authorization_code")

	_, link = ask("eve@example.com")
	s.serve(accountForm(link, "username", "eve")).says("another browser", http.StatusOK, "You can log in now")
	good, _ := ask("mallory@example.com")
	digest, request, _ := strings.Cut(strings.TrimPrefix(good, "__Host-hallpass_signup="), ".")
	for i, bad := range []string{
		"%%%", "", ".", request, "." + request, digest, digest + ".", digest + ".Y2xpZW50X2lkPW5vYm9keQ", digest + ".AAAA",
		digest + "." + strings.Repeat("A", 8000), digest[1:] + "." + request,
	} {
		user := "mallory" + strings.Repeat("x", i)
		r := withCookie(accountForm(s.signUpLink(user+"@example.com"), "username", user), "__Host-hallpass_signup="+bad)
		s.serve(r).says(bad, http.StatusOK, "You can log in now")
	}
}

// A link to another address than the one that was typed in this browser does not continue: somebody else may have sent
// it. The page names the user who is logged in.
func TestSignUpDoesNotContinueWithAnotherAddress(t *testing.T) {
	t.Parallel()
	s := newSignUpSite(t)
	query := codeRequest().Encode()
	asked := s.serve(pageForm("/signup", url.Values{"email": {"ADA@Example.com"}, "continue": {query}}))
	s.sendMails()
	own := s.linkTo("/signup/account")
	cookies := waitingCookie(asked) + "; " + s.sessionCookie()
	if strings.Contains(strings.ToLower(cookies), "ada") {
		t.Errorf("the address is in the cookie %q", cookies)
	}
	foreign := s.signUpLink("mallory@example.com")

	page := s.serve(withCookie(openPage("/signup/account", foreign), cookies))
	page.says("the page", http.StatusOK, "You are logged in as <strong>"+john+"</strong> in this browser.</p>")
	if policy := page.header.Get("Content-Security-Policy"); !strings.HasSuffix(policy, "form-action 'self'") {
		t.Errorf("the form can redirect to the app: %s", policy)
	}
	got := s.serve(withCookie(accountForm(foreign, "username", "mallory"), cookies))
	got.says("another address", http.StatusOK, "You can log in now")
	got.says("another address", http.StatusOK, "still logged in as "+john)
	got.says("another address", http.StatusOK, `href="/logout"`)
	if set := got.header.Values("Set-Cookie"); len(set) != 0 {
		t.Errorf("another address: got the cookies %q", set)
	}

	page = s.serve(withCookie(openPage("/signup/account", own), cookies))
	page.says("the page", http.StatusOK, "Creating this account logs "+john+" out here.")
	weak := s.serve(withCookie(accountForm(own, "password", "short"), cookies))
	weak.says("a weak password", http.StatusBadRequest, "Creating this account logs "+john+" out here.")
	if got := s.serve(withCookie(accountForm(own), cookies)); got.status != http.StatusSeeOther {
		t.Errorf("the same address: got %d\n%s", got.status, got.text)
	}
	s.serve(openPage("/signup/account", s.signUpLink("eve@example.com"))).lacks("nobody", "logged in as")
}

// A request that is too long for a cookie, or no request, does not go on.
func TestSignUpDoesNotContinue(t *testing.T) {
	t.Parallel()
	s := newSignUpSite(t)
	for name, query := range map[string]string{
		"long":           codeRequest("state", strings.Repeat("x", 3000)).Encode(),
		"too long":       codeRequest("state", strings.Repeat("x", 10_000)).Encode(),
		"unknown client": codeRequest("client_id", "nobody").Encode(),
		"no query":       "javascript:alert(1)",
	} {
		a := s.serve(pageForm("/signup", url.Values{"email": {adaEmail}, "continue": {query}}))
		a.says(name, http.StatusOK, "Check your email")
		if cookie := a.header.Get("Set-Cookie"); cookie != "" {
			t.Errorf("%s: got the cookie %q", name, cookie)
		}
	}
}

// The page says the same for every address. Users who have it get a mail.
func TestSignUpOfAUser(t *testing.T) {
	t.Parallel()
	s := newSignUpSite(t)
	s.setEmail(disabled, "disabled@example.com", true)
	want := s.askForAccount(adaEmail)
	s.sendMails()
	for _, email := range []string{johnsEmail, "JOHN@example.com", "John@EXAMPLE.com"} {
		got := s.askForAccount(email)
		if got.status != want.status || strings.ReplaceAll(got.text, email, adaEmail) != want.text {
			t.Errorf("%s: got %d\n%s", email, got.status, got.text)
		}
		sent := s.sendMails()
		if len(sent) != 1 || sent[0].To != johnsEmail || !strings.Contains(sent[0].Text, john) ||
			!strings.Contains(sent[0].Text, issuer+"/forgot") || strings.Contains(sent[0].Text, "link=") {
			t.Errorf("%s: got the mails %+v", email, sent)
		}
	}
	s.askForAccount("disabled@example.com").says("a disabled user", http.StatusOK, "Check your email")
	if sent := s.sendMails(); len(sent) != 0 {
		t.Errorf("a disabled user gets the mails %+v", sent)
	}

	// An address that nobody has verified is nobody's.
	s.wait(mail.NamePeriod)
	s.setEmail(john, johnsEmail, false)
	link := s.signUpLink(johnsEmail)
	s.serve(accountForm(link)).says("the account", http.StatusOK, "You can log in now")
	s.setEmail(john, johnsEmail, true)
}

func TestSignUpEmailErrors(t *testing.T) {
	t.Parallel()
	s := newMailSite(t, signup.Policy{Mode: signup.Open, Domains: []string{"example.com", "example.org"}})
	for _, email := range []string{
		"", "ada", "ada@", "@example.com", "a@b@example.com", "ada@exa mple.com", "\u0430da@example.com",
		"ada@ex\u0430mple.com", "ada\u200b@example.com", "ada@example.com\r\nBcc: eve@example.com",
		"ada@example.com,eve@example.com", "Ada <ada@example.com>", `"a da"@example.com`, "ada@[127.0.0.1]",
		strings.Repeat("x", 250) + "@example.com", "'; DROP TABLE users --",
	} {
		s.askForAccount(email).says(email, http.StatusBadRequest, "Type an email address, such as ada@example.com.")
	}
	for _, email := range []string{
		"ada@example.net", "ada@sub.example.com", "ada@notexample.com", "ada@example.com.evil.test",
	} {
		s.askForAccount(email).says(email, http.StatusBadRequest, "You cannot sign up with an email address at this domain.")
	}
	if sent := s.sendMails(); len(sent) != 0 {
		t.Errorf("got the mails %+v", sent)
	}
	s.signUpLink("ada@EXAMPLE.org")

	other := pageForm("/signup", url.Values{"email": {adaEmail}})
	other.Header.Set("Sec-Fetch-Site", "cross-site")
	s.serve(other).says("another site", http.StatusForbidden, "from another site")
	large := pageForm("/signup", url.Values{"email": {adaEmail}, "x": {strings.Repeat("x", 1<<20)}})
	s.serve(large).says("1 MB", http.StatusBadRequest, "could not be read")
	twice := pageForm("/signup", url.Values{"email": {adaEmail, adaEmail}})
	s.serve(twice).says("two addresses", http.StatusBadRequest, "could not be read")
}

func TestSignUpAccountErrors(t *testing.T) {
	t.Parallel()
	s := newSignUpSite(t)
	link := s.signUpLink(adaEmail)
	const inUse = "This username, or one that looks the same, is in use. Choose another one."
	for _, tt := range []struct{ field, value, says string }{
		{"password", "", "Use at least 8 characters."},
		{"password", "short", "Use at least 8 characters."},
		{"password", "password123", "It is too easy to guess."},
		{"password", strings.Repeat("ä", 37), "It is too long: only the first 36 of these characters fit (72 bytes)."},
		{"username", "", "The username is empty."},
		{"username", john, inUse},
		{"username", "JOHN.DOE", inUse},
		{"username", "ｊohn.doe", inUse},
		{"username", "j0hn.d0e", inUse},
		{"username", "ϳohn.doe", "The username mixes Latin, Greek, Cyrillic or Armenian letters, which look alike."},
		{"username", "a\u0434a", "The username mixes Latin, Greek, Cyrillic or Armenian letters, which look alike."},
		{"username", "ada\u200b", "The username has a character that cannot be printed."},
		{"username", "a\u202eda", "The username has a character that cannot be printed."},
		{"username", "ada😀", "The username has a character that usernames cannot have"},
		{"username", adaEmail, "The username has an @, which only email addresses can have."},
		{"username", strings.Repeat("x", 129), "The username is longer than 128 bytes."},
		{"name", "Ada\u202e", "The name has a character that cannot be printed."},
		{"name", strings.Repeat("x", 129), "The name is longer than 128 bytes."},
	} {
		got := s.serve(accountForm(link, tt.field, tt.value))
		got.says(tt.field+" "+tt.value, http.StatusBadRequest, tt.says)
		if strings.Contains(got.text, newPassword) || !strings.Contains(got.text, adaEmail) {
			t.Errorf("%s %q: got the page\n%s", tt.field, tt.value, got.text)
		}
	}
	for _, bad := range []string{"", link[:20], "A" + link[1:], strings.Repeat("x", 4000), "<script>"} {
		s.serve(openPage("/signup/account", bad)).says("a bad link", http.StatusBadRequest, "This link does not work")
		s.serve(accountForm(bad)).says("a bad link", http.StatusBadRequest, "This link does not work")
	}
	other := accountForm(link)
	other.Header.Set("Origin", "https://evil.example")
	s.serve(other).says("another site", http.StatusForbidden, "from another site")
	s.serve(accountForm(link, "x", strings.Repeat("x", 1<<20))).says("1 MB", http.StatusBadRequest, "could not be read")

	s.wait(account.LinkLifetime)
	s.serve(openPage("/signup/account", link)).says("an expired link", http.StatusBadRequest, "This link does not work")
	s.serve(accountForm(link)).says("an expired link", http.StatusBadRequest, "This link does not work")
}

// Somebody gets the address or the username while the link is on its way.
func TestSignUpOfWhatIsTakenMeanwhile(t *testing.T) {
	t.Parallel()
	s := newSignUpSite(t)
	first := s.signUpLink(adaEmail)
	second := s.signUpLink("ADA@example.com")
	other := s.signUpLink("other@example.com")
	s.serve(accountForm(first)).says("the first link", http.StatusOK, "You can log in now")
	s.serve(accountForm(second)).says("the second link", http.StatusBadRequest, "This link does not work")
	s.serve(accountForm(other)).says("the same username", http.StatusBadRequest, "is in use")
	s.setEmail(john, "Other@example.com", true)
	s.serve(openPage("/signup/account", other)).says("the address", http.StatusBadRequest, "You already have an account")
	got := s.serve(accountForm(other, "username", "eve"))
	got.says("the address", http.StatusBadRequest, "You already have an account")
	users, err := s.data.Users(t.Context(), record.Page{})
	s.must(err)
	if len(users) != 3 { // john, the disabled user, and ada
		t.Errorf("got %d users", len(users))
	}
}

func TestSignUpByInvitation(t *testing.T) {
	t.Parallel()
	s := newMailSite(t, signup.Policy{Mode: signup.Invitation})
	if got := s.serve(authorizeRequest()); strings.Contains(got.text, "/signup") {
		t.Error("the login page offers an account to everybody")
	}
	form := s.serve(httptest.NewRequest(http.MethodGet, issuer+"/signup", nil))
	form.says("the form", http.StatusOK, "need an invitation")
	s.askForAccount("eve@example.com").says("not invited", http.StatusOK, "Check your email")
	if sent := s.sendMails(); len(sent) != 0 {
		t.Errorf("not invited: got the mails %+v", sent)
	}

	i := account.Invitation{Email: adaEmail, Name: "Ada L.", Groups: []string{"staff"}, CreatedAt: s.clock(),
		ExpiresAt: s.clock().Add(account.InvitationLifetime)}
	request := mail.Request{Kind: mail.Invitation, Typed: adaEmail, CreatedAt: s.clock()}
	s.must(s.data.Invite(t.Context(), i, &request))
	sent := s.sendMails()
	if len(sent) != 1 || sent[0].To != adaEmail || !strings.Contains(sent[0].Text, "Hello Ada L.,") ||
		!strings.Contains(sent[0].Text, "7 days") {
		t.Fatalf("got the mails %+v", sent)
	}
	link := s.linkTo("/signup/account")
	s.wait(6 * 24 * time.Hour)
	again := s.signUpLink(adaEmail) // who has lost the mail gets another one
	s.serve(openPage("/signup/account", link)).says("the link", http.StatusOK, `value="Ada L."`)
	s.serve(accountForm(link, "name", "")).says("the account", http.StatusOK, "You can log in now")
	u, err := s.data.UserByUsername(t.Context(), ada)
	s.must(err)
	if u.Name != ada || !slices.Equal(u.Groups, []string{"staff"}) || !u.EmailVerified {
		t.Errorf("got the user %+v", u)
	}
	s.serve(accountForm(again, "username", "eve")).says("the other link", http.StatusBadRequest, "This link does not work")

	i.Email = "bob@example.com"
	i.CreatedAt, i.ExpiresAt = s.clock(), s.clock().Add(account.InvitationLifetime)
	s.must(s.data.Invite(t.Context(), i, nil))
	link = s.signUpLink("bob@example.com")
	s.must(s.data.Withdraw(t.Context(), "bob@example.com", s.clock()))
	s.serve(accountForm(link)).says("a withdrawn invitation", http.StatusBadRequest, "This link does not work")
}

// An invitation that is withdrawn while its mail waits for another attempt is not sent.
func TestWithdrawnInvitationIsNotSent(t *testing.T) {
	t.Parallel()
	for _, mode := range []signup.Mode{signup.Open, signup.Invitation} {
		s := newMailSite(t, signup.Policy{Mode: mode})
		invite := func(email string) {
			s.must(s.data.Invite(t.Context(), account.Invitation{
				Email: email, CreatedAt: s.clock(), ExpiresAt: s.clock().Add(account.InvitationLifetime),
			}, &mail.Request{Kind: mail.Invitation, Typed: email, CreatedAt: s.clock()}))
		}
		invite(adaEmail)
		invite("eve@example.com")
		s.fails = errors.New("connection refused")
		s.sendMails()
		s.must(s.data.Withdraw(t.Context(), "eve@example.com", s.clock()))
		s.fails = nil
		s.wait(time.Minute)
		if sent := s.sendMails(); len(sent) != 1 || sent[0].To != adaEmail {
			t.Errorf("%v: got the mails %+v, want one to %s", mode, sent, adaEmail)
		}
	}
}

// One network cannot ask for accounts without end, and an address gets few mails.
func TestSignUpFlood(t *testing.T) {
	t.Parallel()
	s := newSignUpSite(t)
	mails := 0
	for range mail.MaxRequestsOfName + 3 {
		s.askForAccount(adaEmail).says("one address", http.StatusOK, "Check your email")
		mails += len(s.sendMails())
	}
	if mails != mail.MaxRequestsOfNameByNetwork {
		t.Errorf("%d mails to one address, want %d", mails, mail.MaxRequestsOfNameByNetwork)
	}
	refused := 0
	for i := range 2 * mail.MaxRequestsOfNetwork {
		if s.askForAccount("x"+strings.Repeat("x", i)+"@example.com").status == http.StatusTooManyRequests {
			refused++
		}
	}
	if want := mail.MaxRequestsOfNetwork + mail.MaxRequestsOfName + 3; refused != want {
		t.Errorf("%d requests of one network were refused, want %d", refused, want)
	}
	full := s.askForAccount(adaEmail)
	full.says("one more", http.StatusTooManyRequests, "Try again in an hour.")
	if full.header.Get("Retry-After") != "3600" {
		t.Errorf("Retry-After is %q", full.header.Get("Retry-After"))
	}
	other := pageForm("/signup", url.Values{"email": {"eve@example.com"}})
	other.RemoteAddr = "198.51.100.7:1234"
	s.serve(other).says("another network", http.StatusOK, "Check your email")

	s.wait(mail.LimitPeriod + time.Second)
	s.askForAccount(adaEmail).says("an hour later", http.StatusOK, "Check your email")
	if n := s.data.Swept()["mail_requests"]; n == 0 {
		t.Error("no old requests were deleted")
	}
}

// A new user takes the place of the one who is logged in in the browser, and is asked for consent.
func TestSignUpWhileLoggedIn(t *testing.T) {
	t.Parallel()
	s := newSignUpSite(t)
	s.must(s.data.CreateClient(t.Context(), client.Client{
		ID: "consent", Name: "Consent App", CreatedAt: s.clock(), Grants: []oauth.GrantType{oauth.GrantAuthorizationCode},
		Scope: oauth.Scope{"profile"}, RedirectURIs: []string{"https://app.example/back"},
	}))
	query := codeRequest("client_id", "consent", "max_age", "0").Encode()
	a := s.serve(pageForm("/signup", url.Values{"email": {adaEmail}, "continue": {query}}))
	s.sendMails()
	old := s.sessionCookie() // john is logged in in this browser
	got := s.serve(withCookie(accountForm(s.linkTo("/signup/account")), waitingCookie(a)+"; "+old))
	session, _, _ := strings.Cut(got.header.Get("Set-Cookie"), ";")
	next := httptest.NewRequest(http.MethodGet, issuer+got.header.Get("Location"), nil)
	consent := s.serve(withCookie(next, session))
	consent.says("the consent page", http.StatusOK, "logged in as <strong>Ada Lovelace</strong>")
	if again := s.serve(withCookie(authorizeRequest(), old)); !strings.Contains(again.text, `name="password"`) {
		t.Errorf("the session of john goes on: %d", again.status)
	}
}

// Without the setting there are no pages.
func TestNoSignUp(t *testing.T) {
	t.Parallel()
	s := newRecoverySite(t)
	if got := s.serve(authorizeRequest()); strings.Contains(got.text, "/signup") {
		t.Error("the login page offers an account")
	}
	for _, path := range []string{"/signup", "/signup/account?link=x"} {
		r := httptest.NewRequest(http.MethodGet, issuer+path, nil)
		if got := s.serve(r); got.status != http.StatusNotFound {
			t.Errorf("%s: status %d", path, got.status)
		}
	}
	s.must(s.data.AddMails(t.Context(), mail.Request{Kind: mail.Invitation, Typed: adaEmail, CreatedAt: s.clock()}))
	if sent := s.sendMails(); len(sent) != 0 || !strings.Contains(s.log.String(), "HALLPASS_SIGNUP") {
		t.Errorf("got the mails %+v, and the log\n%s", sent, s.log.String())
	}
}
