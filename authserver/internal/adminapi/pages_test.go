package adminapi_test

import (
	"crypto/rand"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/adminapi"
	"github.com/hallpass-auth/hallpass/authserver/internal/client"
	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
	"github.com/hallpass-auth/hallpass/authserver/internal/secret"
	"github.com/hallpass-auth/hallpass/authserver/internal/server"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
)

// browser is a browser in which a user is logged in.
type browser struct {
	h      *host
	cookie string
	userID string
}

// browse returns a browser of a user who has logged in by the methods.
func (h *host) browse(username string, methods ...string) browser {
	h.t.Helper()
	u, err := h.data.UserByUsername(h.t.Context(), username)
	h.must(err)
	cookie, now := rand.Text(), h.clock()
	h.must(h.data.StartSession(h.t.Context(), store.NewSession{
		Digest: secret.Digest(cookie), User: u, Methods: methods,
		CreatedAt: now, ExpiresAt: now.Add(time.Hour),
	}))
	return browser{h, cookie, u.ID}
}

// open sends a form, or opens a page if the form is nil, and returns the response and the location.
func (b browser) open(path string, form url.Values) (a answer, location string) {
	b.h.t.Helper()
	method, body := http.MethodGet, ""
	if form != nil {
		method, body = http.MethodPost, form.Encode()
	}
	r, err := http.NewRequestWithContext(b.h.t.Context(), method, b.h.URL+path, strings.NewReader(body))
	b.h.must(err)
	r.Header.Set("Cookie", "__Host-hallpass="+b.cookie)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := http.DefaultTransport.RoundTrip(r) // follows no redirect
	b.h.must(err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	b.h.must(err)
	return answer{resp, string(text)}, resp.Header.Get("Location")
}

// isRefused checks that the app is told an error.
func (b browser) isRefused(what, query, code string) {
	b.h.t.Helper()
	if _, to := b.open("/authorize?"+query, nil); !strings.HasPrefix(to, callback+"?error="+code+"&") {
		b.h.t.Errorf("%s: sent to %q, want %s", what, to, code)
	}
}

// request returns the query of an authorization request for the admin API.
func request(id string, more ...string) string {
	q := url.Values{
		"client_id": {id}, "redirect_uri": {callback}, "response_type": {"code"}, "scope": {"hallpass:admin"},
		"resource": {audience}, "code_challenge": {strings.Repeat("x", 43)}, "code_challenge_method": {"S256"},
	}
	for i := 0; i < len(more); i += 2 {
		q.Set(more[i], more[i+1])
	}
	return q.Encode()
}

// An administrator is asked each time, also by a first-party app, and consent is not remembered.
func TestAuthorizeAsksEachTime(t *testing.T) {
	h := start(t)
	_, err := h.data.UpdateClient(t.Context(), app, h.now, func(c client.Client) (client.Client, error) {
		c.FirstParty = true
		return c, nil
	})
	h.must(err)
	h.wait(time.Second)
	b := h.browse(ada, twoFactors...)
	for range 2 {
		page, _ := b.open("/authorize?"+request(app), nil)
		page.expect(t, "consent", http.StatusOK, "Administer this service")
		_, to := b.open("/consent", url.Values{"continue": {request(app)}, "user": {b.userID}, "decision": {"allow"}})
		if !strings.HasPrefix(to, callback+"?code=") {
			t.Errorf("after consent: %q", to)
		}
	}
	b.isRefused("prompt=none", request(app, "prompt", "none"), "consent_required")
	consents, err := h.data.Consents(t.Context(), b.userID)
	if err != nil || len(consents) != 0 {
		t.Errorf("remembered: %v, %v", consents, err)
	}
}

// What the authorization endpoint refuses (RFC 6749 section 4.1.2.1), and when it asks for another login.
func TestAuthorizeRefuses(t *testing.T) {
	h := start(t, func(s *server.Settings) { s.DefaultClient = "" })
	for _, c := range []client.Client{
		{ID: "document", Source: client.SourceDocument}, {ID: "registered", Source: client.SourceRegistration},
	} {
		c.Name, c.Grants, c.CreatedAt, c.LastUsedAt = c.ID, []oauth.GrantType{oauth.GrantAuthorizationCode}, h.now, h.now
		c.RedirectURIs, c.Scope = []string{callback}, oauth.Scope{"hallpass:admin"}
		h.must(h.data.AddUnregistered(t.Context(), c))
		h.browse(ada, twoFactors...).isRefused(c.ID, request(c.ID), "invalid_target")
	}
	carl := h.browse("carl", twoFactors...)
	carl.isRefused("a user outside of the group", request(app), "access_denied")
	if _, to := carl.open("/consent", url.Values{
		"continue": {request(app)}, "user": {carl.userID}, "decision": {"allow"},
	}); strings.Contains(to, "code=") {
		t.Errorf("the form of a user outside of the group: %q", to)
	}
	h.browse(ada, twoFactors...).isRefused("an app without the scope", request("plain-app"), "invalid_scope")
	page, _ := h.browse(ada, grant.MethodPassword).open("/authorize?"+request(app), nil)
	page.expect(t, "one factor", http.StatusOK, `name="password"`)
	b := h.browse(ada, twoFactors...)
	h.wait(adminapi.MaxLoginAge + time.Second)
	page, _ = b.open("/authorize?"+request(app), nil)
	page.expect(t, "an old login", http.StatusOK, `name="password"`)
}

// The default client gets no token of the admin API, and neither does a token exchange (RFC 8693 section 2.2.2).
func TestDefaultClientAndExchange(t *testing.T) {
	h := start(t)
	public := client.Client{
		ID: "first", Name: "First", Grants: []oauth.GrantType{oauth.GrantPassword, oauth.GrantAuthorizationCode},
		RedirectURIs: []string{callback}, Scope: oauth.Scope{"hallpass:admin", "profile"}, CreatedAt: h.now,
	}
	text, digest, err := client.GenerateSecret(rand.Reader)
	h.must(err)
	h.secrets["gateway"] = text
	gateway := client.Client{
		ID: "gateway", Name: "Gateway", SecretDigest: digest, Grants: []oauth.GrantType{oauth.GrantTokenExchange},
		Scope: oauth.Scope{"hallpass:admin", "profile"}, CreatedAt: h.now,
		ExchangeFrom: []string{client.DefaultAPI, audience}, ExchangeTo: []string{client.DefaultAPI, audience},
	}
	h.must(h.data.CreateClient(t.Context(), public))
	h.must(h.data.CreateClient(t.Context(), gateway))
	status, body := h.tokenRequest("gateway", url.Values{
		"grant_type": {string(oauth.GrantTokenExchange)}, "subject_token": {h.token(ada)},
		"subject_token_type": {oauth.TokenTypeAccess}, "resource": {audience},
	})
	if status != http.StatusBadRequest || body["error"] != "invalid_target" {
		t.Errorf("exchange: %d %v", status, body)
	}

	other := startOn(t, h, func(s *server.Settings) { s.DefaultClient = public.ID })
	other.browse(ada, twoFactors...).isRefused("the default client", request(public.ID), "invalid_target")
}

// A device gets a token of the admin API from a user who has just logged in with a second factor (RFC 8628 section
// 3.3), also if the page with the question is older.
func TestDeviceNeedsFreshLogin(t *testing.T) {
	h := start(t)
	h.must(h.data.CreateClient(t.Context(), client.Client{
		ID: "cli", Name: "cli", Grants: []oauth.GrantType{oauth.GrantDeviceCode}, Scope: oauth.Scope{"hallpass:admin"},
		CreatedAt: h.now,
	}))
	begin := func() (d oauth.DeviceAuthorization) {
		resp, err := http.PostForm(h.URL+"/device_authorization", url.Values{"client_id": {"cli"}, "resource": {audience}})
		h.must(err)
		defer resp.Body.Close()
		h.must(json.NewDecoder(resp.Body).Decode(&d))
		return d
	}
	allow := func(b browser, d oauth.DeviceAuthorization) (page answer, to string) {
		return b.open("/device", url.Values{"user_code": {d.UserCode}, "user": {b.userID}, "decision": {"allow"}})
	}
	d := begin()
	b := h.browse(ada, grant.MethodPassword)
	page, _ := b.open("/device?user_code="+d.UserCode, nil)
	page.expect(t, "one factor", http.StatusOK, `name="second_factor" value="yes"`)
	if _, to := allow(b, d); !strings.HasPrefix(to, "/device?") {
		t.Errorf("the form, by one factor: %q", to)
	}
	b = h.browse(ada, twoFactors...)
	page, _ = b.open("/device?user_code="+d.UserCode, nil)
	page.expect(t, "the question", http.StatusOK, "Connect this device?")
	h.wait(adminapi.MaxLoginAge + time.Second)
	d = begin() // codes expire sooner
	page, _ = b.open("/device?user_code="+d.UserCode, nil)
	page.expect(t, "an old login", http.StatusOK, `name="password"`)
	if _, to := allow(b, d); !strings.HasPrefix(to, "/device?") {
		t.Errorf("the form, by an old login: %q", to)
	}
	page, _ = allow(h.browse(ada, twoFactors...), d)
	page.expect(t, "a new login", http.StatusOK, "Device connected")
}
