package adminapi_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/hallpass-auth/hallpass/authserver/internal/adminapi"
)

// hostile are texts that somebody may send in place of every text.
var hostile = []string{
	"\x00", "a\x00b", "..", "../../clients/robot", "'; DROP TABLE users; --", "\u202etxt.exe", "=HYPERLINK(1)", "-1",
	"9223372036854775808", "%", "*", "[", strings.Repeat("\U0001F600", 2000), "\r\nX-Injected: 1",
}

// described is an operation of the OpenAPI document.
type described struct {
	Parameters  []struct{ Name, In string }
	RequestBody struct {
		Content map[string]struct {
			Schema struct {
				Ref string `json:"$ref"`
			}
		}
	}
}

// fill returns the path of a template with a text in place of each parameter.
func (o described) fill(template, text string) (path string) {
	path = template
	for _, p := range o.Parameters {
		path = strings.ReplaceAll(path, "{"+p.Name+"}", text)
	}
	return path
}

// describedOperations returns the operations by method and path, and the names of the properties of schemas.
func (h *host) describedOperations() (operations map[string]described, properties map[string]map[string]any) {
	h.t.Helper()
	var doc struct {
		Paths      map[string]map[string]described
		Components struct {
			Schemas map[string]struct{ Properties map[string]any }
		}
	}
	h.must(json.Unmarshal([]byte(h.call(http.MethodGet, "/openapi.json", "", "").body), &doc))
	operations, properties = map[string]described{}, map[string]map[string]any{}
	for path, methods := range doc.Paths {
		for method, o := range methods {
			operations[strings.ToUpper(method)+" "+strings.TrimPrefix(path, adminapi.Path)] = o
		}
	}
	for name, schema := range doc.Components.Schemas {
		properties["#/components/schemas/"+name] = schema.Properties
	}
	return operations, properties
}

// No text, wherever it is sent, is a fault of the server, and NUL is refused in every place: no database compares it.
func TestHostileInputOfEveryOperation(t *testing.T) {
	h := start(t)
	operations, properties := h.describedOperations()
	token := h.robotToken()
	for name, o := range operations {
		method, template, _ := strings.Cut(name, " ")
		try := func(what, text, path, body string) {
			t.Helper()
			got := h.call(method, path, token, body)
			hasNUL := strings.Contains(text, "\x00")
			if hasNUL && got.StatusCode != http.StatusBadRequest || got.StatusCode >= http.StatusInternalServerError {
				t.Errorf("%s, %s is %.20q: %d %s", name, what, text, got.StatusCode, got.body)
			}
			if got.Header.Get("X-Injected") != "" {
				t.Errorf("%s, %s: the response has a header of the request", name, what)
			}
		}
		fill := func(text string) string { return o.fill(template, url.PathEscape(text)) }
		path := fill("nobody")
		try("the body", "deep", path, strings.Repeat("[", 30_000))
		for _, text := range append(hostile, "\xff") {
			if path != template {
				try("the path", text, fill(text), "")
			}
			for _, p := range o.Parameters {
				if p.In == "query" {
					try("the parameter "+p.Name, text, path+"?"+url.Values{p.Name: {text}}.Encode(), "")
				}
			}
			quoted, err := json.Marshal(text)
			h.must(err)
			for property := range properties[o.RequestBody.Content["application/json"].Schema.Ref] {
				try("the member "+property, text, path, `{"`+property+`":`+string(quoted)+`}`)
				try("the list "+property, text, path, `{"`+property+`":[`+string(quoted)+`]}`)
			}
		}
	}
}

// What is listed, shown or deleted of something unknown is not found.
func TestUnknownThings(t *testing.T) {
	h := start(t)
	operations, _ := h.describedOperations()
	token := h.robotToken()
	for name, o := range operations {
		method, template, _ := strings.Cut(name, " ")
		if !strings.Contains(template, "{") || method != http.MethodGet && method != http.MethodDelete {
			continue
		}
		path := o.fill(strings.ReplaceAll(template, "{email}", "7@example.com"), "7")
		h.call(method, path, token, "").expect(t, name, http.StatusNotFound, "not found")
	}
}

// A user with the name of a service, or of anybody else in the audit log, does not hide its records.
func TestNamesakesInAuditLog(t *testing.T) {
	h := start(t)
	token := h.robotToken()
	carl, err := h.data.UserByUsername(t.Context(), "carl")
	h.must(err)
	h.call(http.MethodPost, "/users/carl/disable", token, "").expect(t, "disable", http.StatusNoContent, "")
	for _, name := range []string{robot, carl.ID} {
		h.call(http.MethodPost, "/users", token, `{"username":"`+name+`","password":"`+password+`"}`).
			expect(t, "a namesake", http.StatusCreated, "")
	}
	for query, event := range map[string]string{
		"actor=" + robot: "user_disabled", "about=" + robot: "user_disabled", "subject=" + robot: "user_added",
		"subject=" + carl.ID: "user_disabled", "about=" + carl.ID: "user_disabled", "subject=carl": "user_disabled",
		"since=1900-01-01T00:00:00Z&subject=carl": "user_disabled",
	} {
		for _, path := range []string{"/audit?", "/audit/export?"} {
			h.call(http.MethodGet, path+query, token, "").expect(t, path+query, http.StatusOK, `"event":"`+event+`"`)
		}
	}
	page := h.call(http.MethodGet, "/audit?limit=1&about="+robot, token, "")
	link, _, _ := strings.Cut(strings.TrimPrefix(page.Header.Get("Link"), "<"+issuer+adminapi.Path), ">")
	next := h.call(http.MethodGet, link, token, "")
	next.expect(t, "the next page", http.StatusOK, `"items":[{`)
	if next.body == page.body {
		t.Error("the next page is the same")
	}
}
