package api_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/hallpass-auth/hallpass/shared/bearertest"
	"github.com/hallpass-auth/hallpass/shared/database"
	"github.com/hallpass-auth/hallpass/shared/database/databasetest"
	"github.com/hallpass-auth/hallpass/shared/token"
)

func TestCurrentUser(t *testing.T) {
	s := start(t, nil)
	got := s.do(t, http.MethodGet, "/users/me", "Authorization", "Bearer "+s.issuer.Token("profile"))
	if got.StatusCode != http.StatusOK || got.body != `{"username":"john.doe","full_name":"John Doe"}` {
		t.Errorf("status %d, body %q", got.StatusCode, got.body)
	}
	if ct := got.Header.Get("Content-Type"); ct != "application/json" {
		t.Errorf("Content-Type %q", ct)
	}
}

// Responses have no "$schema" member and no Link header, for every value of Accept.
func TestResponsesHaveNothingExtra(t *testing.T) {
	for name, s := range both(t) {
		t.Run(name, func(t *testing.T) { hasNothingExtra(t, s) })
	}
}

func hasNothingExtra(t *testing.T, s *server) {
	for _, accept := range []string{"", "*/*", "application/json", "application/xml", "json", "application/problem+json"} {
		got := s.do(t, http.MethodGet, "/items/42", "Authorization", "Bearer "+s.issuer.Token("items:read"), "Accept", accept)
		if got.body != `{"item_id":42,"owner":"john.doe"}` {
			t.Errorf("Accept %q: body %q", accept, got.body)
		}
		for name := range got.Header {
			switch name {
			case "Content-Type", "Content-Length", "Date":
			default:
				t.Errorf("Accept %q: header %s: %s", accept, name, got.Header.Get(name))
			}
		}
	}
}

// A token of a user without the scope profile has no names: the item's owner is the user's id, and only
// the scope keeps the token from /users/me (RFC 9068 section 2.2.3.1).
func TestUserWithoutNames(t *testing.T) {
	s := start(t, nil)
	claims := s.issuer.Claims("items:read")
	claims.Username, claims.Name = "", ""
	authorization := "Bearer " + s.issuer.Sign(claims)

	got := s.do(t, http.MethodGet, "/items/42", "Authorization", authorization)
	if want := `{"item_id":42,"owner":"` + claims.Subject + `"}`; got.StatusCode != http.StatusOK || got.body != want {
		t.Errorf("item: status %d, body %q, want %q", got.StatusCode, got.body, want)
	}
	got = s.do(t, http.MethodGet, "/users/me", "Authorization", authorization)
	if got.StatusCode != http.StatusForbidden {
		t.Errorf("user: status %d", got.StatusCode)
	}
}

// A client that calls for itself has no username: its items belong to its id, and /users/me refuses it.
func TestTokenWithoutUser(t *testing.T) {
	s := start(t, nil)
	claims := s.issuer.Claims("profile", "items:read")
	claims.Subject, claims.Username, claims.Name = "cli_1", "", ""
	authorization := "Bearer " + s.issuer.Sign(claims)

	got := s.do(t, http.MethodGet, "/items/42", "Authorization", authorization)
	if got.StatusCode != http.StatusOK || got.body != `{"item_id":42,"owner":"cli_1"}` {
		t.Errorf("item: status %d, body %q", got.StatusCode, got.body)
	}
	got = s.do(t, http.MethodGet, "/users/me", "Authorization", authorization)
	if p := got.problem(t); got.StatusCode != http.StatusUnauthorized || p.Detail != "Could not validate credentials" {
		t.Errorf("user: status %d, detail %q", got.StatusCode, p.Detail)
	}
	if c := challenge(t, got); c["error"] != "invalid_token" {
		t.Errorf("user: challenge %v", c)
	}
}

// both returns an API that stores no items and one that does: items that are not written are the same in both.
func both(t *testing.T) map[string]*server {
	t.Helper()
	return map[string]*server{
		"no items are stored": start(t, nil),
		"items are stored":    startItems(t, databasetest.URL(t, database.SQLite)).server,
	}
}

func TestItemID(t *testing.T) {
	for name, s := range both(t) {
		t.Run(name, func(t *testing.T) { readsUnwrittenItems(t, s) })
	}
}

func readsUnwrittenItems(t *testing.T, s *server) {
	for id, want := range map[string]string{
		"42": "42", "-5": "-5", "007": "7", "+1": "1", "%2B1": "1", "0": "0", "-0": "0", "%34%32": "42",
		"9223372036854775807": "9223372036854775807", "-9223372036854775808": "-9223372036854775808",
	} {
		got := s.get(t, "/items/"+id)
		if got.StatusCode != http.StatusOK || got.body != `{"item_id":`+want+`,"owner":"john.doe"}` {
			t.Errorf("%s: status %d, body %q", id, got.StatusCode, got.body)
		}
	}
}

// A value that is not an integer of 64 bits is a 422 whose document names the field but not the value.
func TestInvalidItemID(t *testing.T) {
	for name, s := range both(t) {
		t.Run(name, func(t *testing.T) { refusesInvalidItemIDs(t, s) })
	}
}

func refusesInvalidItemIDs(t *testing.T, s *server) {
	for _, id := range []string{
		"abc", "4.0", "4.5", "1e3", "0x10", "9223372036854775808", "-9223372036854775809", "123456789012345678901234567890",
		"--5", "..", "+-1", "%2B%2B1", "4_2", "4,2", "%E2%88%925", "４２", "42%00", "42%0A", "%2042", "42;v=1", "42%3Fx",
		"42%23", "٤٢", "4%25202", "0b1", "1e0", "%E2%80%8B42", "42%C2%A0",
		"%00", "%FF", "4%202", "٣", "NaN", "null", "true", strings.Repeat("9", 4000),
	} {
		got := s.get(t, "/items/"+id)
		p := got.problem(t)
		if got.StatusCode != http.StatusUnprocessableEntity || len(p.Errors) != 1 || p.Errors[0].Field != "path.item_id" ||
			p.Errors[0].Message == "" {
			t.Errorf("%s: status %d, body %q", id, got.StatusCode, got.body)
		}
		if !strings.Contains(p.Detail, "item_id") || strings.Contains(got.body, id) {
			t.Errorf("%s: body %q", id, got.body)
		}
	}
}

func TestAuthenticationComesBeforeValidation(t *testing.T) {
	s := start(t, nil)
	got := s.do(t, http.MethodGet, "/items/abc")
	if p := got.problem(t); got.StatusCode != http.StatusUnauthorized || p.Detail != "Not authenticated" {
		t.Errorf("status %d, detail %q", got.StatusCode, p.Detail)
	}
	got = s.do(t, http.MethodGet, "/items/abc", "Authorization", "Bearer "+s.issuer.Token("profile"))
	if got.StatusCode != http.StatusForbidden {
		t.Errorf("without the scope: status %d", got.StatusCode)
	}
}

// Unknown paths are 404, with a token or without. No path is cleaned, so none redirects.
func TestUnknownPaths(t *testing.T) {
	s := start(t, nil)
	for _, path := range []string{
		"/", "/items", "/items/", "/items/42/", "/items/42/x", "/items/4%2F2", "/users", "/users/me/", "/users/me/x",
		"/USERS/ME",
		"//users/me", "/users//me", "/users/../users/me", "/users/./me", "/docs/", "/docs/index.html", "/docs/swagger-ui.js",
		"/docs/../openapi.json", "/schemas", "/schemas/User.json", "/openapi", "/openapi.yaml", "/openapi-3.0.json",
		"/.well-known/",
	} {
		for _, got := range []response{s.get(t, path), s.do(t, http.MethodGet, path)} {
			if p := got.problem(t); got.StatusCode != http.StatusNotFound || p.Detail != "Not Found" ||
				got.Header.Get("Location") != "" {
				t.Errorf("%s: status %d, detail %q, Location %q", path, got.StatusCode, p.Detail, got.Header.Get("Location"))
			}
		}
	}
}

// Another method is a 405 with Allow (RFC 9110 section 15.5.6).
func TestOtherMethods(t *testing.T) {
	s := start(t, nil)
	for _, path := range []string{"/users/me", "/items/42", "/items/abc", "/openapi.json", "/docs",
		"/.well-known/oauth-protected-resource"} {
		for _, method := range []string{"POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND"} {
			got := s.do(t, method, path)
			if p := got.problem(t); got.StatusCode != http.StatusMethodNotAllowed || p.Detail != "Method Not Allowed" ||
				got.Header.Get("Allow") != "GET, HEAD" {
				t.Errorf("%s %s: status %d, detail %q, Allow %q", method, path, got.StatusCode, p.Detail, got.Header.Get("Allow"))
			}
		}
	}
}

// HEAD is GET without the body, and needs the same token (RFC 9110 section 9.3.2).
func TestHead(t *testing.T) {
	s := start(t, nil)
	for _, path := range []string{"/users/me", "/items/42", "/openapi.json", "/docs", "/docs/swagger-ui.css"} {
		want := s.get(t, path)
		got := s.do(t, http.MethodHead, path, "Authorization", "Bearer "+s.issuer.Token("profile", "items:read"))
		if got.StatusCode != http.StatusOK || got.body != "" ||
			got.Header.Get("Content-Type") != want.Header.Get("Content-Type") {
			t.Errorf("%s: status %d, body %q, Content-Type %q", path, got.StatusCode, got.body, got.Header.Get("Content-Type"))
		}
	}
	if got := s.do(t, http.MethodHead, "/users/me"); got.StatusCode != http.StatusUnauthorized {
		t.Errorf("without a token: status %d", got.StatusCode)
	}
}

func TestRequestsWithoutCredentials(t *testing.T) {
	s := start(t, nil)
	good := s.issuer.Token("profile")
	for name, header := range map[string][]string{
		"no header":       nil,
		"empty header":    {"Authorization", ""},
		"basic":           {"Authorization", "Basic am9objpkb2U="},
		"token as scheme": {"Authorization", good},
		"other scheme":    {"Authorization", "Token " + good},
		"cookie":          {"Cookie", "access_token=" + good},
	} {
		got := s.do(t, http.MethodGet, "/users/me", header...)
		if p := got.problem(t); got.StatusCode != http.StatusUnauthorized || p.Detail != "Not authenticated" {
			t.Errorf("%s: status %d, detail %q", name, got.StatusCode, p.Detail)
		}
	}
}

// The response to every invalid token is the same, and does not contain the token.
func TestInvalidTokens(t *testing.T) {
	s := start(t, nil)
	expired := s.issuer.Claims("profile")
	expired.IssuedAt, expired.ExpiresAt = time.Now().Add(-2*time.Hour), time.Now().Add(-time.Hour)
	elsewhere := s.issuer.Claims("profile")
	elsewhere.Audience = []string{"https://other.example"}
	foreign := s.issuer.Claims("profile")
	foreign.Issuer = "https://evil.example"
	for name, raw := range map[string]string{
		"empty":          "",
		"not a token":    "abc",
		"ten dots":       "a.b.c.d.e.f.g.h.i.j.k",
		"truncated":      s.issuer.Token("profile")[:100],
		"changed":        s.issuer.Token("profile") + "A",
		"10 KiB":         strings.Repeat("a", 10<<10),
		"expired":        s.issuer.Sign(expired),
		"other audience": s.issuer.Sign(elsewhere),
		"other issuer":   s.issuer.Sign(foreign),
		"wrong key":      bearertest.New(t).Token("profile"),
		"alg none":       forge(t, s.issuer, jwt.SigningMethodNone, nil),
		"alg HS512":      forge(t, s.issuer, jwt.SigningMethodHS512, nil),
		"no sub":         forge(t, s.issuer, jwt.SigningMethodHS256, func(c jwt.MapClaims) { delete(c, "sub") }),
		"no exp":         forge(t, s.issuer, jwt.SigningMethodHS256, func(c jwt.MapClaims) { delete(c, "exp") }),
	} {
		got := s.do(t, http.MethodGet, "/users/me", "Authorization", "Bearer "+raw)
		if p := got.problem(t); got.StatusCode != http.StatusUnauthorized || p.Detail != "Could not validate credentials" {
			t.Errorf("%s: status %d, detail %q", name, got.StatusCode, p.Detail)
		}
		if raw != "" && strings.Contains(got.body, raw) {
			t.Errorf("%s: the token is in the body", name)
		}
	}
	valid := "Bearer " + forge(t, s.issuer, jwt.SigningMethodHS256, nil)
	if got := s.do(t, http.MethodGet, "/users/me", "Authorization", valid); got.StatusCode != http.StatusOK {
		t.Errorf("the valid token: status %d", got.StatusCode)
	}
}

// forge signs the claims of a valid token, after change, with the issuer's key and the method.
func forge(t *testing.T, issuer *bearertest.Issuer, method jwt.SigningMethod, change func(jwt.MapClaims)) string {
	t.Helper()
	key, err := issuer.Ring().Signer(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	claims := jwt.MapClaims{
		"iss": bearertest.IssuerURL, "aud": bearertest.Audience, "sub": "usr_1", "client_id": "c", "jti": "j",
		"iat": time.Now().Unix(), "exp": time.Now().Add(time.Hour).Unix(), "scope": "profile", "preferred_username": "john.doe",
	}
	if change != nil {
		change(claims)
	}
	unsigned := jwt.NewWithClaims(method, claims)
	unsigned.Header["typ"], unsigned.Header["kid"] = token.Type, key.ID
	var secret any = key.Secret()
	if method == jwt.SigningMethodNone {
		secret = jwt.UnsafeAllowNoneSignatureType
	}
	signed, err := unsigned.SignedString(secret)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}
