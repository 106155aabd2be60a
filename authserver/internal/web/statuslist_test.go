package web_test

import (
	"compress/gzip"
	"encoding/base64"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hallpass-auth/hallpass/shared/oauth"
	"github.com/hallpass-auth/hallpass/shared/statuslist"
	"github.com/hallpass-auth/hallpass/shared/token"

	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
	"github.com/hallpass-auth/hallpass/authserver/internal/resource"
)

// get sends a GET request to the site.
func (s *site) get(path string, changes ...change) answer {
	s.t.Helper()
	r := s.request("", append([]change{func(r *http.Request) {
		r.Method = http.MethodGet
		r.URL.Path, r.URL.RawQuery, _ = strings.Cut(path, "?")
	}}, changes...)...)
	return s.send(r)
}

// revoked fetches the status list of a token and returns the token's bit.
func (s *site) revoked(claims *token.Claims) bool {
	s.t.Helper()
	path, ok := strings.CutPrefix(claims.Status.URI, issuer)
	got := s.get(path)
	if !ok || got.status != http.StatusOK || got.header.Get("Content-Type") != "application/statuslist+jwt" {
		s.t.Fatalf("%s: %d %v", claims.Status.URI, got.status, got.header)
	}
	list, err := statuslist.Verify(got.text, statuslist.Expected{URI: claims.Status.URI, Keys: s.ring, Audience: audience,
		Now: s.clock()})
	s.must(err)
	revoked, ok := list.List.Revoked(claims.Status.Index)
	if !ok {
		s.t.Fatalf("index %d is outside the list", claims.Status.Index)
	}
	return revoked
}

// RFC 7009 section 2.1: revoking ends access tokens. The list says so a moment later.
func TestStatusList(t *testing.T) {
	s := newSite(t)
	first := s.expectOK("login", s.post(login()))
	raw := s.post(login()).body["access_token"].(string)
	second, err := s.verifier.Verify(t.Context(), raw)
	s.must(err)
	if s.revoked(first) || s.revoked(second) {
		t.Error("a new token is revoked")
	}
	got := s.send(s.request("token="+raw+"&client_id="+demo, func(r *http.Request) { r.URL.Path = "/revoke" }))
	if got.status != http.StatusOK {
		t.Fatalf("revoke: %d %s", got.status, got.text)
	}
	s.wait(200 * time.Millisecond)
	if s.revoked(first) || !s.revoked(second) {
		t.Error("the list does not match the revocations")
	}
	s.must(s.data.DeleteUser(t.Context(), john, s.clock()))
	s.wait(200 * time.Millisecond)
	if !s.revoked(first) {
		t.Error("the token of a deleted user is not revoked")
	}
}

// RFC 9110 section 13.1.2: a list that has not changed is not sent again; weak tags compare as
// equal. RFC 9111 section 5.2.2.4: caches revalidate it each time.
func TestStatusListNotModified(t *testing.T) {
	s := newSite(t)
	s.post(login())
	full := s.get("/status-lists/0")
	tag := full.header.Get("ETag")
	if full.status != http.StatusOK || !strings.HasPrefix(tag, `W/"`) || full.header.Get("Cache-Control") != "no-cache" {
		t.Fatalf("%d %v", full.status, full.header)
	}
	for value, want := range map[string]int{
		tag: http.StatusNotModified, `"x", ` + tag: http.StatusNotModified,
		strings.TrimPrefix(tag, "W/"): http.StatusNotModified,
		`W/"x"`:                       http.StatusOK, "": http.StatusOK,
	} {
		got := s.get("/status-lists/0", header("If-None-Match", value))
		if got.status != want || got.header.Get("ETag") != tag || got.header.Get("Cache-Control") != "no-cache" ||
			(want == http.StatusNotModified) != (got.text == "") {
			t.Errorf("If-None-Match %s: %d %v", value, got.status, got.header)
		}
	}
}

func TestUnknownStatusLists(t *testing.T) {
	s := newSite(t)
	if got := s.get("/status-lists/0"); got.status != http.StatusNotFound {
		t.Errorf("before any grant: %d %s", got.status, got.text)
	}
	s.wait(time.Second)
	s.post(login())
	if got := s.get("/status-lists/0"); got.status != http.StatusOK {
		t.Errorf("after the first: %d %s", got.status, got.text)
	}
	for _, path := range []string{"1", "00", "-1", "x", "0/", "0/x", "0/aHR0cHM6Ly9iaWxsaW5nLmV4YW1wbGU", "0/eA/eA",
		"eABCDEFGHIJKLMNOPQRSTUVWXYZ/0",
		"99999999999999999999", "%30"} {
		if got := s.get("/status-lists/" + path); got.status != http.StatusNotFound {
			t.Errorf("%s: %d %s", path, got.status, got.text)
		}
	}
	if n := s.counted()["status_list not_found"]; n != 11 { // one of the paths matches no route
		t.Errorf("counted: %v", s.counted())
	}
}

// After a restore every earlier token is revoked, and new tokens refer to lists that no earlier token
// refers to.
func TestStatusListsAfterARestore(t *testing.T) {
	s := newSite(t)
	response := s.post(login())
	before := s.expectOK("login", response)
	raw := response.body["access_token"].(string)
	bearer := header("Authorization", "Bearer "+raw)
	if got := s.get("/userinfo", bearer); got.status != http.StatusOK {
		t.Fatalf("before the restore: %d %s", got.status, got.text)
	}
	epoch := grant.NewEpoch()
	_, err := s.data.StartEpoch(t.Context(), epoch, s.clock())
	s.must(err)
	s.wait(time.Second)
	after := s.expectOK("login", s.post(login()))
	if want := issuer + "/status-lists/" + epoch + "/0"; after.Status.URI != want {
		t.Errorf("a new token refers to %s, want %s", after.Status.URI, want)
	}
	if !s.revoked(before) || s.revoked(after) {
		t.Errorf("revoked: the earlier token %v, the new one %v", s.revoked(before), s.revoked(after))
	}
	if got := s.get("/userinfo", bearer); got.status != http.StatusUnauthorized {
		t.Errorf("userinfo with the earlier token: %d %s", got.status, got.text)
	}

	long := "/status-lists/" + epoch + "/0/" + base64.RawURLEncoding.EncodeToString([]byte(audience))
	if got := s.get(long); got.status != http.StatusOK {
		t.Errorf("%s: %d %s", long, got.status, got.text)
	}
}

// Without a database the server must not say that nothing is revoked.
func TestStatusListWithoutADatabase(t *testing.T) {
	s := newSite(t)
	s.post(login())
	s.must(s.data.Close())
	got := s.get("/status-lists/0")
	if got.status != http.StatusServiceUnavailable || got.header.Get("Retry-After") == "" ||
		got.header.Get("ETag") != "" || got.header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("%d %v %s", got.status, got.header, got.text)
	}
	if n := s.counted()["status_list temporarily_unavailable"]; n != 1 {
		t.Errorf("counted: %v", s.counted())
	}
}

// Token Status List, section 9 (Status List Aggregation): the metadata leads to all lists.
func TestStatusListAggregation(t *testing.T) {
	s := newSite(t)
	const billing = "https://billing.example/?a=1&b=2"
	s.must(s.data.CreateAPI(t.Context(), resource.API{Audience: billing, Name: "Billing", Scope: oauth.Scope{"x"},
		CreatedAt: s.clock()}))
	s.post(login())
	var metadata struct {
		Lists string `json:"status_list_aggregation_endpoint"`
	}
	s.get("/.well-known/oauth-authorization-server").decode(&metadata)
	path, ok := strings.CutPrefix(metadata.Lists, issuer)
	if !ok {
		t.Fatalf("the endpoint is %q", metadata.Lists)
	}
	for query, want := range map[string][]string{
		"":                      {issuer + "/status-lists/0"},
		"?resource=" + audience: {issuer + "/status-lists/0"},
		"?resource=https%3A%2F%2Fbilling.example%2F%3Fa%3D1%26b%3D2": {issuer + "/status-lists/0/aHR0cHM6Ly9iaWxsaW5nLmV4YW1wbGUvP2E9MSZiPTI"},
	} {
		var found struct {
			Lists []string `json:"status_lists"`
		}
		s.get(path + query).decode(&found)
		if !slices.Equal(found.Lists, want) {
			t.Errorf("%s: %v, want %v", query, found.Lists, want)
		}
	}
	got := s.get(path + "?resource=https://nobody.example")
	if got.status != http.StatusBadRequest || !strings.Contains(got.text, "invalid_target") {
		t.Errorf("%d %s", got.status, got.text)
	}
}

// RFC 9110 sections 8.4 and 12.5.3: a client that accepts gzip gets the same list compressed, and caches keep both
// apart.
func TestStatusListCompressed(t *testing.T) {
	s := newSite(t)
	s.post(login())
	plain := s.get("/status-lists/0")
	for accepted, want := range map[string]string{
		"": "", "identity": "", "br": "", "gzip;q=0": "", "gzip; q=0.0": "", "gzip;q=x": "",
		"gzip": "gzip", "br, GZIP": "gzip", "deflate, gzip; q=0.5": "gzip",
	} {
		got := s.get("/status-lists/0", func(r *http.Request) { r.Header.Set("Accept-Encoding", accepted) })
		if got.header.Get("Content-Encoding") != want || !slices.Contains(got.header.Values("Vary"), "Accept-Encoding") {
			t.Errorf("Accept-Encoding: %s: %v, want the encoding %q", accepted, got.header, want)
		}
		text := got.text
		if want != "" {
			z, err := gzip.NewReader(strings.NewReader(text))
			s.must(err)
			content, err := io.ReadAll(z)
			s.must(err)
			text = string(content)
		}
		if text != plain.text || got.header.Get("ETag") != plain.header.Get("ETag") {
			t.Errorf("Accept-Encoding: %s: another list than without", accepted)
		}
	}
}
