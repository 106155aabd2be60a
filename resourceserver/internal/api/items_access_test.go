package api_test

import (
	"encoding/base64"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/hallpass-auth/hallpass/resourceserver/internal/api"
	"github.com/hallpass-auth/hallpass/resourceserver/internal/items"
	"github.com/hallpass-auth/hallpass/shared/database"
	"github.com/hallpass-auth/hallpass/shared/database/databasetest"
)

// No caller sees, changes or can detect the items of another.
func TestItemsOfOthers(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, database string) {
		john := startItems(t, database)
		jane := john.as("usr_jane", "jane.smith", nil, "profile", "items:write")
		tag := etag(john.want(t, 201, "PUT", "/items/42", `{"title":"John's secret"}`))
		got := jane.want(t, 200, "GET", "/items/42", "")
		if got.body != `{"item_id":42,"owner":"jane.smith"}` || etag(got) != "" {
			t.Errorf("jane reads %s, ETag %q", got.body, etag(got))
		}
		jane.want(t, 412, "PUT", "/items/42", `{"title":"x"}`, "If-Match", tag)
		jane.want(t, 412, "DELETE", "/items/42", "", "If-Match", tag)
		jane.want(t, 204, "DELETE", "/items/42", "")
		if got := jane.want(t, 200, "GET", "/items", ""); got.body != `{"items":[]}` {
			t.Errorf("jane lists %s", got.body)
		}
		if got := jane.want(t, 201, "POST", "/items", `{"title":"x"}`).item(t).ItemID; got != 1 {
			t.Errorf("jane's first item has the number %d", got)
		}
		jane.want(t, 201, "PUT", "/items/42", `{"title":"Jane's"}`, "If-None-Match", "*")
		john.want(t, 201, "PUT", "/items/43", `{"title":"more"}`)
		next := john.want(t, 200, "GET", "/items?limit=1", "").page(t)
		for _, i := range jane.want(t, 200, "GET", "/items?cursor="+escape(next.NextCursor), "").page(t).Items {
			if i.Owner != "jane.smith" {
				t.Errorf("with a cursor of john's list, jane sees %+v", i)
			}
		}
		if got := john.want(t, 200, "GET", "/items/42", "").item(t); got.Title != "John's secret" {
			t.Errorf("john's item is %+v", got)
		}
		// The items of a client and of a user with the same name are others' too.
		service := john.as("john.doe", "", nil, "items:write")
		if got := service.want(t, 200, "GET", "/items/42", ""); got.body != `{"item_id":42,"owner":"john.doe"}` {
			t.Errorf("a client called john.doe reads %s", got.body)
		}
	})
}

func TestItemScopes(t *testing.T) {
	t.Parallel()
	s := startItems(t, databasetest.URL(t, database.SQLite))
	reader := s.as("usr_1", "john.doe", nil, "items:read")
	writer := s.as("usr_1", "john.doe", nil, "items:write")
	nobody := s.as("usr_1", "john.doe", nil, "profile", "items:admin")
	for _, tt := range []struct{ method, path, body string }{
		{"POST", "/items", `{"title":"x"}`},
		{"PUT", "/items/1", `{"title":"x"}`},
		{"PATCH", "/items/1", `{"title":"x"}`},
		{"DELETE", "/items/1", ""},
	} {
		if c := challenge(t, reader.want(t, 403, tt.method, tt.path, tt.body)); c["scope"] != "items:write" {
			t.Errorf("%s: challenge %v", tt.method, c)
		}
		if got := writer.send(t, tt.method, tt.path, tt.body); got.StatusCode >= 300 {
			t.Errorf("%s with items:write: status %d", tt.method, got.StatusCode)
		}
	}
	for _, path := range []string{"/items", "/items/1"} {
		reader.want(t, 200, "GET", path, "")
		writer.want(t, 200, "GET", path, "")
		nobody.want(t, 403, "GET", path, "")
	}
}

func TestAdministrators(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, database string) {
		john := startItems(t, database)
		const subject = "usr_00000000-0000-4000-8000-000000000001"
		john.want(t, 201, "PUT", "/items/7", `{"title":"John's","note":"old"}`)
		john.as("cli_1", "", nil, "items:write").want(t, 201, "POST", "/items", `{"title":"of a service"}`)
		admin := john.as("usr_admin", "ada", []string{"staff", "admins"}, "profile", "groups", "items:admin")

		list := admin.want(t, 200, "GET", "/admin/items", "").page(t).Items
		if len(list) != 2 || list[0].OwnerID != "cli_1" || list[0].Owner != "cli_1" ||
			list[1].OwnerID != subject || list[1].Owner != "john.doe" || list[1].Title != "John's" {
			t.Errorf("list %+v", list)
		}
		if one := admin.want(t, 200, "GET", "/admin/items?owner="+subject+"&title=john", "").page(t).Items; len(one) != 1 {
			t.Errorf("list of john's %+v", one)
		}
		first := admin.want(t, 200, "GET", "/admin/items?limit=1", "").page(t)
		rest := admin.want(t, 200, "GET", "/admin/items?limit=1&cursor="+escape(first.NextCursor), "").page(t)
		if len(rest.Items) != 1 || rest.Items[0].OwnerID != subject || rest.NextCursor != "" {
			t.Errorf("second page %+v", rest)
		}
		// PostgreSQL refuses such texts: an outage would be reported in their place.
		for _, bad := range []string{
			"/admin/items?owner=%00", "/admin/items?owner=%ff", "/admin/items?title=%ff", "/admin/items/%ff/1",
			"/admin/items?cursor=" + base64.RawURLEncoding.EncodeToString([]byte("1 \xff")),
			"/admin/items?cursor=" + base64.RawURLEncoding.EncodeToString([]byte("1 \x00")),
		} {
			admin.want(t, 422, "GET", bad, "")
		}
		path := "/admin/items/" + subject + "/7"
		tag := etag(admin.want(t, 200, "GET", path, ""))
		tag = etag(admin.want(t, 200, "PATCH", path, `{"note":"new"}`, "If-Match", tag))
		if i := john.want(t, 200, "GET", "/items/7", "").item(t); i.Note != "new" || i.Owner != "john.doe" {
			t.Errorf("john reads %+v", i)
		}
		admin.want(t, 412, "PUT", path, `{"title":"x"}`, "If-Match", `"other"`)
		admin.want(t, 200, "PUT", path, `{"title":"replaced"}`, "If-Match", tag)
		admin.want(t, 204, "DELETE", path, "")
		for _, method := range []string{"GET", "PUT", "PATCH", "DELETE"} {
			body := ""
			if method[0] == 'P' {
				body = `{"title":"x"}`
			}
			admin.want(t, 404, method, path, body)
			admin.want(t, 404, method, "/admin/items/nobody/1", body)
		}
		for _, action := range []string{"list items", "read item", "write item", "delete item"} {
			if !strings.Contains(john.log.String(), `msg=administrator owner=`) ||
				!strings.Contains(john.log.String(), `action="`+action+`" by=usr_admin username=ada`) {
				t.Errorf("the log does not say that ada did %q:\n%s", action, john.log)
			}
		}
	})
}

// The admin area is for users in the group admins whose token has the scopes.
func TestWhoIsAdministrator(t *testing.T) {
	t.Parallel()
	s := startItems(t, databasetest.URL(t, database.SQLite))
	s.want(t, 201, "PUT", "/items/7", `{"title":"John's"}`)
	admins := []string{"admins"}
	for name, caller := range map[string]*itemServer{
		"no group":      s.as("usr_2", "eve", nil, "groups", "items:admin"),
		"another group": s.as("usr_2", "eve", []string{"admin", "Admins"}, "groups", "items:admin"),
		"no scope":      s.as("usr_2", "eve", admins, "groups", "items:write"),
		"no groups":     s.as("usr_2", "eve", admins, "items:admin"),
	} {
		for _, path := range []string{"/admin/items", "/admin/items/usr_1/7", "/admin/items/usr_1/x"} {
			if got := caller.send(t, "GET", path, ""); got.StatusCode != http.StatusForbidden {
				t.Errorf("%s: GET %s: status %d", name, path, got.StatusCode)
			}
		}
		caller.want(t, 403, "DELETE", "/admin/items/usr_00000000-0000-4000-8000-000000000001/7", "")
	}
	claims := s.issuer.Claims("groups", "items:admin")
	claims.Subject, claims.ClientID, claims.Username, claims.Groups = "cli_1", "cli_1", "", admins
	service := &itemServer{s.server, s.log, "Bearer " + s.issuer.Sign(claims)}
	service.want(t, 401, "GET", "/admin/items", "")
	if i := s.want(t, 200, "GET", "/items/7", "").item(t); i.Title != "John's" {
		t.Errorf("item %+v", i)
	}
}

// While the database is away, items answer 503 and the rest goes on.
func TestDatabaseAway(t *testing.T) {
	t.Parallel()
	log := slog.New(slog.DiscardHandler)
	store, err := items.Open(t.Context(), "postgres://hallpass:geheim@127.0.0.1:1/x", database.Pool{}, log)
	if err != nil {
		t.Fatal(err)
	}
	s := start(t, func(cfg *api.Config) { cfg.Items, cfg.Log = store, log })
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	john := &itemServer{s, nil, "Bearer " + s.issuer.Token("profile", "items:write")}
	for _, tt := range []struct{ method, path, body string }{
		{"GET", "/items", ""},
		{"GET", "/items/1", ""},
		{"POST", "/items", `{"title":"x"}`},
		{"PUT", "/items/1", `{"title":"x"}`},
		{"PATCH", "/items/1", `{"title":"x"}`},
		{"DELETE", "/items/1", ""},
	} {
		got := john.want(t, 503, tt.method, tt.path, tt.body)
		if got.Header.Get("Retry-After") == "" || strings.Contains(got.body, "127.0.0.1") {
			t.Errorf("%s %s: Retry-After %q, body %s", tt.method, tt.path, got.Header.Get("Retry-After"), got.body)
		}
	}
	john.want(t, 200, "GET", "/users/me", "")
	if err := store.Ping(t.Context()); !errors.Is(err, database.ErrUnavailable) {
		t.Errorf("ping: %v", err)
	}
}
