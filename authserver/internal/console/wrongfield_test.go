package console_test

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/hallpass-auth/hallpass/authserver/internal/server"
)

var (
	inputTag  = regexp.MustCompile(`<(?:input|select|textarea) [^>]*>`)
	alertID   = regexp.MustCompile(`<p [^>]*id="([^"]+)"[^>]* role="alert">[^<]+</p>`)
	attribute = regexp.MustCompile(`([a-z-]+)="([^"]*)"`)
)

// blames checks that a form was refused because of one field: it is marked as invalid, described by the text of the
// error, and has the focus. An empty name means that the error is not about one field.
func (p shown) blames(t *testing.T, what, name string) {
	t.Helper()
	alerts := alertID.FindAllStringSubmatch(p.body, -1)
	if p.status < http.StatusBadRequest || len(alerts) != 1 {
		t.Errorf("%s: status %d, %d alerts\n%s", what, p.status, len(alerts), p.body)
		return
	}
	var invalid, focused []string
	for _, tag := range inputTag.FindAllString(p.body, -1) {
		has := map[string]string{}
		for _, pair := range attribute.FindAllStringSubmatch(tag, -1) {
			has[pair[1]] = pair[2]
		}
		if has["aria-invalid"] == "true" {
			invalid = append(invalid, has["name"])
		}
		if strings.Contains(tag, " autofocus") {
			focused = append(focused, has["name"])
		}
		describedBy := strings.Fields(has["aria-describedby"])
		if slices.Contains(describedBy, alerts[0][1]) != (has["aria-invalid"] == "true") {
			t.Errorf("%s: %s is described by %q", what, has["name"], describedBy)
		}
		for _, id := range describedBy {
			if strings.Count(p.body, ` id="`+id+`"`) != 1 {
				t.Errorf("%s: no text, or several, with the id %s", what, id)
			}
		}
	}
	var want []string
	if name != "" {
		want = []string{name}
	}
	if !slices.Equal(invalid, want) || !slices.Equal(focused, want) {
		t.Errorf("%s: %q are invalid and %q have the focus, want %q: %s", what, invalid, focused, want, alerts[0][0])
	}
}

// An error about one field of a form is beside that field for a screen reader, too. One that may be about several
// fields marks none.
func TestWrongField(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(c *server.Settings) { c.Mail.MailInbox, c.SignUp.Signup = "on", "invitation" })
	b := s.logIn("ada")
	const secret, mail = "SeveralWordsInARow", "joan@example.com"
	long := strings.Repeat("x", 300)
	b.post("/admin/users/new", "username", "joan", "email", mail, "verified", "yes", "password", secret).
		went(t, "/admin/user?done=created&name=joan")
	b.addClient("job")
	b.post("/admin/apis", "audience", "https://photos.example", "scope", "photos:read").went(t, "/admin/apis?done=created")
	seen := b.get("/admin/webhooks").field("seen")

	const newUser, newClient, aClient = "/admin/users/new", "/admin/clients/new", "/admin/client?id=job"
	const apis, anAPI = "/admin/apis", "/admin/api?audience=https%3A%2F%2Fphotos.example"
	for _, tt := range []struct {
		path, field string
		form        []string
	}{
		{newUser, "username", []string{"username", "", "password", secret}},
		{newUser, "username", []string{"username", "kay@example.com", "password", secret}},
		{newUser, "username", []string{"username", "grace", "password", secret}},
		{newUser, "name", []string{"username", "kay", "name", long, "password", secret}},
		{newUser, "email", []string{"username", "kay", "email", long, "password", secret}},
		{newUser, "password", []string{"username", "kay", "password", "short"}},
		{newUser, "", []string{"username", "kay", "groups", `"`, "password", secret}},
		{newUser, "", []string{"username", "kay"}},
		{"/admin/user?name=grace", "name", []string{"name", ""}},
		{"/admin/user?name=grace", "email", []string{"name", "Grace", "email", long}},
		{"/admin/user?name=grace", "", []string{"name", "Grace", "etag", "old"}},
		{"/admin/user/password?name=grace", "password", []string{"password", "short"}},
		{"/admin/invitations", "email", []string{"email", ""}},
		{"/admin/invitations", "email", []string{"email", mail}},
		{"/admin/invitations", "name", []string{"email", "kay@example.com", "name", long}},
		{newClient, "id", []string{"type", "service", "name", "Job", "id", "job", "scope", "openid"}},
		{newClient, "name", []string{"type", "service", "name", long, "id", "job2", "scope", "openid"}},
		{newClient, "scope", []string{"type", "service", "name", "Job", "id", "job2", "scope", `"`}},
		{newClient, "", []string{"type", "web", "name", "Job", "id", "job2", "scope", "openid"}},
		{aClient, "name", []string{"name", "", "scope", "items:read", "grants", "client_credentials"}},
		{aClient, "scope", []string{"name", "Job", "scope", `"`, "grants", "client_credentials"}},
		{apis, "audience", []string{"audience", "https://photos.example", "scope", "photos:read"}},
		{apis, "name", []string{"audience", "https://other.example", "name", long, "scope", "photos:read"}},
		{apis, "scope", []string{"audience", "https://other.example", "scope", `"`}},
		{anAPI, "name", []string{"name", "", "scope", "photos:read"}},
		{anAPI, "scope", []string{"name", "Photos", "scope", `"`}},
		{"/admin/scopes", "scope", []string{"scope", `"`, "description", "See photos"}},
		{"/admin/scopes", "description", []string{"scope", "photos:read", "description", ""}},
		{"/admin/webhooks", "url", []string{"seen", seen, "url", "https://10.0.0.1/hook"}},
		{"/admin/webhooks", "", []string{"seen", seen, "url", "https://hooks.example", "events", "["}},
	} {
		b.post(tt.path, tt.form...).blames(t, tt.path+" "+strings.Join(tt.form, " "), tt.field)
	}
}

// A page without a form says why it does nothing, as an error.
func TestRefusalWithoutForm(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	got := s.logIn("ada").post("/admin/api?audience="+s.url+"/admin/api/v1", "name", "Mine", "any_scope", "yes")
	got.blames(t, "a change of the admin API", "")
	if !got.has("<title>Error: ") {
		t.Errorf("the title:\n%s", got.body)
	}
}
