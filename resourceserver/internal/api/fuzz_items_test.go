package api_test

import (
	"encoding/json"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/hallpass-auth/hallpass/resourceserver/internal/api"
	"github.com/hallpass-auth/hallpass/resourceserver/internal/items"
	"github.com/hallpass-auth/hallpass/shared/bearertest"
	"github.com/hallpass-auth/hallpass/shared/database/databasetest"
)

// fuzzedItems is an API that stores items, without a network.
type fuzzedItems struct {
	handler       http.Handler
	authorization string
}

func newFuzzedItems(f *testing.F) *fuzzedItems {
	f.Helper()
	log := slog.New(slog.DiscardHandler)
	store, err := items.Open(f.Context(), "sqlite:"+filepath.Join(f.TempDir(), "items.db"), databasetest.Pool, log)
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = store.Close() })
	issuer := bearertest.New(f)
	handler := newHandler(f, issuer, func(cfg *api.Config) { cfg.Items, cfg.Log = store, log })
	return &fuzzedItems{handler, "Bearer " + issuer.Token("profile", "items:write")}
}

// do sends a request; header has names and values.
func (i *fuzzedItems) do(method, path, query, body string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.URL.RawQuery = query
	r.Header.Set("Authorization", i.authorization)
	r.Header.Set("Content-Type", "application/json")
	for k := 0; k < len(header); k += 2 {
		r.Header[header[k]] = append(r.Header[header[k]], header[k+1])
	}
	w := httptest.NewRecorder()
	i.handler.ServeHTTP(w, r)
	return w
}

// merge is the algorithm of RFC 7396 section 2, for an object without nested ones.
func merge(target, patch map[string]any) map[string]any {
	merged := maps.Clone(target)
	for name, value := range patch {
		if value == nil {
			delete(merged, name)
			continue
		}
		merged[name] = value
	}
	return merged
}

// A merge patch that is accepted changes an item as RFC 7396 says; one that is not changes nothing.
func FuzzPatch(f *testing.F) {
	for _, patch := range []string{
		`{"title":"b"}`, `{"note":null}`, `{"title":null}`, `{}`, `{"title":"b","title":"c"}`, `{"Title":"b"}`, `[]`, `null`,
		`{"note":"\u0000"}`, `{"note":"\ud800"}`, `{"note":"x","other":1}`, `{"title":{}}`, `{"title":""}`,
		"{\"note\":\"\xff\"}",
		`[{"op":"remove","path":"/note"}]`, "", `{"note":"`, `{"title":"b"}{}`, `{"title":"é\n"}`,
	} {
		f.Add(patch)
	}
	i := newFuzzedItems(f)
	f.Fuzz(func(t *testing.T, patch string) {
		const before = `{"title":"a","note":"n"}`
		if w := i.do("PUT", "/items/7", "", before); w.Code >= http.StatusMultipleChoices {
			t.Fatalf("status %d: %s", w.Code, w.Body)
		}
		w := i.do("PATCH", "/items/7", "", patch, "Content-Type", "application/merge-patch+json")
		target := map[string]any{"title": "a", "note": "n"}
		var members map[string]any
		switch {
		case w.Code == http.StatusOK:
			if json.Unmarshal([]byte(patch), &members) != nil {
				t.Fatalf("%q was accepted", patch)
			}
			target = merge(target, members)
		case w.Code != http.StatusBadRequest && w.Code != http.StatusUnprocessableEntity:
			t.Errorf("%q: status %d: %s", patch, w.Code, w.Body)
		}
		var now map[string]any
		if err := json.Unmarshal(i.do("GET", "/items/7", "", "").Body.Bytes(), &now); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"title", "note"} {
			if got, want := now[name], target[name]; got != want && (want != "" || got != nil) {
				t.Errorf("%q, status %d: %s is %v, want %v", patch, w.Code, name, got, want)
			}
		}
	})
}

// A page of items begins where a cursor says, for cursors that the API has made. Others are refused. No filter fails.
func FuzzList(f *testing.F) {
	i := newFuzzedItems(f)
	for _, number := range []string{"1", "2", "3"} {
		i.do("PUT", "/items/"+number, "", `{"title":"item `+number+`"}`)
	}
	for _, query := range []string{
		"", "limit=1", "limit=0", "limit=101", "limit=1e2", "limit=-1", "cursor=", "cursor=MSB4", "cursor=MSB4=",
		"cursor=%00",
		"title=%25", "title=_", "title=%00", "title=%ff", "title=%5C", "title=ITEM", "limit=1&limit=2", "%zz", "a;b",
	} {
		f.Add(query)
	}
	f.Fuzz(func(t *testing.T, query string) {
		w := i.do("GET", "/items", query, "")
		if w.Code == http.StatusUnprocessableEntity || w.Code == http.StatusBadRequest {
			return
		}
		var page struct {
			Items []struct {
				Title string `json:"title"`
			} `json:"items"`
			Next string `json:"next_cursor"`
		}
		if err := json.Unmarshal(w.Body.Bytes(), &page); err != nil || w.Code != http.StatusOK {
			t.Fatalf("%q: status %d: %s", query, w.Code, w.Body)
		}
		values, _ := url.ParseQuery(query)
		for _, item := range page.Items {
			if !strings.Contains(strings.ToLower(item.Title), strings.ToLower(values.Get("title"))) {
				t.Errorf("%q: found %q", query, item.Title)
			}
		}
		if page.Next == "" {
			return
		}
		if next := i.do("GET", "/items", "cursor="+page.Next, ""); next.Code != http.StatusOK {
			t.Errorf("%q: its next_cursor %q: status %d: %s", query, page.Next, next.Code, next.Body)
		}
	})
}

// A request for a new item that is sent again with an Idempotency-Key makes one item, whatever the key is, or is
// refused both times (draft-ietf-httpapi-idempotency-key-header section 2).
func FuzzIdempotencyKey(f *testing.F) {
	for _, key := range []string{
		`"8e03978e-40d5-43dd-bc93-6894a57f9324"`, "8e03978e", `"`, `""`, `"a`, `a"`, "a,b", `"a", "b"`, "a b", "\x00",
		"\xff", "é",
		strings.Repeat("k", 255), strings.Repeat("k", 256), "",
	} {
		f.Add(key)
	}
	i := newFuzzedItems(f)
	f.Fuzz(func(t *testing.T, key string) {
		const draft = `{"title":"a"}`
		first := i.do("POST", "/items", "", draft, "Idempotency-Key", key)
		second := i.do("POST", "/items", "", draft, "Idempotency-Key", key)
		location := first.Header().Get("Location")
		switch {
		case first.Code == http.StatusCreated:
			if second.Code != first.Code || second.Header().Get("Location") != location || !printable(key) {
				t.Errorf("%q: %d %s, then %d %s", key, first.Code, location, second.Code, second.Header().Get("Location"))
			}
			i.do("DELETE", location, "", "")
		case first.Code != http.StatusUnprocessableEntity || second.Code != first.Code:
			t.Errorf("%q: status %d, then %d: %s", key, first.Code, second.Code, first.Body)
		}
	})
}

func printable(text string) bool {
	return utf8.ValidString(text) && !strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' })
}
