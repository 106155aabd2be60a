package api_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/hallpass-auth/hallpass/shared/database/databasetest"
)

// RFC 9110 section 13.1.
func TestConditions(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, database string) {
		s := startItems(t, database)
		const body = `{"title":"x"}`
		// An item that is not written has no state.
		s.want(t, 412, "GET", "/items/1", "", "If-Match", "*")
		s.want(t, 200, "GET", "/items/1", "", "If-None-Match", "*")
		s.want(t, 412, "PUT", "/items/1", body, "If-Match", "*")
		s.want(t, 412, "PUT", "/items/1", body, "If-Match", `"x"`)
		s.want(t, 412, "PATCH", "/items/1", body, "If-Match", "*")
		s.want(t, 412, "DELETE", "/items/1", "", "If-Match", "*")
		tag := etag(s.want(t, 201, "PUT", "/items/1", body, "If-None-Match", "*"))
		s.want(t, 412, "PUT", "/items/1", body, "If-None-Match", "*")
		s.want(t, 412, "DELETE", "/items/1", "", "If-None-Match", tag)

		for name, header := range map[string][]string{
			"the tag": {"If-None-Match", tag}, "weak": {"If-None-Match", "W/" + tag}, "any": {"If-None-Match", "*"},
			"in a list":   {"If-None-Match", `"a,b" , W/"c",` + tag},
			"in two":      {"If-None-Match", `"a"`, "If-None-Match", tag},
			"both fields": {"If-Match", tag, "If-None-Match", tag},
		} {
			if got := s.want(t, 304, "GET", "/items/1", "", header...); etag(got) != tag || got.body != "" {
				t.Errorf("%s: ETag %q, body %q", name, etag(got), got.body)
			}
		}
		s.want(t, 200, "GET", "/items/1", "", "If-None-Match", `"other"`)
		for _, wrong := range []string{`"other"`, "W/" + tag, `W/"other", "a"`, strings.ToUpper(tag)} {
			s.want(t, 412, "GET", "/items/1", "", "If-Match", wrong)
			s.want(t, 412, "PUT", "/items/1", body, "If-Match", wrong)
			s.want(t, 412, "PATCH", "/items/1", `{}`, "If-Match", wrong)
			s.want(t, 412, "DELETE", "/items/1", "", "If-Match", wrong)
		}
		for _, malformed := range []string{
			"", " ", "x", strings.Trim(tag, `"`), tag + tag, tag + " x", `"`, `W/`, `w/"x"`, `*, "x"`, `"a b"`, "'x'", ",",
		} {
			for _, field := range []string{"If-Match", "If-None-Match"} {
				got := s.want(t, 422, "PUT", "/items/1", body, field, malformed)
				if p := got.problem(t); len(p.Errors) != 1 || p.Errors[0].Field != "header."+field {
					t.Errorf("%s: %q: %s", field, malformed, got.body)
				}
			}
		}
		tag = etag(s.want(t, 200, "PUT", "/items/1", body, "If-Match", `"a", `+tag))
		s.want(t, 200, "PUT", "/items/1", body, "If-Match", "*")
		s.want(t, 412, "DELETE", "/items/1", "", "If-Match", tag)
		s.want(t, 204, "DELETE", "/items/1", "", "If-Match", "*")
	})
}

// Of many writes that have read the same state, one succeeds.
func TestLostUpdates(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, database string) {
		s := startItems(t, database)
		tag := etag(s.want(t, 201, "PUT", "/items/1", `{"title":"start"}`))
		var wins, losses []int
		var mu sync.Mutex
		var writers sync.WaitGroup
		for i := range 20 {
			writers.Go(func() {
				method := []string{"PUT", "PATCH"}[i%2]
				got := s.send(t, method, "/items/1", fmt.Sprintf(`{"title":"writer %d"}`, i), "If-Match", tag)
				mu.Lock()
				defer mu.Unlock()
				if got.StatusCode == http.StatusOK {
					wins = append(wins, i)
				} else if got.StatusCode == http.StatusPreconditionFailed {
					losses = append(losses, i)
				}
			})
		}
		writers.Wait()
		if len(wins) != 1 || len(losses) != 19 {
			t.Fatalf("%d writes succeeded and %d were refused, want 1 and 19", len(wins), len(losses))
		}
		if got := s.want(t, 200, "GET", "/items/1", "").item(t).Title; got != fmt.Sprintf("writer %d", wins[0]) {
			t.Errorf("title %q, but writer %d succeeded", got, wins[0])
		}
	})
}

// Patches of different fields at the same time lose nothing, also without conditions.
func TestPatchesAtOnce(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, database string) {
		s := startItems(t, database)
		s.want(t, 201, "PUT", "/items/1", `{"title":"start"}`)
		var writers sync.WaitGroup
		for _, body := range []string{`{"title":"new title"}`, `{"note":"new note"}`} {
			writers.Go(func() { s.want(t, 200, "PATCH", "/items/1", body) })
		}
		writers.Wait()
		if i := s.want(t, 200, "GET", "/items/1", "").item(t); i.Title != "new title" || i.Note != "new note" {
			t.Errorf("got %+v", i)
		}
	})
}

func TestIdempotencyKey(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, database string) {
		s := startItems(t, database)
		const body, key = `{"title":"once"}`, `"8e03978e-40d5-43dd-bc93-6894a57f9324"`
		responses := make([]response, 10)
		var requests sync.WaitGroup
		for i := range responses {
			requests.Go(func() { responses[i] = s.want(t, 201, "POST", "/items", body, "Idempotency-Key", key) })
		}
		requests.Wait()
		for _, got := range responses {
			if got.body != responses[0].body || etag(got) != etag(responses[0]) ||
				got.Header.Get("Location") != responses[0].Header.Get("Location") {
				t.Errorf("a replay responds %s %q, not %s %q", got.body, etag(got), responses[0].body, etag(responses[0]))
			}
		}
		// The white space of the body and the quotes of the key do not matter.
		again := s.want(t, 201, "POST", "/items", `{ "title": "once" }`, "Idempotency-Key", strings.Trim(key, `"`))
		if again.body != responses[0].body {
			t.Errorf("got %s", again.body)
		}
		got := s.want(t, 422, "POST", "/items", `{"title":"another"}`, "Idempotency-Key", key)
		if p := got.problem(t); len(p.Errors) != 1 || p.Errors[0].Field != "header.Idempotency-Key" {
			t.Errorf("another body: %s", got.body)
		}
		// The key works for this caller only.
		jane := s.as("usr_jane", "jane.smith", nil, "profile", "items:write")
		hers := jane.want(t, 201, "POST", "/items", `{"title":"another"}`, "Idempotency-Key", key)
		if hers.item(t).Owner != "jane.smith" {
			t.Errorf("jane's item: %s", hers.body)
		}
		// A replay shows the item as it was made.
		s.want(t, 204, "DELETE", "/items/1", "")
		if got := s.want(t, 201, "POST", "/items", body, "Idempotency-Key", key); got.body != responses[0].body {
			t.Errorf("after the item is deleted: %s", got.body)
		}
		if got := s.want(t, 200, "GET", "/items", ""); got.body != `{"items":[]}` {
			t.Errorf("items %s", got.body)
		}
		for _, wrong := range []string{"", `""`, `"a`, `"a"b"`, `"a", "b"`, "a b", "ä", strings.Repeat("x", 256)} {
			s.want(t, 422, "POST", "/items", body, "Idempotency-Key", wrong)
		}
		s.want(t, 422, "POST", "/items", body, "Idempotency-Key", `"a"`, "Idempotency-Key", `"b"`)
	})
}
