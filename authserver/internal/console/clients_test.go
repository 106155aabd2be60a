package console_test

import (
	"errors"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/client"
	"github.com/hallpass-auth/hallpass/authserver/internal/record"
	"github.com/hallpass-auth/hallpass/authserver/internal/server"
)

// secretOn returns the client secret that a page shows; empty if it shows none.
func secretOn(p shown) string { return regexp.MustCompile(`hps_[A-Za-z0-9_-]+`).FindString(p.body) }

// A client is registered once, and its secret is shown once, with what the client's side needs.
func TestRegisterClient(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := s.logIn("ada")
	fields := []string{
		"type", "web", "name", evil, "id", "reports", "scope", "openid  profile", "redirect_uris",
		"https://reports.example/callback\r\nhttps://reports.example/other", "first_party", "yes",
	}
	got := b.post("/admin/clients/new", fields...)
	secret := secretOn(got)
	if got.status != http.StatusOK || secret == "" || strings.Contains(got.body, "<script") {
		t.Fatalf("%d\n%s", got.status, got.body)
	}
	for _, want := range []string{
		s.url, "OIDC_CLIENT_ID=reports", "OIDC_CLIENT_SECRET=" + secret, "OIDC_REDIRECT_URI=https://reports.example/other",
		"OIDC_SCOPE=openid profile", "/.well-known/openid-configuration",
	} {
		if !got.has(want) {
			t.Errorf("the page does not have %q", want)
		}
	}
	k, err := s.data.ClientByID(t.Context(), "reports")
	if err != nil || !k.VerifySecret(secret, s.clock()) || !k.FirstParty || len(k.RedirectURIs) != 2 {
		t.Errorf("stored as %+v, %v", k, err)
	}
	if again := b.get("/admin/client?id=reports"); secretOn(again) != "" || !again.has(evil) {
		t.Errorf("the page of the client:\n%s", again.body)
	}
	if list := b.get("/admin/clients"); strings.Contains(list.body, "<script") || !list.has(evil) {
		t.Errorf("the list:\n%s", list.body)
	}
	twice := b.post("/admin/clients/new", fields...)
	twice.refused(t, http.StatusConflict, "exists")
	if secretOn(twice) != "" || !twice.has("https://reports.example/other") {
		t.Errorf("what was typed is not kept:\n%s", twice.body)
	}
	b.post("/admin/clients/new", "type", "web", "name", "Wiki", "id", "wiki", "scope", "openid", "redirect_uris",
		"http://wiki.example/callback").refused(t, http.StatusUnprocessableEntity, "http")
	b.post("/admin/clients/new", "type", "service", "name", "Job", "id", "job", "scope", "").
		refused(t, http.StatusUnprocessableEntity, "scope")
}

// What a client is decides its grant types, and whether it gets a secret.
func TestClientTypes(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := s.logIn("ada")
	for kind, want := range map[string]struct {
		grant  oauth.GrantType
		secret bool
	}{
		"web": {oauth.GrantAuthorizationCode, true}, "spa": {oauth.GrantAuthorizationCode, false},
		"native": {oauth.GrantAuthorizationCode, false}, "device": {oauth.GrantDeviceCode, false},
		"service": {oauth.GrantClientCredentials, true},
	} {
		uri := ""
		if want.grant == oauth.GrantAuthorizationCode {
			uri = "https://app.example/callback"
		}
		got := b.post("/admin/clients/new", "type", kind, "name", "App", "id", kind, "scope", "openid", "redirect_uris", uri)
		k, err := s.data.ClientByID(t.Context(), kind)
		if err != nil || k.Grants[0] != want.grant || (secretOn(got) != "") != want.secret {
			t.Errorf("%s: %d, %+v, %v\n%s", kind, got.status, k, err, got.body)
		}
	}
}

// addClient registers a service and returns its secret.
func (b *browser) addClient(id string) (secret string) {
	b.s.t.Helper()
	got := b.post("/admin/clients/new", "type", "service", "name", "Job", "id", id, "scope", "items:read")
	if secret = secretOn(got); secret == "" {
		b.s.t.Fatalf("%d\n%s", got.status, got.body)
	}
	return secret
}

// A change of a client that is not the latest is told, and unticked boxes are off.
func TestChangeClient(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := s.logIn("ada")
	b.addClient("job")
	page := b.get("/admin/client?id=job")
	change := func(etag string, pairs ...string) shown {
		return b.post("/admin/client?id=job", append([]string{
			"etag", etag, "name", "Nightly job", "scope", "items:read items:write", "grants", "client_credentials",
		}, pairs...)...)
	}
	change(page.field("etag"), "dpop", "yes").went(t, "/admin/client?done=saved&id=job")
	change(page.field("etag")).refused(t, http.StatusPreconditionFailed, "changed after you opened this page")
	k, err := s.data.ClientByID(t.Context(), "job")
	if err != nil || k.Name != "Nightly job" || !k.RequireDPoP {
		t.Errorf("stored as %+v, %v", k, err)
	}
	change(b.get("/admin/client?id=job").field("etag")).went(t, "/admin/client?done=saved&id=job")
	if k, err = s.data.ClientByID(t.Context(), "job"); err != nil || k.RequireDPoP {
		t.Errorf("stored as %+v, %v", k, err)
	}
	change(b.get("/admin/client?id=job").field("etag"), "grants", "none_such").
		refused(t, http.StatusUnprocessableEntity, "none_such")
	if got := b.get("/admin/client?id=unknown"); got.status != http.StatusNotFound {
		t.Errorf("an unknown client: %d", got.status)
	}
}

// The page of a client that is described by a document says that it is kept, once an administrator has changed it.
func TestChangeDocumentClient(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := s.logIn("ada")
	const id, path = "https://app.example/client.json", "/admin/client?id=https%3A%2F%2Fapp.example%2Fclient.json"
	err := s.data.AddUnregistered(t.Context(), client.Client{
		ID: id, Name: "Agent", Source: client.SourceDocument, Scope: oauth.Scope{"profile"},
		Grants: []oauth.GrantType{oauth.GrantAuthorizationCode}, RedirectURIs: []string{"https://app.example/cb"},
		CreatedAt: s.clock(), LastUsedAt: s.clock(),
	})
	if err != nil {
		t.Fatal(err)
	}
	page := b.get(path)
	if page.status != http.StatusOK || page.has("kept when unused") {
		t.Errorf("before: %d\n%s", page.status, page.body)
	}
	b.post(path, "etag", page.field("etag"), "name", "Agent", "scope", "profile", "grants", "authorization_code",
		"redirect_uris", "https://app.example/cb", "second_factor", "yes").
		went(t, "/admin/client?done=saved&id=https%3A%2F%2Fapp.example%2Fclient.json")
	if page = b.get(path); !page.has("kept when unused") {
		t.Errorf("after: %d\n%s", page.status, page.body)
	}
	if k, err := s.data.ClientByID(t.Context(), id); err != nil || !k.RequireSecondFactor || !k.Kept {
		t.Errorf("stored as %+v, %v", k, err)
	}
}

// A service is allowed to introspect and exchange tokens, and to administer the server, in the form; a public client
// has no such fields.
func TestServiceSettings(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := s.logIn("ada")
	b.addClient("job")
	b.post("/admin/apis", "audience", "https://photos.example", "name", "Photos", "scope", "photos:read")
	change := func(pairs ...string) shown {
		return b.post("/admin/client?id=job", append([]string{
			"etag", b.get("/admin/client?id=job").field("etag"), "name", "Job", "scope", "hallpass:admin photos:read",
			"grants", "client_credentials " + string(oauth.GrantTokenExchange),
		}, pairs...)...)
	}
	change("introspects_for", "default\r\nhttps://photos.example", "exchange_from", "default",
		"exchange_to", "https://photos.example", "admin", "yes").went(t, "/admin/client?done=saved&id=job")
	k, err := s.data.ClientByID(t.Context(), "job")
	if err != nil || !k.Admin || !k.Introspects || len(k.IntrospectsFor) != 2 || len(k.ExchangeFrom) != 1 ||
		k.ExchangeTo[0] != "https://photos.example" {
		t.Errorf("stored as %+v, %v", k, err)
	}
	if got := b.get("/admin/client?id=job"); !got.has("default\nhttps://photos.example</textarea>") ||
		!got.has(`name="admin" type="checkbox" value="yes" checked`) {
		t.Errorf("the form:\n%s", got.body)
	}
	change("introspects_for", "https://unknown.example").
		refused(t, http.StatusUnprocessableEntity, "https://unknown.example: API not found")
	change("grants", "client_credentials").went(t, "/admin/client?done=saved&id=job")
	if k, err = s.data.ClientByID(t.Context(), "job"); err != nil || k.Admin || k.Introspects || k.ExchangeTo != nil {
		t.Errorf("after the fields were emptied: %+v, %v", k, err)
	}
	b.post("/admin/clients/new", "type", "spa", "name", "App", "id", "app", "scope", "openid",
		"redirect_uris", "https://app.example/callback")
	if got := b.get("/admin/client?id=app"); got.has("introspect") || got.has(`name="admin"`) {
		t.Errorf("the form of a public client:\n%s", got.body)
	}
}

// A new secret replaces the old one, which works for a day unless it has leaked.
func TestNewSecret(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := s.logIn("ada")
	first := b.addClient("job")
	works := func(secret string) bool {
		k, err := s.data.ClientByID(t.Context(), "job")
		if err != nil {
			t.Fatal(err)
		}
		return k.VerifySecret(secret, s.clock())
	}
	form := b.get("/admin/client/secret?id=job")
	got := b.post("/admin/client/secret?id=job", "etag", form.field("etag"), "old", "day")
	second := secretOn(got)
	if got.status != http.StatusOK || second == "" || !works(second) || !works(first) {
		t.Fatalf("%d, new %v, old %v\n%s", got.status, works(second), works(first), got.body)
	}
	b.post("/admin/client/secret?id=job", "etag", form.field("etag"), "old", "day").
		refused(t, http.StatusPreconditionFailed, "changed after you opened this page")
	if !works(first) {
		t.Error("the form that was sent twice has ended the old secret")
	}
	form = b.get("/admin/client/secret?id=job")
	third := secretOn(b.post("/admin/client/secret?id=job", "etag", form.field("etag"), "old", "revoke"))
	if works(first) || works(second) || !works(third) {
		t.Errorf("first %v, second %v, third %v", works(first), works(second), works(third))
	}
}

// A client is deleted after a question.
func TestDeleteClient(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := s.logIn("ada")
	b.addClient("job")
	if got := b.get("/admin/client/delete?id=job"); got.heading() != "Delete this client?" || !got.has("0 logins") {
		t.Errorf("%s", got.body)
	}
	b.post("/admin/client/delete?id=job").went(t, "/admin/clients?done=deleted")
	if _, err := s.data.ClientByID(t.Context(), "job"); !errors.Is(err, record.ErrNotFound) {
		t.Errorf("it is still there: %v", err)
	}
	if got := b.post("/admin/client/delete?id=job"); got.status != http.StatusNotFound {
		t.Errorf("the second time: %d", got.status)
	}
	if log := b.get("/admin/audit?event=client_deleted"); !log.has("/admin/client?id=job") {
		t.Errorf("the audit log:\n%s", log.body)
	}
	got := b.get("/admin/client?id=job")
	if got.status != http.StatusNotFound || !got.has("it was deleted") || !got.has("/admin/audit?about=job") {
		t.Errorf("the link of the audit log leads to %d:\n%s", got.status, got.body)
	}
}

// APIs are registered, changed and deleted; the default API stays.
func TestAPIs(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := s.logIn("ada")
	const path = "?audience=https%3A%2F%2Fphotos.example"
	b.post("/admin/apis", "audience", "https://photos.example", "name", evil, "scope", "photos:read").
		went(t, "/admin/apis?done=created")
	b.post("/admin/apis", "audience", "https://photos.example", "scope", "photos:read").
		refused(t, http.StatusConflict, "exists")
	b.post("/admin/apis", "audience", "no url", "scope", "x").refused(t, http.StatusUnprocessableEntity, "audience")
	if got := b.get("/admin/apis"); strings.Contains(got.body, "<script") || !got.has(evil) {
		t.Errorf("%s", got.body)
	}
	page := b.get("/admin/api" + path)
	b.post("/admin/api"+path, "etag", page.field("etag"), "name", "Photos", "scope", "photos:read photos:write").
		went(t, "/admin/api?audience=https%3A%2F%2Fphotos.example&done=saved")
	b.post("/admin/api"+path, "etag", page.field("etag"), "name", "Pictures", "scope", "photos:read").
		refused(t, http.StatusPreconditionFailed, "changed after you opened this page")
	if got := b.get("/admin/api/delete" + path); !got.has("0 logins for https://photos.example") {
		t.Errorf("%s", got.body)
	}
	b.post("/admin/api/delete"+path).went(t, "/admin/apis?done=deleted")
	if got := b.get("/admin/api" + path); got.status != http.StatusNotFound {
		t.Errorf("after the deletion: %d", got.status)
	}
	const standard = "?audience=https%3A%2F%2Fapi.example"
	if got := b.get("/admin/api" + standard); got.has("/admin/api/delete") {
		t.Errorf("the default API can be deleted:\n%s", got.body)
	}
	b.post("/admin/api/delete"+standard).refused(t, http.StatusConflict, "default API")
}

// Scopes are described for users.
func TestScopes(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := s.logIn("ada")
	b.post("/admin/scopes", "scope", "photos:read", "description", evil).went(t, "/admin/scopes?done=saved")
	if got := b.get("/admin/scopes"); strings.Contains(got.body, "<script") || !got.has(evil) {
		t.Errorf("%s", got.body)
	}
	if got := b.get("/admin/scopes?scope=photos%3Aread"); !got.has(`value="photos:read"`) {
		t.Errorf("the form is not filled in:\n%s", got.body)
	}
	b.post("/admin/scopes", "scope", "two words", "description", "x").refused(t, http.StatusUnprocessableEntity, "scope")
	b.post("/admin/scopes/forget?scope=photos%3Aread").went(t, "/admin/scopes?done=deleted")
	b.post("/admin/scopes/forget?scope=photos%3Aread").refused(t, http.StatusNotFound, "not found")
}

// A server whose key is in no file says so, and what to do.
func TestKeysInNoFile(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(*server.Settings) {})
	b := s.logIn("ada")
	if got := b.get("/admin/keys"); got.status != http.StatusOK || !got.has("HALLPASS_TOKEN_SECRET") {
		t.Errorf("%d\n%s", got.status, got.body)
	}
	got := b.post("/admin/keys/rotate", "what", "access")
	if got.status < 400 || got.status >= 500 || !got.has("HALLPASS_TOKEN_SECRET") {
		t.Errorf("%d\n%s", got.status, got.body)
	}
}
