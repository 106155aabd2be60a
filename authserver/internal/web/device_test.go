package web_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/oauth2"

	"github.com/hallpass-auth/hallpass/shared/keyring"
	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/client"
	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
	"github.com/hallpass-auth/hallpass/authserver/internal/issuing"
	"github.com/hallpass-auth/hallpass/authserver/internal/web"
)

// tv is a public client that devices run, and tvBox a confidential one.
const (
	tv    = "tv"
	tvBox = "tv-box"
)

// deviceSite is a site where john is logged in at a browser, and devices can be connected.
type deviceSite struct {
	*site
	cookie string // of john's browser
}

func newDeviceSite(t *testing.T, change ...func(*web.Config)) *deviceSite {
	t.Helper()
	return addDevices(newSite(t, change...))
}

// addDevices adds the clients of the devices, and a browser that john is logged in with.
func addDevices(s *site) *deviceSite {
	s.t.Helper()
	for id, firstParty := range map[string]bool{tv: false, tvBox: true} {
		c := client.Client{
			ID: id, Name: "Name of " + id, FirstParty: firstParty, Scope: oauth.Scope{"profile", "items:read"},
			Grants:    []oauth.GrantType{oauth.GrantDeviceCode, oauth.GrantRefreshToken},
			CreatedAt: s.clock(),
		}
		if id == tvBox {
			secret, digest, err := client.GenerateSecret(strings.NewReader(strings.Repeat("t", 64)))
			s.must(err)
			s.hide(secret)
			c.SecretDigest, s.secrets[id] = digest, secret
		}
		s.must(s.data.CreateClient(s.t.Context(), c))
	}
	s.addCodeApp()
	return &deviceSite{s, s.sessionCookie()}
}

// authorize sends a device authorization request.
func (s *deviceSite) authorize(body string, changes ...change) answer {
	s.t.Helper()
	r := s.request(body, changes...)
	r.URL.Path = "/device_authorization"
	return s.send(r)
}

// start starts a device authorization of a client.
func (s *deviceSite) start(body string, changes ...change) oauth.DeviceAuthorization {
	s.t.Helper()
	got := s.authorize(body, changes...)
	var d oauth.DeviceAuthorization
	got.decode(&d)
	if got.status != http.StatusOK || got.header.Get("Cache-Control") != "no-store" {
		s.t.Fatalf("%d %v %s", got.status, got.header, got.text)
	}
	s.hide(d.DeviceCode)
	s.hide(d.UserCode)
	return d
}

// poll polls for tv.
func (s *deviceSite) poll(d oauth.DeviceAuthorization) answer {
	s.t.Helper()
	a := s.post(url.Values{
		"grant_type": {string(oauth.GrantDeviceCode)}, "device_code": {d.DeviceCode}, "client_id": {tv},
	}.Encode())
	if refresh, ok := a.body["refresh_token"].(string); ok {
		s.hide(refresh)
	}
	return a
}

// open opens the page in john's browser.
func (s *deviceSite) open(query string) answer {
	return s.serve(withCookie(httptest.NewRequest(http.MethodGet, issuer+"/device?"+query, nil), s.cookie))
}

// decide sends the form of the page, with changes.
func (s *deviceSite) decide(d oauth.DeviceAuthorization, decision string, changes ...string) answer {
	s.t.Helper()
	form := url.Values{"user_code": {d.UserCode}, "user": {s.userID(john)}, "decision": {decision}}
	for i := 0; i < len(changes); i += 2 {
		form.Set(changes[i], changes[i+1])
	}
	return s.serve(withCookie(pageForm("/device", form), s.cookie))
}

// says checks the status of a page and a part of it.
func (a answer) says(what string, status int, text string) {
	a.t.Helper()
	if a.status != status || !strings.Contains(a.text+a.header.Get("Location"), text) {
		a.t.Errorf("%s: %d %v\n%s\nwant %d with %q", what, a.status, a.header, a.text, status, text)
	}
}

// RFC 8628 sections 3.1 and 3.2.
func TestDeviceAuthorization(t *testing.T) {
	t.Parallel()
	s := newDeviceSite(t)
	for what, got := range map[string]oauth.DeviceAuthorization{
		"public":       s.start("client_id=tv&scope=profile"),
		"confidential": s.start("resource="+url.QueryEscape(audience), basic(tvBox, s.secrets[tvBox])),
	} {
		page := issuer + "/device"
		code, ok := grant.ParseUserCode(got.UserCode)
		if !ok || grant.ShownUserCode(code) != got.UserCode || !strings.HasPrefix(got.DeviceCode, grant.DevicePrefix) ||
			got.VerificationURI != page || got.VerificationURIComplete != page+"?user_code="+got.UserCode ||
			got.ExpiresIn != 600 || got.Interval != 5 {
			t.Errorf("%s: %+v", what, got)
		}
	}
	var metadata map[string]any
	s.metadata().decode(&metadata)
	if metadata["device_authorization_endpoint"] != issuer+"/device_authorization" {
		t.Errorf("metadata: %v", metadata)
	}
}

func TestDeviceAuthorizationRefused(t *testing.T) {
	t.Parallel()
	s := newDeviceSite(t)
	get := func(r *http.Request) { r.Method = http.MethodGet }
	query := func(r *http.Request) { r.URL.RawQuery = "client_id=tv" }
	json := header("Content-Type", "application/json")
	for _, tt := range []struct {
		what, body string
		change     change
		status     int
		says       string
	}{
		{"no client", "", nil, 400, "unauthorized_client"}, // the default client
		{"unknown client", "client_id=nobody", nil, 401, "invalid_client"},
		{"client without the grant type", "client_id=" + public, nil, 400, "unauthorized_client"},
		{"no secret", "client_id=" + tvBox, nil, 401, "invalid_client"},
		{"wrong secret", "", basic(tvBox, guess), 401, "invalid_client"},
		{"secret of a public client", "client_id=tv&client_secret=" + guess, nil, 401, "invalid_client"},
		{"client given twice", "client_id=tv&client_id=tv", nil, 400, "client_id is given more than once"},
		{"scope given twice", "client_id=tv&scope=profile&scope=profile", nil, 400, "scope is given more than once"},
		{"scope that it may not have", "client_id=tv&scope=admin", nil, 400, "invalid_scope"},
		{"malformed scope", "client_id=tv&scope=a%22b", nil, 400, "invalid_scope"},
		{"scope too long", "client_id=tv&scope=" + strings.Repeat("x", 2000), nil, 400, "1024"},
		{"unknown resource", "client_id=tv&resource=https://nowhere.example", nil, 400, "invalid_target"},
		{"two resources", "client_id=tv&resource=a&resource=b", nil, 400, "invalid_target"},
		{"too large", "client_id=tv&x=" + strings.Repeat("x", 20<<10), nil, 400, "larger than"},
		{"not UTF-8", "client_id=tv&scope=%ff", nil, 400, "UTF-8"},
		{"NUL", "client_id=tv&scope=%00", nil, 400, "NUL"},
		{"malformed form", "client_id=tv&%zz", nil, 400, "well-formed"},
		{"JSON", `{"client_id":"tv"}`, json, 400, "Content-Type"},
		{"in the query", "", query, 400, "in the body"},
		{"GET", "", get, 405, "Not Allowed"},
	} {
		changes := []change{}
		if tt.change != nil {
			changes = append(changes, tt.change)
		}
		s.authorize(tt.body, changes...).says(tt.what, tt.status, tt.says)
	}
}

// RFC 8628 sections 3.4 and 3.5: a device polls until its user has decided.
func TestDeviceGrant(t *testing.T) {
	t.Parallel()
	s := newDeviceSite(t)
	d := s.start("client_id=tv&scope=profile")
	pending := func(what string, after time.Duration, code oauth.ErrorCode) {
		t.Helper()
		s.wait(after)
		s.poll(d).expect(what, http.StatusBadRequest, code, "")
	}
	pending("first poll", 0, oauth.CodeAuthorizationPending)
	pending("too soon", 3*time.Second, oauth.CodeSlowDown)
	pending("after the old interval", 5*time.Second, oauth.CodeSlowDown)
	pending("after the interval", 15*time.Second, oauth.CodeAuthorizationPending)
	s.open("user_code="+d.UserCode).says("page", http.StatusOK, "Name of tv")
	s.decide(d, "allow").says("approval", http.StatusOK, "Device connected")

	got := s.poll(d) // too soon, but what it waits for is there
	claims := s.expectOK("poll", got)
	if claims.Subject != s.userID(john) || claims.ClientID != tv || claims.Scope.String() != "profile" ||
		claims.Audience[0] != audience {
		t.Errorf("claims %+v", claims)
	}
	refresh, _ := got.body["refresh_token"].(string)
	next := s.post(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {refresh}, "client_id": {tv}}.Encode())
	s.expectOK("refreshing", next)
	next.hideRefresh(s.site)

	s.poll(d).expect("polling again", http.StatusBadRequest, oauth.CodeInvalidGrant, "")
	if !s.revoked(claims) {
		t.Error("a device code was used twice, and its tokens stay valid")
	}
}

// hideRefresh makes the end of the test look for the refresh token.
func (a answer) hideRefresh(s *site) {
	if refresh, ok := a.body["refresh_token"].(string); ok {
		s.hide(refresh)
	}
}

func TestDeviceDeniedOrExpired(t *testing.T) {
	t.Parallel()
	s := newDeviceSite(t)
	denied, expired := s.start("client_id=tv"), s.start("client_id=tv")
	s.decide(denied, "deny").says("denial", http.StatusOK, "gets no access")
	for range 2 {
		s.poll(denied).expect("denied", http.StatusBadRequest, oauth.CodeAccessDenied, "")
	}
	s.decide(denied, "allow").says("allowing what was denied", http.StatusBadRequest, "No device is showing")
	s.open("user_code="+denied.UserCode).says("the page of what was denied", http.StatusBadRequest, "No device is showing")
	s.wait(grant.DeviceLifetime)
	for _, d := range []oauth.DeviceAuthorization{expired, denied} {
		s.poll(d).expect("expired", http.StatusBadRequest, oauth.CodeExpiredToken, "")
	}
	s.decide(expired, "allow").says("allowing what has expired", http.StatusBadRequest, "No device is showing")
}

// A poll with a device code of another client, or with what is no device code, tells nothing.
func TestDevicePollRefused(t *testing.T) {
	t.Parallel()
	s := newDeviceSite(t)
	d := s.start("client_id=tv")
	poll := func(code string) string {
		return url.Values{"grant_type": {string(oauth.GrantDeviceCode)}, "device_code": {code}}.Encode()
	}
	box := basic(tvBox, s.secrets[tvBox])
	s.post(poll(d.DeviceCode), box).expect("another client", 400, oauth.CodeInvalidGrant, "")
	s.decide(d, "allow")
	s.post(poll(d.DeviceCode), box).expect("another client, approved", 400, oauth.CodeInvalidGrant, "")
	for _, code := range []string{
		"x", d.UserCode, d.DeviceCode + "x", strings.ToUpper(d.DeviceCode), strings.Repeat("x", 9999),
	} {
		s.post(poll(code), box).expect("unknown code", 400, oauth.CodeInvalidGrant, "")
	}
	s.post(poll(""), box).expect("no code", 400, oauth.CodeInvalidRequest, "missing: device_code")
	s.post(poll("x")+"&device_code=x", box).expect("two codes", 400, oauth.CodeInvalidRequest, "device_code is given")
	s.post(poll(d.DeviceCode)+"&client_id="+public).expect("not allowed", 400, oauth.CodeUnauthorizedClient, "")
	s.post(poll(d.DeviceCode)+"&client_id=tv&resource=https://other.example").
		expect("another resource", 400, oauth.CodeInvalidTarget, "")
	s.expectOK("its own client", s.poll(d))
}

// Two polls at once get tokens once.
func TestDeviceRedeemedAtOnce(t *testing.T) {
	t.Parallel()
	s := newDeviceSite(t)
	d := s.start("client_id=tv")
	s.decide(d, "allow")
	var mu sync.Mutex
	var polls sync.WaitGroup
	got := map[int]int{}
	for range 8 {
		polls.Go(func() {
			a := s.poll(d)
			mu.Lock()
			defer mu.Unlock()
			got[a.status]++
		})
	}
	polls.Wait()
	if got[http.StatusOK] != 1 || got[http.StatusBadRequest] != 7 {
		t.Errorf("statuses %v, want one 200", got)
	}
}

// Anybody can ask for device codes, so that their number is limited.
func TestTooManyDevices(t *testing.T) {
	t.Parallel()
	s := newDeviceSite(t)
	for range grant.MaxDevicesOfNetwork {
		s.start("client_id=tv")
	}
	got := s.authorize("client_id=tv")
	got.says("one more", http.StatusTooManyRequests, "temporarily_unavailable")
	if got.header.Get("Retry-After") != "5" {
		t.Errorf("headers %v", got.header)
	}
	s.wait(grant.DeviceLifetime)
	s.start("client_id=tv")
}

// A device's login outlives the browser session that approved it, and ends with all logins of the user.
func TestDeviceAndLogout(t *testing.T) {
	t.Parallel()
	s := newDeviceSite(t)
	fetched, waiting := s.start("client_id=tv"), s.start("client_id=tv")
	s.decide(fetched, "allow")
	s.decide(waiting, "allow")
	logout := s.serve(withCookie(pageForm("/logout", url.Values{"apps": {"end"}}), s.cookie))
	logout.says("logout", http.StatusSeeOther, "/logout")
	claims := s.expectOK("after the logout of the browser", s.poll(fetched))
	if s.revoked(claims) {
		t.Error("a logout of the browser ended the device")
	}
	s.must(s.data.LogOut(t.Context(), john, "", s.clock()))
	s.poll(waiting).expect("a device that had not fetched its tokens", http.StatusBadRequest, oauth.CodeInvalidGrant, "")
	s.wait(time.Second) // a status list is read again after a moment
	if !s.revoked(claims) {
		t.Error("a logout everywhere left the device logged in")
	}
}

// What the client has lost of the scope is neither shown nor given.
func TestDeviceOfANarrowedClient(t *testing.T) {
	t.Parallel()
	s := newDeviceSite(t)
	before, between, nothing := s.start("client_id=tv"), s.start("client_id=tv"), s.start("client_id=tv&scope=items:read")
	s.decide(between, "allow")
	set := func(scope ...string) {
		_, err := s.data.UpdateClient(t.Context(), tv, s.clock(), func(c client.Client) (client.Client, error) {
			c.Scope = scope
			return c, nil
		})
		s.must(err)
		s.wait(issuing.CacheTime)
	}
	set("profile")
	if page := s.open("user_code=" + before.UserCode); strings.Contains(page.text, "items:read") {
		t.Errorf("the page shows what the client may not have: %s", page.text)
	}
	s.open("user_code="+nothing.UserCode).says("nothing is left", http.StatusBadRequest, "No device is showing")
	s.decide(before, "allow")
	for _, d := range []oauth.DeviceAuthorization{before, between} {
		if got := s.expectOK("poll", s.poll(d)).Scope.String(); got != "profile" {
			t.Errorf("scope %q", got)
		}
	}
	_, err := s.data.UpdateClient(t.Context(), tv, s.clock(), func(c client.Client) (client.Client, error) {
		c.Grants = []oauth.GrantType{oauth.GrantPassword}
		return c, nil
	})
	s.must(err)
	s.open("user_code="+nothing.UserCode).says("without the grant type", http.StatusBadRequest, "No device is showing")
}

func TestDeviceEvents(t *testing.T) {
	t.Parallel()
	s := newDeviceSite(t)
	first, second := s.start("client_id=tv&scope=profile"), s.start("client_id=tv")
	before := len(s.events())
	s.open("user_code=BCDFGHJK")
	s.decide(first, "allow")
	s.decide(second, "deny")
	want := []string{
		`level=WARN msg="unknown user code" event=user_code_unknown user=usr_x address=192.0.2.1`,
		`level=INFO msg="device approved" event=device_approved user=usr_x client=tv api=` + audience + ` scope=profile`,
		`level=INFO msg="device denied" event=device_denied user=usr_x client=tv`,
	}
	if got := s.events()[before:]; strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("events:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// Without a database, a device and its user are told to try again.
func TestDeviceWithoutDatabase(t *testing.T) {
	t.Parallel()
	s := newDeviceSite(t)
	d := s.start("client_id=tv")
	s.must(s.data.Close())
	s.authorize("client_id=tv").says("device authorization", http.StatusServiceUnavailable, "temporarily_unavailable")
	s.poll(d).expect("poll", http.StatusServiceUnavailable, oauth.CodeTemporarilyUnavailable, "")
	s.open("user_code="+d.UserCode).says("page", http.StatusServiceUnavailable, "not available")
}

// golang.org/x/oauth2 connects a device.
func TestOAuth2DeviceClient(t *testing.T) {
	t.Parallel()
	s := newDeviceSite(t)
	config := oauth2.Config{
		ClientID: tv, Scopes: []string{"profile"},
		Endpoint: oauth2.Endpoint{DeviceAuthURL: s.url + "/device_authorization", TokenURL: s.url + "/token"},
	}
	d, err := config.DeviceAuth(t.Context())
	s.must(err)
	s.hide(d.DeviceCode)
	s.hide(d.UserCode)
	if d.VerificationURIComplete != issuer+"/device?user_code="+d.UserCode || d.Interval != 5 {
		t.Errorf("got %+v", d)
	}
	s.decide(oauth.DeviceAuthorization{UserCode: d.UserCode}, "allow")
	d.Interval = 1
	got, err := config.DeviceAccessToken(t.Context(), d)
	s.must(err)
	s.hide(got.AccessToken)
	s.hide(got.RefreshToken)
	claims, err := s.verifier.Verify(t.Context(), got.AccessToken)
	if err != nil || claims.Subject != s.userID(john) {
		t.Errorf("claims %+v, %v", claims, err)
	}
}

// With the scope openid, a device gets ID tokens (OpenID Connect Core section 2). They name no browser session.
func TestDeviceIDToken(t *testing.T) {
	t.Parallel()
	s := addDevices(newOpenIDSite(t, keyring.RS256))
	d := s.start("client_id=" + tv + "&scope=openid+email")
	s.decide(d, "allow")
	got := s.poll(d)
	claims := s.idToken("poll", got)
	if got.body["scope"] != "openid email" || claims["sub"] != s.userID(john) || claims["sid"] != nil ||
		claims["auth_time"] == nil {
		t.Errorf("%s: %v", got.text, claims)
	}
}
