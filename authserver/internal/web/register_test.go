package web_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hallpass-auth/hallpass/shared/database/databasetest"
	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/admin"
	"github.com/hallpass-auth/hallpass/authserver/internal/audit"
	"github.com/hallpass-auth/hallpass/authserver/internal/client"
	"github.com/hallpass-auth/hallpass/authserver/internal/record"
	"github.com/hallpass-auth/hallpass/authserver/internal/secret"
	"github.com/hallpass-auth/hallpass/authserver/internal/web"
)

// newRegistrationSite starts a site where everybody may register clients.
func newRegistrationSite(t *testing.T) *site {
	t.Helper()
	return newSite(t, openRegistration)
}

func openRegistration(cfg *web.Config) { cfg.Registration = web.Registration{Open: true} }

// registration returns a request of a registration endpoint with a JSON body, from an address.
func registration(method, path, token, body string) *http.Request {
	r := httptest.NewRequest(method, issuer+path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	return r
}

const validRegistration = `{"client_name":"Agent","redirect_uris":["http://localhost/cb","javascript:x","cursor://a.b/cb"],
	"token_endpoint_auth_method":"none","grant_types":["authorization_code","refresh_token","urn:x"],"logo_uri":"x"}`

// A client registers itself, logs a user in, and is asked for each time.
func TestRegisteredClientLogsIn(t *testing.T) {
	t.Parallel()
	s := newRegistrationSite(t)
	s.addCodeApp()
	got := s.serve(registration("POST", "/register", "", validRegistration))
	id := got.member("client_id")
	if got.status != http.StatusCreated || id == "" || got.member("client_secret") != "" ||
		got.member("registration_client_uri") != issuer+"/register/"+id || got.header.Get("Cache-Control") != "no-store" ||
		!strings.Contains(got.text, `"redirect_uris":["http://localhost/cb","cursor://a.b/cb"]`) ||
		!strings.Contains(got.text, `"grant_types":["authorization_code","refresh_token"]`) {
		t.Fatalf("status %d %s", got.status, got.text)
	}
	if !strings.Contains(s.log.String(), "redirect_uri_refused") {
		t.Error("the log does not say which redirect URI is not accepted")
	}
	cookie := s.sessionCookie()
	query := codeRequest("client_id", id, "redirect_uri", "http://localhost:1234/cb")
	for range 2 {
		page := s.serve(withCookie(httptest.NewRequest("GET", "/authorize?"+query.Encode(), nil), cookie))
		if !strings.Contains(page.text, "nobody here has checked its name") {
			t.Errorf("status %d\n%s", page.status, page.text)
		}
		to := s.serve(withCookie(pageForm("/consent", url.Values{
			"continue": {query.Encode()}, "user": {s.userID(john)}, "decision": {"allow"},
		}), cookie)).header.Get("Location")
		if !strings.HasPrefix(to, "http://localhost:1234/cb?code=") {
			t.Fatalf("sent to %s", to)
		}
	}
}

// The default is a client with a secret (RFC 7591 section 2).
func TestRegisterWithSecret(t *testing.T) {
	t.Parallel()
	s := newRegistrationSite(t)
	got := s.serve(registration("POST", "/register", "", `{"redirect_uris":["https://app.example/cb"]}`))
	text := got.member("client_secret")
	s.hide(text)
	s.hide(got.member("registration_access_token"))
	if got.status != http.StatusCreated || text == "" ||
		got.member("token_endpoint_auth_method") != "client_secret_basic" ||
		!strings.Contains(got.text, `"client_secret_expires_at":0`) {
		t.Fatalf("status %d %s", got.status, got.text)
	}
	for given, want := range map[string]string{text: "invalid_grant", text + "x": "invalid_client"} {
		r := pageForm("/token", url.Values{"grant_type": {"authorization_code"}, "code": {"x"},
			"redirect_uri": {"https://app.example/cb"}, "code_verifier": {verifier}})
		r.SetBasicAuth(got.member("client_id"), given)
		if code := s.serve(r).member("error"); code != want {
			t.Errorf("error %s, want %s", code, want)
		}
	}
}

func TestBadRegistrations(t *testing.T) {
	t.Parallel()
	s := newRegistrationSite(t)
	const metadata, redirect = "invalid_client_metadata", "invalid_redirect_uri"
	for name, tt := range map[string]struct{ body, code, says string }{
		"empty":              {"", metadata, "JSON"},
		"not JSON":           {"x", metadata, "JSON"},
		"an array":           {"[]", metadata, "array instead of object"},
		"twice":              {`{"redirect_uris":["https://a.example/"],"redirect_uris":["https://b.example/"]}`, metadata, "JSON"},
		"no redirect":        {`{}`, redirect, "redirect_uris"},
		"bad redirect":       {`{"redirect_uris":["http://evil.test/"]}`, redirect, "must be https"},
		"redirect a text":    {`{"redirect_uris":"https://a.example/"}`, metadata, "string instead of array"},
		"fragment":           {`{"redirect_uris":["https://a.example/#"]}`, redirect, "normalized"},
		"jwks_uri":           {`{"redirect_uris":["https://a.example/"],"jwks_uri":"https://a.example/"}`, metadata, "jwks_uri"},
		"jwks":               {`{"redirect_uris":["https://a.example/"],"jwks":{"keys":[]}}`, metadata, "jwks"},
		"back-channel":       {`{"redirect_uris":["https://a.example/"],"backchannel_logout_uri":"https://a.example/"}`, metadata, "logout"},
		"after logout":       {`{"redirect_uris":["https://a.example/"],"post_logout_redirect_uris":["https://a.example/"]}`, metadata, "logout"},
		"private_key_jwt":    {`{"redirect_uris":["https://a.example/"],"token_endpoint_auth_method":"private_key_jwt"}`, metadata, "token_endpoint_auth_method"},
		"client_credentials": {`{"redirect_uris":["https://a.example/"],"grant_types":["client_credentials"]}`, metadata, "authorization_code"},
		"implicit":           {`{"redirect_uris":["https://a.example/"],"response_types":["token"]}`, metadata, "response_types"},
		"scope":              {`{"redirect_uris":["https://a.example/"],"scope":"admin"}`, metadata, "scope"},
		"name":               {`{"redirect_uris":["https://a.example/"],"client_name":"a\u0000"}`, metadata, "printed"},
		"huge":               {`{"x":"` + strings.Repeat("x", 17<<10) + `"}`, "invalid_request", "longer than"},
	} {
		s.wait(10 * time.Second) // the network has a limit
		got := s.serve(registration("POST", "/register", "", tt.body))
		if got.status != http.StatusBadRequest || got.member("error") != tt.code ||
			!strings.Contains(got.member("error_description"), tt.says) {
			t.Errorf("%s: status %d %s, want %s that says %q", name, got.status, got.text, tt.code, tt.says)
		}
	}
	r := registration("POST", "/register", "", validRegistration)
	r.Header.Set("Content-Type", "text/plain")
	if got := s.serve(r); got.member("error") != "invalid_request" {
		t.Errorf("text/plain: %s", got.text)
	}
}

// Registration is off by default, and can need a token. There is an error code only if one was sent (RFC 6750 section
// 3.1).
func TestWhoMayRegister(t *testing.T) {
	t.Parallel()
	off := newSite(t)
	if got := off.serve(registration("POST", "/register", "", validRegistration)); got.status != http.StatusNotFound {
		t.Errorf("off: status %d", got.status)
	}
	token := strings.Repeat("t", 32)
	none := newSite(t, func(cfg *web.Config) { cfg.Registration.TokenDigest = func(context.Context) string { return "" } })
	for _, given := range []string{"", token} {
		if got := none.serve(registration("POST", "/register", given, validRegistration)); got.status != 401 {
			t.Errorf("no token can be read, %q: status %d", given, got.status)
		}
	}
	s := newSite(t, func(cfg *web.Config) {
		cfg.Registration.TokenDigest = func(context.Context) string { return secret.Digest(token) }
	})
	const realm = `Bearer realm="` + issuer + `"`
	for given, want := range map[string]struct {
		status    int
		challenge string
	}{"": {401, realm}, token + "x": {401, realm + `, error="invalid_token"`}, token: {201, ""}} {
		got := s.serve(registration("POST", "/register", given, validRegistration))
		if got.status != want.status || got.header.Get("WWW-Authenticate") != want.challenge {
			t.Errorf("%q: status %d, %v", given, got.status, got.header)
		}
	}
	for of, want := range map[*site]bool{off: false, s: true} {
		text := of.serve(httptest.NewRequest("GET", "/.well-known/oauth-authorization-server", nil)).text
		if got := strings.Contains(text, `"registration_endpoint":"`+issuer+`/register"`); got != want {
			t.Errorf("registration_endpoint %v, want %v: %s", got, want, text)
		}
	}
}

// The owner of a client reads, replaces and deletes it (RFC 7592).
func TestRegisteredClientIsManaged(t *testing.T) {
	t.Parallel()
	for name, url := range engines {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testManagement(t, newSiteOn(t, url(t), databasetest.Pool, openRegistration))
		})
	}
}

func testManagement(t *testing.T, s *site) {
	got := s.serve(registration("POST", "/register", "", validRegistration))
	id, token := got.member("client_id"), got.member("registration_access_token")
	s.hide(token)
	path := "/register/" + id
	for _, tt := range []struct{ path, token string }{
		{path, ""}, {path, token + "x"}, {"/register/" + public, token}, {"/register/unknown", token},
		{"/register/%00", token}, {"/register/%ff", token}, {"/register/" + strings.Repeat("x", 5000), token},
	} {
		for _, method := range []string{"GET", "PUT", "DELETE"} {
			got := s.serve(registration(method, tt.path, tt.token, validRegistration))
			if got.status != http.StatusUnauthorized {
				t.Errorf("%s %s: status %d", method, tt.path, got.status)
			}
		}
	}
	got = s.serve(registration("GET", path, token, ""))
	if got.status != http.StatusOK || got.member("client_id") != id || got.member("registration_access_token") != token {
		t.Errorf("GET: status %d %s", got.status, got.text)
	}
	body := `{"client_id":"` + id + `","client_name":"New","redirect_uris":["https://new.example/"],"token_endpoint_auth_method":"none"}`
	got = s.serve(registration("PUT", path, token, body))
	if got.status != http.StatusOK || got.member("client_name") != "New" ||
		got.member("registration_access_token") != token {
		t.Errorf("PUT: status %d %s", got.status, got.text)
	}
	_, err := s.data.UpdateClient(t.Context(), id, s.clock(), func(c client.Client) (client.Client, error) {
		c.RequireDPoP = true
		return c, nil
	})
	s.must(err)
	got = s.serve(registration("PUT", path, token, body))
	if !strings.Contains(got.text, `"dpop_bound_access_tokens":true`) {
		t.Errorf("PUT to a client that must use DPoP: status %d %s", got.status, got.text)
	}
	for name, bad := range map[string]string{
		"other client_id": strings.Replace(body, id, public, 1),
		"a secret":        strings.Replace(body, `"none"`, `"client_secret_basic"`, 1),
		"other secret":    strings.Replace(body, `}`, `,"client_secret":"hps_x"}`, 1),
		"bad redirect":    strings.Replace(body, "https://new", "http://new", 1),
	} {
		if got := s.serve(registration("PUT", path, token, bad)); got.status != http.StatusBadRequest {
			t.Errorf("PUT, %s: status %d %s", name, got.status, got.text)
		}
	}
	if c, err := s.data.ClientByID(t.Context(), id); err != nil || c.Name != "New" || c.RedirectURIs[0] != "https://new.example/" {
		t.Errorf("the client is %+v, %v", c, err)
	}
	for _, want := range []int{http.StatusNoContent, http.StatusUnauthorized} {
		if got := s.serve(registration("DELETE", path, token, "")); got.status != want {
			t.Errorf("DELETE: status %d, want %d", got.status, want)
		}
	}
}

// A client that has registered itself is kept once an administrator has changed it. Its own changes do not keep it, and
// do not end that. It can still delete itself.
func TestRegisteredClientIsKept(t *testing.T) {
	t.Parallel()
	s := newRegistrationSite(t)
	got := s.serve(registration("POST", "/register", "", validRegistration))
	id, token := got.member("client_id"), got.member("registration_access_token")
	s.hide(token)
	replace := func(name string, kept bool) {
		t.Helper()
		body := strings.Replace(validRegistration, `"Agent"`, `"`+name+`","client_id":"`+id+`"`, 1)
		if got := s.serve(registration("PUT", "/register/"+id, token, body)); got.member("client_name") != name {
			t.Errorf("PUT: %d %s", got.status, got.text)
		}
		if c, err := s.data.ClientByID(t.Context(), id); err != nil || c.Name != name || c.Kept != kept {
			t.Errorf("the client is %+v, %v, want Kept %v", c, err, kept)
		}
	}
	replace("Second", false)
	on := true
	administrator := admin.Service{Store: s.data, Now: s.clock}
	_, _, err := administrator.ChangeClient(t.Context(), id, admin.ClientPatch{RequireSecondFactor: &on}, nil)
	s.must(err)
	replace("Third", true)
	s.wait(2 * client.MaxUnused)
	s.serve(registration("POST", "/register", "", validRegistration))
	replace("Fourth", true)
	if got := s.serve(registration("DELETE", "/register/"+id, token, "")); got.status != http.StatusNoContent {
		t.Errorf("DELETE: %d %s", got.status, got.text)
	}
}

// Clients register with the scope that they need first, and may ask for more later. What an administrator has
// narrowed stays narrow.
func TestRegisteredScope(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(cfg *web.Config) {
		cfg.Registration = web.Registration{Open: true}
		cfg.UnregisteredScope = oauth.Scope{"profile", "items:read"}
	})
	const metadata = `"redirect_uris":["http://localhost/cb"],"token_endpoint_auth_method":"none","scope":"profile"}`
	got := s.serve(registration("POST", "/register", "", "{"+metadata))
	id, token := got.member("client_id"), got.member("registration_access_token")
	s.hide(token)
	if got.status != http.StatusCreated || got.member("scope") != "profile items:read" {
		t.Fatalf("status %d %s", got.status, got.text)
	}
	_, err := s.data.UpdateClient(t.Context(), id, s.clock(), func(c client.Client) (client.Client, error) {
		c.Scope = oauth.Scope{"profile"}
		return c, nil
	})
	s.must(err)
	got = s.serve(registration("PUT", "/register/"+id, token, `{"client_id":"`+id+`",`+metadata))
	if got.status != http.StatusOK || got.member("scope") != "profile" {
		t.Errorf("PUT: status %d %s", got.status, got.text)
	}
}

// One network can register a few clients, then one in ten seconds.
func TestRegistrationsOfNetwork(t *testing.T) {
	t.Parallel()
	s := newRegistrationSite(t)
	statuses := map[int]int{}
	for range 30 {
		got := s.serve(registration("POST", "/register", "", validRegistration))
		statuses[got.status]++
		if got.status == http.StatusTooManyRequests && got.header.Get("Retry-After") != "10" {
			t.Errorf("Retry-After %q", got.header.Get("Retry-After"))
		}
	}
	if statuses[201] != 20 || statuses[429] != 10 {
		t.Errorf("statuses %v", statuses)
	}
	s.wait(10 * time.Second)
	if got := s.serve(registration("POST", "/register", "", validRegistration)); got.status != http.StatusCreated {
		t.Errorf("later: status %d", got.status)
	}
}

// Changes of a client count as registrations of the network, and one that changes nothing leaves no record.
func TestChangesOfNetwork(t *testing.T) {
	t.Parallel()
	s := newRegistrationSite(t)
	got := s.serve(registration("POST", "/register", "", validRegistration))
	id, token := got.member("client_id"), got.member("registration_access_token")
	s.hide(token)
	const format = `{"client_id":%q,"client_name":%q,"redirect_uris":["https://new.example/"],` +
		`"token_endpoint_auth_method":"none"}`
	put := func(name string) int {
		return s.serve(registration("PUT", "/register/"+id, token, fmt.Sprintf(format, id, name))).status
	}
	statuses := map[int]int{}
	for i := range 30 {
		statuses[put("name "+strconv.Itoa(min(i, 2)))]++
	}
	if statuses[200] != 19 || statuses[429] != 11 {
		t.Errorf("statuses %v", statuses)
	}
	changes, err := s.data.AuditRecords(t.Context(), audit.Filter{Event: "client_changed"}, audit.Page{})
	if len(changes) != 3 || err != nil {
		t.Errorf("%d records of 3 changes, %v", len(changes), err)
	}
	s.wait(10 * time.Second)
	if status := put("later"); status != http.StatusOK {
		t.Errorf("later: status %d", status)
	}
}

// The networks of one IPv6 site share the limit: one customer may have 65,536 of them.
func TestRegistrationsOfSite(t *testing.T) {
	t.Parallel()
	s := newRegistrationSite(t)
	statuses := map[int]int{}
	for i := range 30 {
		r := registration("POST", "/register", "", validRegistration)
		r.RemoteAddr = fmt.Sprintf("[2001:db8:1:%x::1]:1", i)
		statuses[s.serve(r).status]++
	}
	if statuses[201] != 20 || statuses[429] != 10 {
		t.Errorf("statuses %v", statuses)
	}
}

// A flood of registrations from as many networks leaves a bounded number of clients, apart from those that are kept.
func TestManyRegistrations(t *testing.T) {
	if testing.Short() {
		t.Skip("long test")
	}
	t.Parallel()
	s := newRegistrationSite(t)
	s.must(s.data.AddUnregistered(t.Context(), client.Client{
		ID: "kept", Name: "Kept", Source: client.SourceRegistration, Kept: true, CreatedAt: s.clock(), LastUsedAt: s.clock(),
	}))
	const requests = client.MaxUnregistered + 5_000
	statuses := map[int]int{}
	for i := range requests {
		r := registration("POST", "/register", "", `{"redirect_uris":["http://localhost/cb"],"token_endpoint_auth_method":"none"}`)
		r.RemoteAddr = fmt.Sprintf("10.%d.%d.%d:1", i>>16, i>>8&255, i&255)
		statuses[s.serve(r).status]++
	}
	if statuses[201] != client.MaxUnregistered || statuses[503] != requests-client.MaxUnregistered {
		t.Errorf("statuses %v", statuses)
	}
	s.wait(client.MinUnused + time.Second)
	if got := s.serve(registration("POST", "/register", "", validRegistration)); got.status != http.StatusCreated {
		t.Errorf("later: status %d", got.status)
	}
	_, err := s.data.ClientByID(t.Context(), "kept")
	s.must(err)
	all, err := s.data.Clients(t.Context(), record.Page{})
	s.must(err)
	if n := len(all); n > client.MaxUnregistered+10 {
		t.Errorf("%d clients", n)
	}
}
