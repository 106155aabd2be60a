package api_test

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/hallpass-auth/hallpass/shared/database"
	"github.com/hallpass-auth/hallpass/shared/database/databasetest"
)

func TestInvalidItems(t *testing.T) {
	t.Parallel()
	s := startItems(t, databasetest.URL(t, database.SQLite))
	s.want(t, 201, "PUT", "/items/1", `{"title":"x"}`)
	for _, tt := range []struct {
		method, body string
		status       int
		field        string
	}{
		{"PUT", `{}`, 422, "body"},
		{"PUT", `{"title":""}`, 422, "body.title"},
		{"PUT", `{"title":"  "}`, 422, "body.title"},
		{"PUT", `{"title":null}`, 422, "body.title"},
		{"PUT", `{"title":7}`, 422, "body.title"},
		{"PUT", `{"title":"a\u0000b"}`, 422, "body.title"},
		{"PUT", `{"title":"a\nb"}`, 422, "body.title"},
		{"PUT", `{"title":"a","note":"a\u0000b"}`, 422, "body.note"},
		{"PUT", `{"title":"` + strings.Repeat("é", 201) + `"}`, 422, "body.title"},
		{"PUT", `{"title":"a","note":"` + strings.Repeat("é", 10_001) + `"}`, 422, "body.note"},
		{"PUT", `{"title":"a","owner":"jane"}`, 422, "body.owner"},
		{"PUT", `{"title":"a","item_id":7}`, 422, "body.item_id"},
		{"PUT", `{"Title":"a"}`, 422, "body.title"},
		{"PUT", `{"title":"a","title":"b"}`, 400, "body"},
		{"PUT", "{\"title\":\"\xff\"}", 400, "body"},
		{"PUT", `[]`, 422, "body"},
		{"PUT", `null`, 422, "body"},
		{"PUT", `{"title":`, 400, "body"},
		{"PATCH", `{"title":null}`, 422, "body.title"},
		{"PATCH", `{"title":""}`, 422, "body.title"},
		{"PATCH", `{"unknown":"x"}`, 422, "body.unknown"},
		{"PATCH", `{"owner":null}`, 422, "body.owner"},
		{"PATCH", `{"note":{"a":1}}`, 422, "body.note"},
		{"PATCH", `[{"op":"remove","path":"/note"}]`, 422, "body"},
	} {
		got := s.want(t, tt.status, tt.method, "/items/1", tt.body)
		p := got.problem(t)
		if !slices.ContainsFunc(p.Errors, func(e struct {
			Field   string `json:"field"`
			Message string `json:"message"`
		},
		) bool {
			return e.Field == tt.field
		}) {
			t.Errorf("%s %.60s: %s does not name %s", tt.method, tt.body, got.body, tt.field)
		}
	}
	s.want(t, 422, "PATCH", "/items/2", `{"note":"a new item needs a title"}`)
	longest := fmt.Sprintf(`{"title":"%s","note":"%s\n\t"}`, strings.Repeat("é", 200), strings.Repeat("é", 9_998))
	s.want(t, 200, "PUT", "/items/1", longest)
	s.want(t, 415, "PATCH", "/items/1", `[]`, "Content-Type", "application/json-patch+json")
	s.want(t, 415, "PATCH", "/items/1", `title=x`, "Content-Type", "application/x-www-form-urlencoded")
	s.want(t, 415, "PUT", "/items/1", `title=x`, "Content-Type", "application/x-www-form-urlencoded")
}

// A body of 10 MB is refused, also if the request does not say how long it is.
func TestHugeBodies(t *testing.T) {
	t.Parallel()
	s := startItems(t, databasetest.URL(t, database.SQLite))
	huge := `{"title":"` + strings.Repeat("x", 10<<20) + `"}`
	for _, tt := range [][2]string{{"POST", "/items"}, {"PUT", "/items/1"}, {"PATCH", "/items/1"}} {
		for _, body := range []io.Reader{strings.NewReader(huge), io.MultiReader(strings.NewReader(huge))} {
			req, err := http.NewRequest(tt[0], s.URL+tt[1], body)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Authorization", s.authorization)
			req.Header.Set("Content-Type", "application/json")
			resp, err := http.DefaultTransport.RoundTrip(req)
			if err != nil {
				continue // the server may close the connection while the client still writes
			}
			resp.Body.Close()
			if resp.StatusCode != http.StatusRequestEntityTooLarge {
				t.Errorf("%s %s: status %d", tt[0], tt[1], resp.StatusCode)
			}
		}
	}
	if got := s.want(t, 200, "GET", "/items", ""); got.body != `{"items":[]}` {
		t.Errorf("items %s", got.body)
	}
}
