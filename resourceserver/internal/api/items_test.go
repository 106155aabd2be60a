package api_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hallpass-auth/hallpass/resourceserver/internal/api"
	"github.com/hallpass-auth/hallpass/resourceserver/internal/items"
	"github.com/hallpass-auth/hallpass/shared/database/databasetest"
)

func TestMain(m *testing.M) { databasetest.Main(m) }

// itemServer is an API that stores items, and a caller with a token.
type itemServer struct {
	*server
	log           *bytes.Buffer
	authorization string
}

// startItems starts an API that stores items in the database at the URL. Its caller is john.doe.
func startItems(t *testing.T, url string) *itemServer {
	t.Helper()
	log := &bytes.Buffer{}
	logger := slog.New(slog.NewTextHandler(log, nil))
	store, err := items.Open(t.Context(), url, databasetest.Pool, logger)
	if err != nil {
		t.Fatal(err)
	}
	s := start(t, func(cfg *api.Config) { cfg.Items, cfg.Log = store, logger })
	t.Cleanup(func() {
		s.Close()
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return &itemServer{s, log, "Bearer " + s.issuer.Token("profile", "items:write")}
}

// as returns the server with another caller.
func (s *itemServer) as(subject, username string, groups []string, scopes ...string) *itemServer {
	claims := s.issuer.Claims(scopes...)
	claims.Subject, claims.Username, claims.Groups = subject, username, groups
	return &itemServer{s.server, s.log, "Bearer " + s.issuer.Sign(claims)}
}

// send sends a request with a body, unless it is empty.
func (s *itemServer) send(t testing.TB, method, path, body string, header ...string) response {
	t.Helper()
	req, err := http.NewRequest(method, s.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", s.authorization)
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(header); i += 2 {
		if header[i] == "Content-Type" {
			req.Header.Del("Content-Type")
		}
		req.Header.Add(header[i], header[i+1])
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response{resp, string(text)}
}

// want sends a request whose response must have the status, and returns the response.
func (s *itemServer) want(t testing.TB, status int, method, path, body string, header ...string) response {
	t.Helper()
	got := s.send(t, method, path, body, header...)
	if got.StatusCode != status {
		t.Errorf("%s %s %q %q: status %d, want %d; body %s", method, path, body, header, got.StatusCode, status, got.body)
	}
	if status >= 400 {
		got.problem(t)
	}
	return got
}

// item is an item in a response.
type item struct {
	ItemID    int64     `json:"item_id"`
	Owner     string    `json:"owner"`
	OwnerID   string    `json:"owner_id"`
	Title     string    `json:"title"`
	Note      string    `json:"note"`
	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`
}

// item returns the item in the body.
func (a response) item(t testing.TB) (i item) {
	t.Helper()
	if err := json.Unmarshal([]byte(a.body), &i); err != nil {
		t.Fatalf("%v in %s", err, a.body)
	}
	return i
}

// page is a page of items in a response.
type page struct {
	Items      []item `json:"items"`
	NextCursor string `json:"next_cursor"`
}

// page returns the page in the body.
func (a response) page(t testing.TB) (p page) {
	t.Helper()
	if err := json.Unmarshal([]byte(a.body), &p); err != nil {
		t.Fatalf("%v in %s", err, a.body)
	}
	return p
}

func etag(a response) string { return a.Header.Get("ETag") }

const unwritten42 = `{"item_id":42,"owner":"john.doe"}`

func TestItemLifecycle(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, database string) {
		s := startItems(t, database)
		got := s.want(t, 200, "GET", "/items/42", "")
		if got.body != unwritten42 || etag(got) != "" {
			t.Errorf("unwritten: body %s, ETag %q", got.body, etag(got))
		}
		first := s.want(t, 201, "PUT", "/items/42", `{"title":"Buy milk","note":"Two"}`)
		if i := first.item(t); i.ItemID != 42 || i.Owner != "john.doe" || i.Title != "Buy milk" || i.Note != "Two" ||
			time.Since(i.CreatedAt) > time.Hour || !i.UpdatedAt.Equal(i.CreatedAt) {
			t.Errorf("written: %s", first.body)
		}
		if !strings.HasPrefix(etag(first), `"`) {
			t.Errorf("ETag %q is not strong", etag(first))
		}
		got = s.want(t, 200, "GET", "/items/42", "")
		if got.body != first.body || etag(got) != etag(first) {
			t.Errorf("read: body %s, ETag %q", got.body, etag(got))
		}
		second := s.want(t, 200, "PUT", "/items/42", `{"title":"Buy milk"}`)
		if second.item(t).Note != "" || etag(second) == etag(first) {
			t.Errorf("replaced: body %s, ETag %q", second.body, etag(second))
		}
		third := s.want(t, 200, "PATCH", "/items/42", `{"note":"Three"}`, "Content-Type", "application/merge-patch+json")
		if i := third.item(t); i.Title != "Buy milk" || i.Note != "Three" {
			t.Errorf("patched: %s", third.body)
		}
		if i := s.want(t, 200, "PATCH", "/items/42", `{"note":null}`).item(t); i.Title != "Buy milk" || i.Note != "" {
			t.Errorf("note removed: %+v", i)
		}
		s.want(t, 204, "DELETE", "/items/42", "")
		got = s.want(t, 200, "GET", "/items/42", "")
		if got.body != unwritten42 || etag(got) != "" {
			t.Errorf("deleted: body %s, ETag %q", got.body, etag(got))
		}
		s.want(t, 204, "DELETE", "/items/42", "")
		tag := etag(s.want(t, 201, "PATCH", "/items/42", `{"title":"Buy milk"}`))
		if tag == etag(first) || tag == etag(second) {
			t.Error("an entity tag came back")
		}
	})
}

// New items get numbers of their own, past those that are written.
func TestCreateItem(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, database string) {
		s := startItems(t, database)
		s.want(t, 201, "PUT", "/items/2", `{"title":"two"}`)
		s.want(t, 201, "PUT", "/items/3", `{"title":"three"}`)
		s.want(t, 201, "PUT", "/items/9223372036854775807", `{"title":"last"}`)
		for _, want := range []string{"/items/1", "/items/4", "/items/5"} {
			got := s.want(t, 201, "POST", "/items", `{"title":"new"}`)
			if location := got.Header.Get("Location"); location != want || etag(got) == "" {
				t.Errorf("Location %q, want %q; ETag %q", location, want, etag(got))
			}
			if read := s.want(t, 200, "GET", want, ""); read.body != got.body {
				t.Errorf("made %s, read %s", got.body, read.body)
			}
		}
		s.want(t, 204, "DELETE", "/items/5", "")
		if got := s.want(t, 201, "POST", "/items", `{"title":"new"}`).item(t).ItemID; got != 6 {
			t.Errorf("item %d, want 6: the number of a deleted item was given again", got)
		}
	})
}

// Both ends of 64 bits are items like any other, and are listed.
func TestItemsAtTheEnds(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, database string) {
		s := startItems(t, database)
		ids := []int64{-9223372036854775808, -9223372036854775807, 0, 9223372036854775806, 9223372036854775807}
		for _, id := range ids {
			s.want(t, 201, "PUT", "/items/"+strconv.FormatInt(id, 10), `{"title":"an end"}`)
		}
		var got []int64
		for cursor := "?limit=1"; cursor != ""; {
			p := s.want(t, 200, "GET", "/items"+cursor, "").page(t)
			for _, i := range p.Items {
				got = append(got, i.ItemID)
			}
			cursor = ""
			if p.NextCursor != "" {
				cursor = "?limit=1&cursor=" + escape(p.NextCursor)
			}
		}
		if !slices.Equal(got, ids) {
			t.Errorf("listed %v, want %v", got, ids)
		}
		for _, id := range []string{"9223372036854775808", "-9223372036854775809", "4.0", "1e3"} {
			s.want(t, 422, "PUT", "/items/"+id, `{"title":"beyond"}`)
			s.want(t, 422, "DELETE", "/items/"+id, "")
		}
	})
}

// escape returns a text for a query.
func escape(text string) string { return url.QueryEscape(text) }

func TestListItems(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, database string) {
		s := startItems(t, database)
		for _, title := range []string{"Milk 100%", "ÄPFEL", "milk_2", "Bread"} {
			s.want(t, 201, "POST", "/items", `{"title":"`+title+`"}`)
		}
		for query, want := range map[string][]int64{
			"": {1, 2, 3, 4}, "?title=MILK": {1, 3}, "?title=%C3%A4pfel": {2}, "?title=%25": {1}, "?title=_": {3},
			"?title=nothing": nil, "?limit=2": {1, 2}, "?title=": {1, 2, 3, 4},
		} {
			var got []int64
			for _, i := range s.want(t, 200, "GET", "/items"+query, "").page(t).Items {
				got = append(got, i.ItemID)
			}
			if !slices.Equal(got, want) {
				t.Errorf("%s: items %v, want %v", query, got, want)
			}
		}
		for _, query := range []string{
			"limit=0", "limit=101", "limit=x", "limit=-1", "cursor=x", "cursor=%00", "cursor=NDI", "cursor=eCBqb2hu",
			"title=%00",
			"cursor=" + strings.Repeat("a", 2000), "title=" + strings.Repeat("a", 201),
		} {
			s.want(t, 422, "GET", "/items?"+query, "")
		}
	})
}

// A list that is read by pages has each item that is there all the time once, while others are written and
// deleted.
func TestPagesUnderWrites(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, database string) {
		s := startItems(t, database)
		for i := range 40 {
			s.want(t, 201, "PUT", fmt.Sprintf("/items/%d", i*10), `{"title":"stays"}`)
		}
		seen := map[int64]int{}
		cursor := ""
		for round := 0; ; round++ {
			p := s.want(t, 200, "GET", "/items?limit=7"+cursor, "").page(t)
			for _, i := range p.Items {
				seen[i.ItemID]++
			}
			for i := range 10 { // around the place where the page ends
				s.want(t, 201, "PUT", fmt.Sprintf("/items/%d", 7*round*10+i*10+round%9+1), `{"title":"comes and goes"}`)
			}
			if round > 0 {
				for i := range 10 {
					s.want(t, 204, "DELETE", fmt.Sprintf("/items/%d", 7*(round-1)*10+i*10+(round-1)%9+1), "")
				}
			}
			if p.NextCursor == "" {
				break
			}
			cursor = "&cursor=" + escape(p.NextCursor)
		}
		for i := range 40 {
			if n := seen[int64(i*10)]; n != 1 {
				t.Errorf("item %d was listed %d times", i*10, n)
			}
		}
		for id, n := range seen {
			if n > 1 {
				t.Errorf("item %d was listed %d times", id, n)
			}
		}
	})
}
